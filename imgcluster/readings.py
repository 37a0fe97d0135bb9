"""What this user's own runs have read: the bytes of which key were in which file, and how they looked."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable
from functools import cached_property

from imgcluster.files import RealFolders
from imgcluster.ownership import DIGEST_BYTES, Ownership
from imgcluster.records import mtime_ns

_WRONG = "wrong "


class Readings:
    """Files of one store as runs of this user read them; a store itself may be somebody else's work.

    A reading holds for a path and for the file's inode, size and time: what agrees in all of them is the file
    that was read. The digests of readings are kept where `owner` keeps its key.
    """

    def __init__(self, owner: Ownership, store: str) -> None:
        self._owner, self._name = owner, _name(store)
        # Those of a set were read for one of them.
        self._stores = tuple(dict.fromkeys(map(_name, (store, *glob.glob(store)))))
        self.folders = RealFolders()

    @cached_property
    def _known(self) -> set[bytes]:
        return set().union(*map(self._owner.digests, self._stores))

    @cached_property
    def _wrong(self) -> set[bytes]:
        return set().union(*(self._owner.digests(_WRONG + store) for store in self._stores))

    def prove(self, place: str, status: os.stat_result, key: bytes) -> bool:
        """Whether the file that `status` is of was read, and held the bytes of `key`.

        `place` is where its path leads: on another disk another file may have the same number, size and time.
        """
        return _digest(place, status.st_ino, status.st_size, mtime_ns(status), key) in self._known

    def refute(self, path: str, size: int, changed_ns: int, key: bytes) -> bool:
        """Whether a file of that size and time, at `path`, was read, and did not hold the bytes of `key`."""
        return bool(self._wrong) and _digest(path, 0, size, changed_ns, key) in self._wrong

    def add(self, readings: Iterable[tuple[str, int, int, int, bytes]]) -> None:
        """Remember of files path, inode, size, time and key."""
        self._add(
            self._name,
            self._known,
            {
                _digest(self._place(path), inode, size, changed_ns, key)
                for path, inode, size, changed_ns, key in readings
            },
        )

    def add_wrong(self, readings: Iterable[tuple[str, int, int, bytes]]) -> None:
        """Remember path, size, time and key of files that do not hold the bytes of that key."""
        digests = {_digest(path, 0, size, time, key) for path, size, time, key in readings}
        self._add(_WRONG + self._name, self._wrong, digests)

    def prove_looks(self, key: bytes, looks: bytes) -> bool:
        """Whether a run saw that the image of `key` looks so, as a store says."""
        return _digest_of_looks(key, looks) in self._known

    def add_looks(self, seen: Iterable[tuple[bytes, bytes]]) -> None:
        """Remember of images key and looks."""
        self._add(self._name, self._known, {_digest_of_looks(*looks) for looks in seen})

    def _place(self, path: str) -> str:
        return os.path.realpath(path) if os.path.islink(path) else self.folders.place(path)

    def _add(self, name: str, known: set[bytes], digests: set[bytes]) -> None:
        if new := digests - known:
            self._owner.add_digests(name, new)
            known |= new


def _name(store: str) -> str:
    return f"readings of {os.path.realpath(store)}"


def _digest_of_looks(key: bytes, looks: bytes) -> bytes:
    return hashlib.blake2b(b"".join((b"looks ", key, looks)), digest_size=DIGEST_BYTES).digest()


def _digest(path: str, inode: int, size: int, changed_ns: int, key: bytes) -> bytes:
    state = f"{inode} {size} {changed_ns} ".encode()
    return hashlib.blake2b(b"".join((state, key, os.fsencode(path))), digest_size=DIGEST_BYTES).digest()
