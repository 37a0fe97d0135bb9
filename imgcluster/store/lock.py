"""One writer at a time: a lock that the system itself takes back when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time

from imgcluster.errors import StoreError, StoreLocked

_PATIENCE_SECONDS = 1.0
"""A reader that recovers the store holds the lock for a moment; that is not worth an error."""


class WriterLock:
    """An exclusive flock on ``<store>.lock`` for as long as the object is not released.

    The file's existence means nothing, so it is never removed; what stands in it is for messages only.

    Raises
    ------
    StoreLocked
        Another process holds it; the message says which one, since when.
    OSError
        The file cannot be made or written.
    """

    def __init__(self, store: str, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._descriptor = os.open(f"{store}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._wait(store, time.monotonic() + patience)
            holder = json.dumps({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, holder.encode(), 0)
        except BaseException:
            self.release()
            raise

    def _wait(self, store: str, deadline: float) -> None:
        while not self._acquire(store):
            if time.monotonic() > deadline:
                raise StoreLocked(
                    f"{store} is being written by {self._holder()}: wait until it has finished, "
                    "or stop it (what it has done is kept)"
                )
            time.sleep(0.02)

    def _acquire(self, store: str) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise StoreError(
                f"the file system of {store} has no locks ({os.strerror(error.errno or 0)}): "
                "make sure that nothing else uses the store, then add --no-lock"
            ) from error
        return True

    def _holder(self) -> str:
        try:
            holder = json.loads(os.pread(self._descriptor, 1000, 0))
            return f"process {holder['pid']} since {holder['since']}"
        except (ValueError, KeyError, TypeError):
            return "another process"

    def release(self) -> None:
        """Let others write."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
