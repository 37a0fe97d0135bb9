"""The images that commands after `extract` work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterings import IMAGES, desk_with_photos

from imgcluster.records import SilentProgress
from imgcluster.workflows.collection import SpaceChoice, collect

if TYPE_CHECKING:
    from pathlib import Path


class Stages(SilentProgress):
    def __init__(self) -> None:
        self.taken: dict[str, tuple[int | None, int]] = {}

    def begin(self, what: str, total: int | None = None) -> None:
        self.stage = what
        self.taken[what] = (total, 0)

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        total, done = self.taken[self.stage]
        self.taken[self.stage] = (total, done + steps)


def test_reading_the_whole_store_is_a_stage_of_its_own(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    progress = Stages()
    with SpaceChoice(desk.store).open(progress.note) as (store, space):
        collect(store, (space,), (), "", progress)
    assert progress.taken == {"reading the embeddings": (IMAGES, IMAGES)}
