"""Which files are being decoded right now, beside the store: what killed a process stays known."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from imgcluster.errors import StoreError
from imgcluster.files import open_resolved, permissions_beside
from imgcluster.held import remove
from imgcluster.typed import place_of

_MOST_SLOTS = 1 << 16
_SLOT_BYTES = 4096
"""A system's longest path, with its final zero, is as long."""


class InFlight:
    """The file ``<store>.inflight``: a slot of fixed size for each file in a decoder's hands.

    To be opened by the store's one writer. A slot is written with one call and never waits for the disk: it
    is to outlive the process, not the machine. Its methods may be called from any thread.

    Attributes
    ----------
    suspects
        Paths that were in flight when an earlier process died.
    """

    def __init__(self, store: str | Path) -> None:
        self.path = f"{place_of(os.fspath(store))}.inflight"
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._descriptor = open_resolved(
                self.path, os.O_RDWR | os.O_CREAT, mode=permissions_beside(os.fspath(store))
            )
            try:
                self._count = -(-os.fstat(self._descriptor).st_size // _SLOT_BYTES)
                if self._count > _MOST_SLOTS:
                    raise OSError(errno.EFBIG, "is not what imgcluster keeps there: move it away")  # noqa: TRY301
                self._slots = self._read()
            except BaseException:
                os.close(self._descriptor)
                raise
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror or error}") from error
        self.suspects = frozenset(self._slots)
        self._free = sorted(set(range(self._count)) - set(self._slots.values()))

    def _read(self) -> dict[str, int]:
        slots = {}
        for slot in range(self._count):
            path = os.pread(self._descriptor, _SLOT_BYTES, slot * _SLOT_BYTES).split(b"\0")[0]
            if path:
                slots[os.fsdecode(path)] = slot
        return slots

    def start(self, path: str) -> None:
        """Note that the file goes to a decoder."""
        with self._lock:
            # A decoder thread may be at its queue still when the store is closed.
            if self._closed or path in self._slots:
                return
            if not self._free:
                self._free.append(self._count)
                self._count += 1
            slot = self._slots[path] = self._free.pop()
            self._write(slot, os.fsencode(path))

    def finish(self, path: str) -> None:
        """Note that the decoder has come back; a suspect stays noted until it is settled."""
        if path not in self.suspects:
            self.settle([path])

    @contextlib.contextmanager
    def watching(self, path: str) -> Iterator[None]:
        """Have the file noted while the block runs."""
        self.start(path)
        try:
            yield
        finally:
            self.finish(path)

    def settle(self, paths: Iterable[str]) -> None:
        """Note that what became of files is in the store."""
        with self._lock:
            for path in () if self._closed else paths:
                slot = self._slots.pop(path, None)
                if slot is not None:
                    self._write(slot, b"")
                    self._free.append(slot)

    def _write(self, slot: int, path: bytes) -> None:
        # On a full disk only the note is lost; what to do about the disk, the store itself will say.
        if len(path) < _SLOT_BYTES:
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, path.ljust(_SLOT_BYTES, b"\0"), slot * _SLOT_BYTES)

    def close(self) -> None:
        """Forget all but the suspects that this process had no occasion to try."""
        untried = self.suspects & self._slots.keys()
        self.settle(self._slots.keys() - untried)
        with self._lock:
            self._closed = True
            os.close(self._descriptor)
            if not untried:
                with contextlib.suppress(FileNotFoundError):
                    remove(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
