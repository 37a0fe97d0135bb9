"""One writer at a time: a lock that the system itself takes back when its holder dies."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress

from imgcluster.errors import StoreError, StoreLocked
from imgcluster.files import lock_within, open_resolved, permissions_beside
from imgcluster.records import Notify


class WriterLock:
    """An exclusive flock on ``<store>.lock`` for as long as the object is not released.

    The file's existence means nothing, so it is never removed; what stands in it is for messages only.
    Another process that holds it is granted `wait` seconds.

    Raises
    ------
    StoreLocked
        Another process holds it; the message says which one, since when.
    StoreError
        The lock cannot be made, or the file system has none.
    """

    def __init__(self, store: str, wait: float = 0.0, notify: Notify = lambda _: None) -> None:
        path = _path(store)
        try:
            self._descriptor = open_resolved(path, os.O_RDWR | os.O_CREAT, mode=permissions_beside(store))
        except OSError as error:
            raise StoreError(
                f"cannot write {path}: {error.strerror or error}: name a store elsewhere with --store"
            ) from error
        try:
            _acquire(self._descriptor, store, wait, notify)
            holder = json.dumps({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, holder.encode(), 0)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others write."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def wait_for_writer(store: str, wait: float, notify: Notify) -> None:
    """Wait until nobody writes a store that is to be read; nothing is made or written for that.

    Where the lock cannot be opened, there is no wait: reading goes on beside a writer, too. StoreLocked and
    StoreError as `WriterLock` says.
    """
    with suppress(OSError):
        descriptor = open_resolved(_path(store), os.O_RDWR)
        try:
            _acquire(descriptor, store, wait, notify)
        finally:
            os.close(descriptor)


def _path(store: str) -> str:
    return f"{store}.lock"


def _acquire(descriptor: int, store: str, wait: float, notify: Notify) -> None:
    def waiting() -> None:
        notify(f"waiting up to {wait:g} s: {store} is being written by {_holder(descriptor)}")

    try:
        if lock_within(descriptor, wait, waiting):
            return
    except OSError as error:
        raise StoreError(
            f"the file system of {store} has no locks ({os.strerror(error.errno or 0)}): "
            "make sure that nothing else uses the store, then add --no-lock"
        ) from error
    raise StoreLocked(
        f"{store} is being written by {_holder(descriptor)}: wait until it has finished, "
        "or stop it (what it has done is kept)"
    )


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {holder['pid']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
