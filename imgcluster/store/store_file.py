"""The store's HDF5 file: its lock, and the write-ahead log between HDF5 and the disk."""

from __future__ import annotations

import errno
import glob
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import h5py

from imgcluster import files, held
from imgcluster.errors import StoreError
from imgcluster.held import Held, at, replace_held
from imgcluster.records import SILENT, Notify
from imgcluster.store import migrations, schema, wal
from imgcluster.store.lock import WriterLock, wait_for_writer
from imgcluster.store.schema import CORRUPTION, corrupted
from imgcluster.typed import place_of

_READER_PATIENCE_SECONDS = 30.0
_READER_TRIES_WITHOUT_LOCK = 20
_EMPTY_STORE_BYTES = 1 << 20


class StoreFile:
    """The HDF5 file of a store, open for reading or as the one writer.

    A reader writes nothing: what a writer that died left in the log, it reads from there.

    Attributes
    ----------
    h5
        The file as h5py has it.
    target
        Where it lies, with links resolved; the logs and the lock lie beside it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        write: bool,
        lock: bool,
        wait: float = 0.0,
        notify: Notify | None = None,
    ) -> None:
        self.path = os.path.abspath(path)
        self.target = place_of(os.fspath(path))
        self._writing = write
        self._locking = lock
        self._wait = wait
        self._notify = notify or SILENT.note
        self._lock: WriterLock | None = None
        self._log: wal.WriteAheadLog | None = None
        self._broken = False
        if not lock:
            self._notify(
                f"{self.path} is used without a lock: make sure that no other program writes it meanwhile"
            )
        try:
            if lock and wait and not write and os.path.exists(self.target):
                wait_for_writer(self.target, wait, self._notify)
            self.h5 = self._open_for_writing() if write else self._open_for_reading()
            try:
                with defer_signals():
                    self._check_format()
                    if write:
                        with self._corruption_explained():
                            migrations.migrate(self.h5)
                        self.commit()
            except BaseException:
                self.h5.close()
                raise
        except BaseException:
            self._release()
            raise

    # Writing.

    def _open_for_writing(self) -> h5py.File:
        try:
            others = os.path.lexists(self.target) and wal.is_checkpointed(self.target)
            if others and not has_signature(self.target):  # before a lock is left beside it
                raise _no_store(self.path)
            if self._locking:
                self._lock = WriterLock(self.target, self._wait, self._notify)
            if not os.path.exists(self.target):
                self._create()
            self._log = wal.WriteAheadLog(self.target, locking=self._locking)
        except OSError as error:
            raise failed("write", self.path, error) from error
        if self._log.recovered:
            self._notify(
                f"{self.path}: recovered the last changes of an earlier run that was interrupted "
                "(or ended while the store was being read); nothing that it had committed is lost"
            )
        with defer_signals(), self._corruption_explained():
            return h5py.File(self._log, "r+", libver="earliest")

    def _create(self) -> None:
        refuse_set(self.path)
        for log in wal.log_paths(self.target):
            with suppress(FileNotFoundError):
                held.remove(log)  # it belonged to a store that someone removed
        with new_store(self.target, room=_EMPTY_STORE_BYTES):
            pass

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Around every change: after an exception inside, nothing is committed any more."""
        if not self._writing:
            raise StoreError(f"{self.path} was opened for reading")
        if self._broken:
            raise StoreError(
                f"writing {self.path} failed earlier: open it again (what was committed is kept)"
            )
        self._broken = True
        with defer_signals():
            yield
            self._broken = False

    def commit(self) -> None:
        """Make all changes permanent.

        Raises
        ------
        StoreError
            The disk is full or fails. It can be tried again; what was committed before is safe.
        """
        with self.transaction():
            self.h5.flush()
        assert self._log is not None  # noqa: S101 - open as long as `h5` is
        try:
            with defer_signals():
                self._log.commit()
        except OSError as error:
            raise StoreError(
                f"cannot write {self.path}: {error.strerror or error}; what was committed before is kept: "
                "make room on that disk, then run the command again"
            ) from error

    def close(self, *, keep: bool = True) -> None:
        """Commit (with `keep`), checkpoint and let others write."""
        try:
            if keep and self.h5 and self._writing and not self._broken:
                self.commit()
        finally:
            with defer_signals():
                self.h5.close()
                self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(keep=kind is None)

    def _release(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            try:
                if self._writing:
                    log.rollback()
                    log.checkpoint()
            except OSError as error:
                self._notify(f"{self.path}: {error.strerror}; the next command puts that right")
            finally:
                log.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def replace_by(self, new: Held, target: Held) -> None:
        """Put the finished file `new` in this one's place, `target`, atomically, and close.

        Raises
        ------
        StoreError
            A reader keeps the log from being emptied, which would then be taken for the new file's.
        """
        assert self._log is not None  # noqa: S101 - only writers replace
        self.h5.close()
        self._log.rollback()
        if not self._log.checkpoint():
            self._release()
            raise being_read(self.path)
        replace_held(new, target)
        self._release()

    # Reading.

    def _open_for_reading(self) -> h5py.File:
        require_store(self.path)
        deadline = time.monotonic() + _READER_PATIENCE_SECONDS
        tries = 0
        while True:
            tries += 1
            try:
                return self._try_reading()
            except StoreError:
                # Without a lock nothing keeps a writer's pages back while this looks.
                being_written = not self._locking and not wal.is_checkpointed(self.target)
                if not being_written or tries > _READER_TRIES_WITHOUT_LOCK:
                    raise
                time.sleep(0.05)
            except BlockingIOError as error:
                # The writer holds the file for the moment that it takes to apply its pages.
                if time.monotonic() > deadline:
                    raise StoreError(f"{self.path} stays locked: another program is writing it") from error
                time.sleep(0.01)
            except OSError as error:
                raise failed("read", self.path, error) from error

    def _try_reading(self) -> h5py.File:
        # The log's shared lock keeps the file as it is until this closes, also where HDF5's locks are off.
        self._log = wal.WriteAheadLog(self.target, writable=False, locking=self._locking)
        try:
            with self._corruption_explained():
                if self._log.is_applied() and (path := files.path_of(self._log.fileno())):
                    return h5py.File(path, "r", locking=self._locking)
                return h5py.File(self._log, "r")
        except BaseException:
            self._release()
            raise

    # Both.

    def _check_format(self) -> None:
        with self._corruption_explained():
            ours = self.h5.attrs.get("format") == schema.FORMAT
            version = migrations.schema_version(self.h5)
        if not ours:
            raise StoreError(
                f"{self.path} is an HDF5 file, but not a feature store: name another with --store"
            )
        if version > len(migrations.MIGRATIONS):
            raise StoreError(
                f"{self.path} was written by a newer imgcluster (schema {version}, this one knows "
                f"{len(migrations.MIGRATIONS)}): update imgcluster; the store is untouched"
            )

    @contextmanager
    def _corruption_explained(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError:
            raise
        except CORRUPTION as error:
            if not has_signature(self.target):
                raise _no_store(self.path) from error
            raise corrupted(self.path, error) from error


def require_store(path: str) -> None:
    """Raise StoreError where there is no file."""
    if not os.path.exists(path):
        refuse_set(path)
        raise StoreError(
            f"no feature store at {path}: run `imgcluster extract` first, or name another by --store"
        )


def refuse_set(path: str) -> None:
    """Raise StoreError where a name stands for stores, and not for one that may be made."""
    if "*" in os.path.basename(path) or (glob.has_magic(path) and glob.glob(path)):
        raise StoreError(
            f"{path} stands for a set of stores, which is only read: name one of them by --store"
        )


def _no_store(path: str) -> StoreError:
    return StoreError(f"{path} is not an HDF5 file: name another with --store")


def failed(verb: str, path: str, error: OSError) -> StoreError:
    """Make the error for a store, or a file beside it, that cannot be read or written."""
    more = ": allow more by `ulimit -n`" if error.errno == errno.EMFILE else ""
    return StoreError(f"cannot {verb} {error.filename or path}: {error.strerror or error}{more}")


def being_read(path: str) -> StoreError:
    """Make the error for a store that cannot be replaced now."""
    return StoreError(f"{path} is being read: run the command again when that has finished")


def has_signature(path: str) -> bool:
    """Whether a file begins as HDF5 files do."""
    with files.named(path) as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


@contextmanager
def new_store(
    path: str, put: Callable[[Held, Held], None] = replace_held, *, room: int = 0
) -> Iterator[h5py.File]:
    """Give an empty store to fill; complete, it takes the place of `path`, and a crash leaves all or nothing.

    Parameters
    ----------
    path
        No link on the way is followed.
    put
        Gives the finished file its name.
    room
        How many bytes must be free: HDF5 itself crashes on a full disk.

    Raises
    ------
    StoreError
        The disk is full or cannot be written.
    """
    try:
        with at(path) as place:
            if files.free_bytes(os.path.dirname(path)) < room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - explained below
            with (
                files.replacing(place, put=put) as stream,
                h5py.File(files.path_of(stream.fileno()) or stream, "w", libver="earliest") as file,
            ):
                migrations.migrate(file)
                yield file
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; what was there before is untouched"
        ) from error


@contextmanager
def defer_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block ends: an exception in a callback breaks HDF5's own state.

    Python runs signal handlers in the main thread only, so in others there is nothing to defer; nor is there
    where a signal has no handler of Python's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: handler for number in signals if callable(handler := signal.getsignal(number))}
    caught: list[tuple[Any, Any]] = []
    try:
        for handled in handlers:
            signal.signal(handled, lambda number, frame: caught.append((number, frame)))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if caught:
            received, frame = caught[0]
            handlers[received](received, frame)
