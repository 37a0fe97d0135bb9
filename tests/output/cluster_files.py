"""Photographs of a few bytes, their placements, and what a folder holds."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgcluster.output.folders import FolderPlan, build_folders, plan_folders
from imgcluster.output.manifest import assignments_csv
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Placement, SilentProgress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Names that have broken other programs, each of them legal.
NAMES = {
    "plain": "IMG_0001.jpg",
    "apostrophe": "St'tteben (1).jpg",
    "quotes": '"quoted" $HOME `x`.jpg',
    "newline": "two\nlines\r.jpg",
    "carriage return": "two\rlines.jpg",
    "dash": "-rf.jpg",
    "formula": "=1+1.jpg",
    "not utf-8": os.fsdecode(b"caf\xe9.jpg"),
    "polish": "Zażółć 写真.jpg",
    "250 bytes": "é" * 123 + ".jpg",
    "255 bytes": "x" * 251 + ".jpg",
    "no extension": "scan",
    "long extension": "a." + "b" * 250,
    "spaces": "  .jpg",
    "only spaces": "   ",
    "emoji": "party 🎉👩‍👩‍👧.jpg",
    "right to left": "abc\u202egpj.exe \u200fשלום.jpg",
}


@dataclass
class Recorder(SilentProgress):
    """A Progress that remembers what it was told."""

    notes: list[str] = field(default_factory=list)
    steps: int = 0
    total: int | None = None

    def begin(self, what: str, total: int | None = None) -> None:
        self.total, self.steps = total, 0

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        self.steps += steps

    def note(self, message: str) -> None:
        self.notes.append(message)


def photograph(path: object, content: bytes | str = b"") -> str:
    """Write a file; without content its path is its content, so that no two are equal."""
    path = str(path)
    data = content.encode() if isinstance(content, str) else content
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data or os.fsencode(path))
    return path


def placed(path: str, cluster: int = 0, original: str = "") -> Placement:
    with open(path, "rb") as file:
        key = hashlib.sha256(file.read()).digest()
    return Placement(path, original or path, key, cluster, 0.25 * (cluster + 1), 0.5)


def make(
    placements: Sequence[Placement],
    out: object,
    mode: str = "auto",
    *,
    force: bool = False,
    progress: SilentProgress | None = None,
    extra_files: Mapping[str, bytes] | None = None,
    owner: Ownership = IN_MEMORY,
) -> FolderPlan:
    """Plan and build, with the manifest that later commands read."""
    plan = plan_folders(placements, str(out), mode, is_image=lambda name: name.endswith((".jpg", ".heic")))

    def extra(made: FolderPlan) -> dict[str, bytes]:
        files = [file.relative for file in made.files]
        table = assignments_csv(made.placements, str(out), files)
        return {"assignments.csv": table, **(extra_files or {})}

    progress = progress or SilentProgress()
    return build_folders(plan, force=force, extra_files=extra, progress=progress, owner=owner)


def contents(folder: object) -> dict[str, bytes]:
    """Everything below a folder, through links too, by path; folders are left out."""
    found = {}
    for parent, _, names in os.walk(str(folder)):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, str(folder))] = file.read()
    return found


def images(out: object) -> dict[str, bytes]:
    """The images in the cluster folders of `out`, by path."""
    return {path: data for path, data in contents(out).items() if path.split("/")[0].isdigit()}


def names_in(folder: object) -> list[str]:
    return sorted(os.listdir(str(folder)))
