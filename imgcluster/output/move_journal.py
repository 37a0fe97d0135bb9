"""The journal of a move: what will go where, on the disk before anything goes, so that all can be put back.

One JSON line per planned move: where from, where to (relative to the new folder), the file's inode, size and
time, the digest of its bytes (of a companion, of the first of them), and a signature of these for this very
folder. A file that had to be copied to another file system adds such a line for the copy. Each line stands
for itself: damage to one takes nothing from the others. Earlier versions wrote no digests.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from imgcluster.files import (
    Expected,
    RealFolders,
    lies_below,
    open_regular,
    read_limited,
    sync,
    write_durably,
)
from imgcluster.held import (
    Held,
    Identity,
    Links,
    WayRefusedError,
    at,
    exchanged,
    identity,
    remove,
)
from imgcluster.output.companions import is_companion
from imgcluster.output.contents import JOURNAL
from imgcluster.output.file_system import move_file, move_home
from imgcluster.output.marker import Marker
from imgcluster.output.names import substitutes, under_free_name
from imgcluster.output.paths import below
from imgcluster.ownership import Ownership

_MOST_BYTES = 1 << 30

_Moves = dict[tuple[str, str], list[Expected]]


@dataclass(frozen=True)
class PlannedMove:
    """The file at `source`, an absolute path, goes to `relative`, below the new folder."""

    source: str
    relative: str
    expected: Expected


@dataclass(frozen=True)
class PutBack:
    """How many images went back to folders outside the clustering, and whether every move was undone."""

    returned: int
    complete: bool


class MoveJournal:
    """Moves files into `folder`; `put_back` undoes every one of them, whatever came between.

    `name` is that of the clustering that the folder is to become.
    """

    def __init__(self, folder: str, name: str, moves: Iterable[PlannedMove], owner: Ownership) -> None:
        self._folder = folder
        self._path = os.path.join(folder, JOURNAL)
        self._signing = _Signing(folder, name, owner)
        with at(self._path) as journal:
            write_durably(journal, "".join(map(self._line, moves)).encode())

    def move(self, move: PlannedMove) -> bool:
        """Move one of the planned files; False where its times or permissions could not be kept."""
        path, known = os.path.join(self._folder, move.relative), {move.expected.identity}

        def note(also: Identity) -> None:
            known.add(also)
            self.add(replace(move, expected=replace(move.expected, identity=also)))

        with at(move.source, Links.ALL) as source, at(path) as target:
            found = move.expected.found_at(source)
            if found is None:
                raise exchanged(move.source)
            if found not in known:
                note(found)
            return move_file(source, target, lambda status: note(identity(status)), move.expected)

    def add(self, move: PlannedMove) -> None:
        """Plan another place for a file, or know its copy."""
        with at(self._path) as journal:
            descriptor = open_regular(journal, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(descriptor, "ab") as file:
            file.write(self._line(move).encode())
            file.flush()
            sync(file.fileno())

    def _line(self, move: PlannedMove) -> str:
        return self._signing.line([move.source, f"./{move.relative}", *_told(move.expected)])


class _Signing:
    """Signs the lines of the journal in one folder, and knows them again."""

    def __init__(self, folder: str, name: str, owner: Ownership) -> None:
        self._bound, self._owner = [name, os.lstat(folder).st_ino], owner

    def line(self, fields: Sequence[object]) -> str:
        return json.dumps([*fields, self._owner.sign(self._signed(fields))]) + "\n"

    def check(self, fields: Sequence[object], signature: object) -> bool:
        return isinstance(signature, str) and self._owner.has_signed(self._signed(fields), signature)

    def _signed(self, fields: Sequence[object]) -> bytes:
        return b"move " + json.dumps([*self._bound, *fields]).encode()


def _told(expected: Expected) -> list[object]:
    return [*expected.identity, expected.key.hex(), expected.head]


def put_back(folder: str, out: str, marker: Marker, owner: Ownership) -> PutBack:
    """Move every file of the journal in `folder` back to where it came from.

    Nothing is ever replaced: where another file has taken the place, ours goes beside it under another name.
    A file that is not the one that was moved there stays, and so does one whose home is not this user's.

    Parameters
    ----------
    out
        The clustering that the folder was to become.
    marker
        That of `folder`.
    """
    moves, complete = _read(os.path.join(folder, JOURNAL), _Signing(folder, marker.name, owner).check)
    complete = complete and (marker.moves is None or len({source for source, _ in moves}) == marker.moves)
    returned, folders = 0, RealFolders()
    for (source, relative), known in moves.items():
        path = os.path.join(folder, relative)
        if not os.path.lexists(path):
            continue
        if not folders.is_direct(path):  # somebody put a link there
            complete = False
            continue
        if _found(source, known[:1], Links.ALL):
            remove(path)  # a copy, made before its original would have gone
            continue
        expected = _found(path, known)
        if expected is None or not move_home(path, source, expected, _move_to_free_name):
            complete = False
            continue
        returned += not (lies_below(source, [out]) or is_companion(source))
    return PutBack(returned, complete)


def _found(path: str, known: Sequence[Expected], links: Links = Links.NONE) -> Expected | None:
    """Say which of those files lies at `path`, by what it is now; None for another, and where none is."""
    nowhere = FileNotFoundError, NotADirectoryError, PermissionError, WayRefusedError
    with contextlib.suppress(*nowhere), at(path, links) as file:
        for expected in known:
            if (found := expected.found_at(file)) is not None:
                return replace(expected, identity=found)
    return None


def planned_homes(folder: str) -> list[str]:
    """List where the journal in `folder` would move files back to, whoever wrote it."""
    return [source for source, _ in _unproved(folder)]


def sign_again(folder: str, name: str, owner: Ownership, accepted: Callable[[str], bool]) -> None:
    """Sign the journal in `folder`, whoever wrote it, but drop what leads to places not `accepted`."""
    moves, signing = _unproved(folder), _Signing(folder, name, owner)
    lines = [
        signing.line([source, f"./{relative}", *_told(expected)])
        for (source, relative), known in moves.items()
        for expected in known
        if accepted(source)
    ]
    if moves:
        with at(os.path.join(folder, JOURNAL)) as journal:
            write_durably(journal, "".join(lines).encode())


def _unproved(folder: str) -> _Moves:
    return _read(os.path.join(folder, JOURNAL), lambda _fields, _signature: True)[0]


def _move_to_free_name(image: Held, home: Held, expected: Expected) -> None:
    names = chain([home.name], substitutes(home.name, "moved-back"))
    under_free_name(lambda name: move_file(image, home.beside(name), expected=expected), names)


def _read(path: str, check: Callable[[Sequence[object], object], bool]) -> tuple[_Moves, bool]:
    """Return what is known of each file, by source and target, and whether all lines pass `check`."""
    moves: _Moves = {}
    complete = True
    try:
        lines = read_limited(path, _MOST_BYTES).splitlines()
    except OSError as error:
        lines, complete = [], isinstance(error, FileNotFoundError)
    for line in lines:
        try:
            fields = json.loads(line)
            told, signature = (fields[:-1], fields[-1]) if len(fields) in {6, 8} else (fields, None)
            source, target, *seen, key, head = told if len(told) == 7 else (*told, "", False)
            inode, size, mtime_ns = seen
            numbers = all(isinstance(number, int) for number in seen)
            if not os.path.isabs(source) or not numbers or not check(told, signature):
                raise ValueError("not a line of ours")  # noqa: TRY301
            expected = Expected((inode, size, mtime_ns), bytes.fromhex(key), head=bool(head))
            moves.setdefault((source, below(target)), []).append(expected)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            complete = False
    return moves, complete
