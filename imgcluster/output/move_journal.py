"""The journal of a move: what will go where, on the disk before anything goes, so that all can be put back.

One JSON line per planned move: where from, where to (relative to the new folder), and the file's inode, size
and time. A file that had to be copied to another file system adds such a line for the copy.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.files import write_durably
from imgcluster.output.file_system import move_file
from imgcluster.output.names import tagged
from imgcluster.output.ownership import JOURNAL
from imgcluster.output.paths import below

if TYPE_CHECKING:
    from collections.abc import Sequence


_Identity = tuple[int, int, int]


@dataclass(frozen=True)
class PlannedMove:
    """`source`, an absolute path, goes to `relative`, below the new folder."""

    source: str
    relative: str


class MoveJournal:
    """Moves files into `folder`; `put_back` undoes every one of them, whatever came between."""

    def __init__(self, folder: str, moves: Sequence[PlannedMove]) -> None:
        self._folder = folder
        self._path = os.path.join(folder, JOURNAL)
        lines = [_line(move.source, move.relative, _identity(os.lstat(move.source))) for move in moves]
        write_durably(self._path, "".join(lines).encode())

    def move(self, move: PlannedMove) -> None:
        """Move one of the planned files."""
        target = os.path.join(self._folder, move.relative)
        move_file(move.source, target, lambda copy: self._record_copy(move, copy))

    def _record_copy(self, move: PlannedMove, copy: os.stat_result) -> None:
        with open(self._path, "ab") as file:
            file.write(_line(move.source, move.relative, _identity(copy)).encode())
            file.flush()
            os.fsync(file.fileno())


def put_back(folder: str) -> int:
    """Move every file of the journal in `folder` back to where it came from; return how many there were.

    Nothing is ever replaced: where another file has taken the place, ours goes beside it under another name.

    Raises
    ------
    ImgclusterError
        When a file in `folder` is not the one that was moved there.
    """
    moved = 0
    for (source, relative), known in _read(os.path.join(folder, JOURNAL)).items():
        path = os.path.join(folder, relative)
        if not os.path.lexists(path):
            continue
        if os.path.lexists(source) and _identity(os.lstat(source)) == known[0]:
            continue  # a copy, made before its original would have gone
        if _identity(os.lstat(path)) not in known:
            raise ImgclusterError(
                f"{path} is not the file that was moved there from {source}: move it back yourself"
            )
        os.makedirs(os.path.dirname(source), exist_ok=True)
        _move_to_free_name(path, source)
        moved += 1
    return moved


def _move_to_free_name(path: str, wanted: str) -> None:
    folder, name = os.path.split(wanted)
    attempt, target = 0, wanted
    while True:
        with contextlib.suppress(FileExistsError):
            move_file(path, target)
            return
        attempt += 1
        target = os.path.join(folder, tagged(name, "moved-back" if attempt == 1 else f"moved-back-{attempt}"))


def _identity(status: os.stat_result) -> _Identity:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _line(source: str, relative: str, identity: _Identity) -> str:
    return json.dumps([source, f"./{relative}", *identity]) + "\n"


def _read(path: str) -> dict[tuple[str, str], list[_Identity]]:
    """Return what is known of each file, by source and target; a line that a crash cut off does not count."""
    moves: dict[tuple[str, str], list[_Identity]] = {}
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        for line in file:
            try:
                source, target, inode, size, mtime_ns = json.loads(line)
                if not os.path.isabs(source):
                    break
                moves.setdefault((source, below(target)), []).append((inode, size, mtime_ns))
            except (ValueError, TypeError, AttributeError):
                break
    return moves
