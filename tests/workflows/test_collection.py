"""The images that commands after `extract` work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from clusterings import IMAGES, desk_with_photos
from fakes import FakeNetwork, FakeSource, write_image

from imgcluster.records import SilentProgress
from imgcluster.workflows.cluster import ClusterOptions, cluster
from imgcluster.workflows.duplicates import duplicates
from imgcluster.workflows.options import DuplicatesOptions, SimilarOptions, SweepOptions
from imgcluster.workflows.similar import similar
from imgcluster.workflows.sweep import sweep

if TYPE_CHECKING:
    from pathlib import Path

    from imgcluster.records import Embeddings, Pixels


class Stages(SilentProgress):
    def __init__(self) -> None:
        self.taken: dict[str, tuple[int | None, int]] = {}

    def begin(self, what: str, total: int | None = None) -> None:
        self.stage = what
        self.taken[what] = (total, 0)

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        total, done = self.taken[self.stage]
        self.taken[self.stage] = (total, done + steps)


def test_each_reading_of_the_whole_store_is_a_stage_of_its_own(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    progress = Stages()
    cluster([], ClusterOptions(k=3, store=desk.store, dry_run=True), progress=progress)
    for stage in ("preparing the features", "reading the embeddings"):
        assert progress.taken[stage] == (IMAGES, IMAGES)


@pytest.mark.parametrize("flawed", [1, 3])
def test_images_without_numbers_are_left_out_by_every_command(tmp_path: Path, flawed: int) -> None:
    class Flawed(FakeNetwork):
        def embed(self, pixels: Pixels) -> Embeddings:
            rows = super().embed(pixels)
            rows[pixels.max(axis=(1, 2, 3)) < 40, 3] = np.inf
            return rows

    desk = desk_with_photos(tmp_path)
    black = [write_image(desk.photos / f"{n}.png", (-100 - n, -100, -100)) for n in range(flawed)]
    desk.extract(source=FakeSource(Flawed()))
    assert desk.cluster().sizes == (5, 5, 5)
    assert all(desk.progress.said(str(path)) for path in black)
    options = SweepOptions(k=(2, 3), store=desk.store, restarts=3)
    assert [row.k for row in sweep((), options, progress=desk.progress).sweep.rows] == [2, 3]
    found = similar(desk.photos / "red" / "red0.png", SimilarOptions(store=desk.store, top=100))
    assert len(found) == IMAGES - 1
    assert not {image.path for image in found} & {str(path) for path in black}
    assert duplicates((), DuplicatesOptions(store=desk.store), progress=desk.progress).images == IMAGES
