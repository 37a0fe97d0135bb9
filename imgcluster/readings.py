"""What this user's own runs have read: the bytes of which key were in which file, and how they looked."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable

from imgcluster.ownership import Ownership
from imgcluster.records import mtime_ns

_BYTES = 16
_WRONG = "wrong "


class Readings:
    """Files of one store as runs of this user read them; a store itself may be somebody else's work.

    A reading holds for a path and for the file's inode, size and time: what agrees in all of them is the file
    that was read. The digests of readings are kept where `owner` keeps its key.
    """

    def __init__(self, owner: Ownership, store: str) -> None:
        self._owner, self._name = owner, _name(store)
        self._real_folders: dict[str, str] = {}
        # Those of a set were read for one of them.
        stores = dict.fromkeys(map(_name, (store, *glob.glob(store))))
        self._known = self._kept(stores)
        self._wrong = self._kept(_WRONG + name for name in stores)

    def prove(self, path: str, status: os.stat_result, key: bytes) -> bool:
        """Whether the file that `status` is of, at `path`, was read, and held the bytes of `key`."""
        real = self._real(path)
        return _digest(real, status.st_ino, status.st_size, mtime_ns(status), key) in self._known

    def refute(self, path: str, size: int, changed_ns: int, key: bytes) -> bool:
        """Whether a file of that size and time, at `path`, was read, and did not hold the bytes of `key`."""
        return bool(self._wrong) and _digest(path, 0, size, changed_ns, key) in self._wrong

    def add(self, readings: Iterable[tuple[str, int, int, int, bytes]]) -> None:
        """Remember of files path, inode, size, time and key."""
        self._add(
            self._name,
            self._known,
            {
                _digest(self._real(path), inode, size, changed_ns, key)
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

    def _real(self, path: str) -> str:
        """Say where a path leads: on another disk another file may have the same number, size and time."""
        folder, name = os.path.split(path)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        real = os.path.join(self._real_folders[folder], name)
        return os.path.realpath(real) if os.path.islink(real) else real

    def _kept(self, names: Iterable[str]) -> set[bytes]:
        kept = map(self._owner.digests, names)  # each is cut by itself: a torn one does not shift the others
        return {each[at : at + _BYTES] for each in kept for at in range(0, len(each), _BYTES)}

    def _add(self, name: str, known: set[bytes], digests: set[bytes]) -> None:
        if new := digests - known:
            self._owner.add_digests(name, b"".join(new))
            known |= new


def _name(store: str) -> str:
    return f"readings of {os.path.realpath(store)}"


def _digest_of_looks(key: bytes, looks: bytes) -> bytes:
    return hashlib.blake2b(b"".join((b"looks ", key, looks)), digest_size=_BYTES).digest()


def _digest(path: str, inode: int, size: int, changed_ns: int, key: bytes) -> bytes:
    state = f"{inode} {size} {changed_ns} ".encode()
    return hashlib.blake2b(b"".join((state, key, os.fsencode(path))), digest_size=_BYTES).digest()
