"""The journal of a move: what will go where, on the disk before anything goes, so that all can be put back.

One JSON line per planned move: where from, where to (relative to the new folder), the file's inode, size and
time, and a checksum of these. A file that had to be copied to another file system adds such a line for the
copy. Each line stands for itself: damage to one takes nothing from the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from imgcluster.files import lies_below, open_regular, read_limited, sync, write_durably
from imgcluster.output.contents import JOURNAL
from imgcluster.output.file_system import move_file
from imgcluster.output.names import tagged
from imgcluster.output.paths import below

_MOST_BYTES = 1 << 30

_Identity = tuple[int, int, int]


@dataclass(frozen=True)
class PlannedMove:
    """`source`, an absolute path, goes to `relative`, below the new folder."""

    source: str
    relative: str


@dataclass(frozen=True)
class PutBack:
    """How many images went back to folders outside the clustering, and whether every move was undone."""

    returned: int
    complete: bool


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
        with os.fdopen(open_regular(self._path, os.O_WRONLY | os.O_APPEND), "ab") as file:
            file.write(_line(move.source, move.relative, _identity(copy)).encode())
            file.flush()
            sync(file.fileno())


def put_back(folder: str, out: str, expected: int | None) -> PutBack:
    """Move every file of the journal in `folder` back to where it came from.

    Nothing is ever replaced: where another file has taken the place, ours goes beside it under another name.
    A file that is not the one that was moved there stays.

    Parameters
    ----------
    out
        The clustering that the folder was to become.
    expected
        How many moves were planned, where that is known.
    """
    moves, complete = _read(os.path.join(folder, JOURNAL))
    complete = complete and (expected is None or len(moves) == expected)
    returned = 0
    for (source, relative), known in moves.items():
        path = os.path.join(folder, relative)
        if not os.path.lexists(path):
            continue
        if os.path.lexists(source) and _identity(os.lstat(source)) == known[0]:
            os.unlink(path)  # a copy, made before its original would have gone
            continue
        if _identity(os.lstat(path)) not in known:
            complete = False
            continue
        os.makedirs(os.path.dirname(source), exist_ok=True)
        _move_to_free_name(path, source)
        returned += not lies_below(source, [out])
    return PutBack(returned, complete)


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
    fields = [source, f"./{relative}", *identity]
    return json.dumps([*fields, _checksum(fields)]) + "\n"


def _checksum(fields: Sequence[object]) -> int:
    return zlib.crc32(json.dumps(fields).encode())


def _read(path: str) -> tuple[dict[tuple[str, str], list[_Identity]], bool]:
    """Return what is known of each file, by source and target, and whether no line is damaged."""
    moves: dict[tuple[str, str], list[_Identity]] = {}
    complete = True
    try:
        lines = read_limited(path, _MOST_BYTES).splitlines()
    except OSError as error:
        lines, complete = [], isinstance(error, FileNotFoundError)
    for line in lines:
        try:
            *fields, checksum = json.loads(line)
            if len(fields) == 4:  # version 0.1 wrote none
                fields.append(checksum)
            elif checksum != _checksum(fields):
                raise ValueError("damaged")  # noqa: TRY301
            source, target, inode, size, mtime_ns = fields
            if not os.path.isabs(source):
                raise ValueError("not a path")  # noqa: TRY301
            moves.setdefault((source, below(target)), []).append((inode, size, mtime_ns))
        except (ValueError, TypeError, AttributeError, RecursionError):
            complete = False
    return moves, complete
