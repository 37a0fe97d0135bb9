"""Images that are extracted with a stand-in network, and clusterings of them, for the tests of workflows."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fakes import FakeSource, write_images

from imgcluster.records import SilentProgress
from imgcluster.workflows.cluster import ClusterOptions, cluster
from imgcluster.workflows.cluster_result import ClusterResult
from imgcluster.workflows.extract import ExtractOptions, extract

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
IMAGES = 15


@dataclass
class Notes(SilentProgress):
    """A Progress that remembers what it was told."""

    notes: list[str] = field(default_factory=list)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def said(self, words: str) -> bool:
        return any(words in note for note in self.notes)


@dataclass
class Desk:
    """A folder with photographs, a store and clusterings, and the commands run there."""

    folder: Path
    progress: Notes = field(default_factory=Notes)

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def store(self) -> str:
        return str(self.folder / "features.h5")

    @property
    def out(self) -> Path:
        return self.folder / "clusters"

    def extract(self, *paths: Path, source: FakeSource | None = None) -> None:
        extract(paths or [self.photos], ExtractOptions(store=self.store), source=source or FakeSource())

    def cluster(
        self, k: int | None = 3, *paths: Path, out: Path | None = None, **options: object
    ) -> ClusterResult:
        settings = ClusterOptions(
            k=k,
            store=self.store,
            out=str(out or self.out),
            **{"restarts": 3, **options},  # type: ignore[arg-type]
        )
        return cluster(paths, settings, progress=self.progress)


def desk_with_photos(folder: Path, count: int = IMAGES // len(COLOURS)) -> Desk:
    """`count` pictures of each colour, not extracted yet."""
    desk = Desk(folder)
    write_images(desk.photos, count, COLOURS)
    backdate(desk.photos)
    return desk


def backdate(folder: Path) -> None:
    """Files that were made just now are not trusted by their time; these were made long ago."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(10**18, 10**18))


def pictures(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted."""
    return sorted(folder.rglob("*.png"))


def contents(paths: Sequence[Path]) -> list[bytes]:
    """The bytes of files, sorted."""
    return sorted(path.read_bytes() for path in paths)
