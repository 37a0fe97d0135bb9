from dataclasses import replace

import pytest

from imgcluster.errors import UsageError
from imgcluster.images import PREPROCESSING_VERSION
from imgcluster.networks.catalog import OFFLINE_NETWORK, PackagedWeights, find_network, networks, register
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.selection import choose


@pytest.mark.parametrize(
    ("name", "options", "space"),
    [
        ("inception_v3", {}, "inception_v3-299-avg-35b18172"),
        ("vgg16", {}, "vgg16-224-avg-3c40ed93"),
        ("vgg19", {}, "vgg19-224-avg-41a292e3"),
        ("resnet152", {}, "resnet152-224-avg-91b1fd16"),
        ("efficientnet_lite0", {}, "efficientnet_lite0-224-avg-2123646a"),
        ("efficientnet_lite2", {}, "efficientnet_lite2-260-avg-dc6c41d6"),
        ("efficientnet_lite2", {"weights": "imagenet"}, "efficientnet_lite2-260-avg-124f7b28"),
    ],
)
def test_embeddings_go_on_in_the_space_of_the_first_release(name, options, space):
    choice = NetworkChoice(name, **{"weights": "random", **options})
    assert choose(choice, print, preprocessing=PREPROCESSING_VERSION).space.name == space


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (1.0, 2.0, 3.0)},
        {"std": (1.0, 1.0, 1.5)},
        {"channels": "rgb"},
        {"interpolation": "bicubic"},
        {"crop": 0.875},
    ],
)
def test_a_record_that_gives_other_vectors_has_a_space_of_its_own(monkeypatch, change):
    def space():
        return choose(NetworkChoice("vgg16", weights="random"), print).space.name

    before = space()
    other = replace(find_network("vgg16"), **change)
    monkeypatch.setitem(find_network.__globals__["_networks"], "vgg16", other)
    assert space() != before


def test_an_unknown_network_names_those_that_exist():
    with pytest.raises(UsageError, match=r"'vgg17'.*inception_v3, vgg16") as caught:
        find_network("vgg17")
    assert "\n" not in str(caught.value)


def test_the_network_named_to_people_without_a_server_comes_in_a_package():
    assert isinstance(find_network(OFFLINE_NETWORK).weights, PackagedWeights)


def test_a_name_stands_for_one_network():
    before = networks()
    register(find_network("vgg16"))
    with pytest.raises(UsageError, match="another network is called 'vgg16'"):
        register(replace(find_network("vgg19"), name="vgg16"))
    with pytest.raises(UsageError, match="small letters"):
        register(replace(find_network("vgg19"), name="../vgg19"))
    assert networks() == before


def test_a_mistyped_network_names_the_nearest_one():
    with pytest.raises(UsageError, match=r"did you mean efficientnet_lite2\?"):
        find_network("efficentnet_lite2")
