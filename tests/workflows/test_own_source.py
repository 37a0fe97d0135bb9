"""Networks of one's own, given as `source`: what they promise is held against what they give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clusterings import Desk, desk_with_photos
from fakes import FakeNetwork, FakeSource, write_image

import imgcluster
from imgcluster.errors import ImgclusterError
from imgcluster.records import FeatureSpace, Pixels
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.extract import ExtractOptions, extract


class Strange(FakeNetwork):
    def __init__(self, make: Callable[[int], object]) -> None:
        super().__init__()
        self.make = make

    def embed(self, pixels: Pixels) -> object:  # type: ignore[override]
        return self.make(len(pixels))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_with_photos(tmp_path, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n: np.ones((n, 13), np.float32), r"gives \(4, 13\) float32 for 4 images, .* 12 numbers"),
        (lambda n: np.ones((n + 1, 12), np.float32), r"\(5, 12\) float32 for 4 images"),
        (lambda n: np.ones((12,), np.float32), r"\(12,\)"),
        (lambda n: np.ones((n, 3, 4), np.float32), r"\(4, 3, 4\)"),
        (lambda n: [[1.0] * 11] * n, r"\(4, 11\) float64"),
        (lambda n: [["a"] * 12] * n, r"\(4, 12\) <U1"),
        (lambda n: np.zeros((n, 12), np.float32), r"\(4, 12\) .* nothing but zeros"),
        (lambda n: np.full((n, 12), np.nan, np.float32), r"only NaN or infinity .*\(4, 12\)"),
        (lambda n: np.full((n, 12), np.inf, np.float32), "only NaN or infinity"),
    ],
)
def test_what_a_network_gives_that_it_did_not_promise_is_refused_with_its_shape(
    desk: Desk, make: Callable[[int], object], message: str
) -> None:
    source = FakeSource(Strange(make))  # type: ignore[arg-type]
    with pytest.raises(ImgclusterError, match=message):
        extract([desk.photos], ExtractOptions(store=desk.store), source=source)
    with FeatureStore(desk.store) as store:
        assert sum(space.rows for space in store.spaces) == 0


def test_whole_and_double_numbers_are_taken(desk: Desk) -> None:
    for dtype in (np.float64, np.int32):
        source = FakeSource(
            Strange(lambda n, dtype=dtype: np.ones((n, 12), dtype)),  # type: ignore[misc, arg-type]
            FeatureSpace(np.dtype(dtype).name, "00", 16),
        )
        assert extract([desk.photos], ExtractOptions(store=desk.store), source=source).new == 6


def test_new_images_are_assigned_with_the_network_that_the_caller_has(desk: Desk) -> None:
    source = FakeSource(space=FeatureSpace("mine", "00", 16))
    imgcluster.extract(desk.photos, store=desk.store, source=source)
    imgcluster.cluster(store=desk.store, k=3, out=desk.out)
    new = write_image(desk.folder / "new.png", (200, 30, 30), noise=50)
    with pytest.raises(ImgclusterError, match="source="):
        imgcluster.assign(new, clusters=desk.out)
    with pytest.raises(ImgclusterError, match="was made of mine"):
        imgcluster.assign(new, clusters=desk.out, source=FakeSource())
    assigned = imgcluster.assign(new, clusters=desk.out, source=source)
    assert [(image.path, assigned.new) for image in assigned.images] == [(str(new), 1)]
