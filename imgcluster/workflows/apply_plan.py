"""Carrying out a plan of `duplicates`: what could go is moved into a folder, and `undo` brings it back."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imgcluster.errors import ImgclusterError
from imgcluster.files import has_digest
from imgcluster.images.find import has_image_name
from imgcluster.output.folders import FolderPlan, build_folders, plan_folders, recover
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Placement, Progress
from imgcluster.tabular import Tabular
from imgcluster.workflows.csv_files import key_in, read_table, read_whole

_COLUMNS = ("group", "verdict", "path", "key")
_ALL_BACK = "all files are back where they were: make a new plan"

_File = tuple[str, bytes]


@dataclass(frozen=True)
class Applied(Tabular):
    """How many files were moved into `trash`, and those that stay where they are, with the reason."""

    moved: int
    groups: int
    trash: str
    left: tuple[tuple[str, str], ...]


def apply_plan(
    plan: str, trash: str, *, owner: Ownership = IN_MEMORY, progress: Progress = SILENT
) -> Applied:
    """Move what could go into the new folder `trash`, in which every group has a folder.

    Bytes are compared with the plan's keys before, and again when all was moved: what was moved, and for each
    group one file that is kept. Where they differ then, all goes back.

    Raises
    ------
    ImgclusterError
        Where the plan is none, `trash` holds something, or nothing could be moved.
    """
    out = os.path.realpath(trash)
    recover(out, progress.note, owner)
    if os.path.lexists(out) and not (os.path.isdir(out) and not os.listdir(out)):
        raise ImgclusterError(f"{out} is not empty: name a folder that is, or a new one, with --trash")
    kept, could_go, data = _read(plan)
    progress.begin("checking the copies", len(could_go))
    going: list[Placement] = []
    left: list[tuple[str, str]] = []
    for copy in could_go:
        if reason := _why_not(copy.path, copy.key, kept[copy.cluster]):
            left.append((copy.path, reason))
        else:
            going.append(copy)
        progress.advance()
    if not going:
        raise ImgclusterError(f"nothing of {plan} can go{''.join(f': {p}: {why}' for p, why in left[:1])}")
    files = plan_folders(going, out, "move", is_image=has_image_name)
    used = {place.cluster for place in going}

    def check(tree: str, made: FolderPlan) -> None:
        for file in made.files:
            if not has_digest(os.path.join(tree, file.relative), file.placement.key.hex()):
                raise ImgclusterError(f"{file.source} was changed while it was moved; {_ALL_BACK}")
        for copies in (kept[number] for number in used):
            if not any(_holds(*copy) for copy in copies):
                raise ImgclusterError(f"{copies[0][0]}, which was to be kept, is gone; {_ALL_BACK}")

    build_folders(files, extra_files={"plan.csv": data}, progress=progress, owner=owner, check=check)
    return Applied(len(going), len(used), trash, tuple(left))


def _read(plan: str) -> tuple[Mapping[int, list[_File]], list[Placement], bytes]:
    """Read the files to keep that are there, by their groups, those that could go, and the plan's bytes."""
    folder, data = os.path.dirname(os.path.abspath(plan)), read_whole(plan, _COLUMNS)
    kept: defaultdict[int, list[_File]] = defaultdict(list)
    could_go = []
    for line, (group, verdict, path, cell) in read_table(plan, _COLUMNS, data=data):
        key, is_number = key_in(cell), re.fullmatch(r"\s*\d{1,9}\s*", group or "")
        known = verdict in {"keep", "could_go", "look_alike"}
        if not known or not path or "\0" in path or key is None or not is_number:
            raise ImgclusterError(f"{plan}, line {line}, is no line of a plan: make a new one")
        number, file = int(is_number[0]), os.path.normpath(os.path.join(folder, path))
        if verdict == "could_go":
            could_go.append(Placement(file, file, key, number, 0.0))
        elif verdict == "keep" and _holds(file, key):
            kept[number].append((file, key))
    return kept, could_go, data


def _holds(path: str, key: bytes) -> bool:
    return has_digest(path, key.hex())


def _why_not(path: str, key: bytes, kept: Sequence[_File]) -> str:
    """Say why a copy stays where it is; empty where it can go."""
    if not kept:
        return "no copy of it that is to be kept is there"
    if os.path.islink(path):
        return "it is a link"
    if not _holds(path, key):
        return "it is gone, or was changed since"
    if any(_is_the_same(path, other) for other, _ in kept):
        return "it is the very file that is kept"
    return ""


def _is_the_same(path: str, other: str) -> bool:
    """Whether both lead to one file by one name in one folder: hard links are files of their own."""
    if not os.path.samefile(path, other):
        return False
    folders, names = zip(os.path.split(path), os.path.split(other), strict=True)
    return os.stat(path).st_nlink == 1 or (names[0] == names[1] and os.path.samefile(*folders))
