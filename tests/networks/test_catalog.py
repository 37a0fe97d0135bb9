import dataclasses

import pytest

from imgcluster.errors import UsageError
from imgcluster.networks.catalog import NETWORKS, OFFLINE_NETWORK, PackagedWeights, find_network


def test_the_catalogue_lists_the_networks_that_are_promised():
    names = [network.name for network in NETWORKS]
    assert names == [
        "inception_v3",
        "vgg16",
        "vgg19",
        "resnet152",
        "efficientnet_lite0",
        "efficientnet_lite2",
    ]


def test_a_network_is_found_by_its_name():
    assert find_network("vgg19").dimension == 512


def test_an_unknown_network_names_those_that_exist():
    with pytest.raises(UsageError, match=r"'vgg17'.*inception_v3, vgg16") as caught:
        find_network("vgg17")
    assert "\n" not in str(caught.value)


def test_the_network_named_to_people_without_a_server_comes_in_a_package():
    assert isinstance(find_network(OFFLINE_NETWORK).weights, PackagedWeights)


def test_a_row_is_a_value():
    row = find_network("vgg16")
    assert dataclasses.replace(row, name="vgg16") == row
