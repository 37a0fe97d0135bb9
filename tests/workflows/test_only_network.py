"""`extract` without --network goes on with the one that a store has, and says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from clusterings import Desk, desk_with_photos
from fakes import FakeSource, write_image

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.networks.choice import NetworkChoice
from imgcluster.records import FeatureSpace, NetworkSource, Notify
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.extract import ExtractOptions, extract


@dataclass
class Networks:
    """Makes of each choice a stand-in of that name, and remembers the choices."""

    choices: list[NetworkChoice] = field(default_factory=list)

    def __call__(self, choice: NetworkChoice, notify: Notify) -> NetworkSource:
        self.choices.append(choice)
        quantised = "ab" * 32 if choice.precision == "int8" else "none"
        size = choice.input_size or 16
        weights = (choice.weights or "imagenet").encode().hex()
        return FakeSource(
            space=FeatureSpace(choice.network, weights, size, choice.pooling, quantisation=quantised)
        )


def run(desk: Desk, **options: object) -> tuple[str, list[NetworkChoice]]:
    number = len(list((desk.folder / "photos").rglob("*.png")))
    write_image(desk.photos / f"new{number}.png", (9, 9, 9), noise=number)
    networks = Networks()
    settings = ExtractOptions(store=desk.store, **options)  # type: ignore[arg-type]
    result = extract([desk.photos], settings, choose=networks, progress=desk.progress)
    return result.space, networks.choices


def spaces(desk: Desk) -> int:
    with FeatureStore(desk.store) as store:
        return len(store.spaces)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_with_photos(tmp_path, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"network": "efficientnet_lite2"},
        {"network": "vgg16", "pooling": "max", "input_size": 64},
        {"network": "vgg16", "precision": "int8"},
    ],
)
def test_it_goes_on_with_the_only_network_whatever_its_space(desk: Desk, options: dict[str, object]) -> None:
    first, _ = run(desk, **options)
    assert not desk.progress.said("going on")
    second, (choice,) = run(desk, batch_size=7)
    assert (second, spaces(desk), choice.batch_size) == (first, 1, 7)
    assert desk.progress.said(f"going on with {options['network']}, the only network in {desk.store}")


def test_the_default_is_taken_where_nothing_else_is_there_and_nothing_is_said(
    desk: Desk,
) -> None:
    for _ in range(2):
        _, (choice,) = run(desk)
        assert choice.network == "inception_v3"
    assert desk.progress.notes == []


def test_what_is_asked_for_is_done(desk: Desk) -> None:
    run(desk, network="vgg16")
    _, (choice,) = run(desk, pooling="max")
    assert (choice.network, choice.pooling, spaces(desk)) == ("vgg16", "max", 2)
    _, (choice,) = run(desk, network="vgg19")
    assert (choice.network, spaces(desk)) == ("vgg19", 3)
    with pytest.raises(ImgclusterError, match="vgg16 and vgg19: name one with --network"):
        run(desk)
    run(desk, network="inception_v3")
    assert run(desk)[1][0].network == "inception_v3"


def test_a_network_that_is_not_at_hand_does_not_decide(desk: Desk) -> None:
    desk.extract(source=FakeSource())
    assert run(desk)[1][0].network == "inception_v3"


def test_nor_does_it_change_the_space_that_is_gone_on_with(desk: Desk) -> None:
    desk.extract(source=FakeSource())
    first, _ = run(desk, network="vgg16", pooling="max")
    assert (run(desk)[0], spaces(desk)) == (first, 2)


def test_other_weights_than_those_of_the_only_space_are_refused(desk: Desk) -> None:
    run(desk, network="vgg16")

    def other(choice: NetworkChoice, notify: Notify) -> NetworkSource:
        return FakeSource(space=FeatureSpace(choice.network, "00", 16))

    write_image(desk.photos / "more.png", (1, 2, 3), noise=99)
    with pytest.raises(ImgclusterError, match="was made with the weights"):
        extract([desk.photos], ExtractOptions(store=desk.store), choose=other)
    with pytest.raises(UsageError):
        extract([desk.photos], ExtractOptions(store=desk.store, network="nonsense"), choose=other)
