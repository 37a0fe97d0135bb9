"""Opening the store's file: lock, recovery, and the page log between HDF5 and the disk."""

from __future__ import annotations

import errno
import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py

from imgcluster.errors import StoreError, StoreLocked
from imgcluster.store import migrations, page_log, schema
from imgcluster.store.damage import DAMAGE, damaged
from imgcluster.store.interrupts import held_back
from imgcluster.store.lock import WriterLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgcluster.records import Notify

_READER_PATIENCE_SECONDS = 30.0
_READER_TRIES_WITHOUT_LOCK = 20
_EMPTY_STORE_BYTES = 1 << 20


class StoreFile:
    """The HDF5 file of a store, open for reading or as the one writer.

    Attributes
    ----------
    h5
        The file as h5py has it.
    target
        Where it lies, with links resolved; the logs and the lock lie beside it.
    """

    def __init__(
        self, path: str, *, write: bool, lock: bool, recover: bool = True, notify: Notify | None = None
    ) -> None:
        self.path = path
        self.target = os.path.realpath(path)
        self._locking = lock
        self._recovering = recover and lock
        self._notify: Notify = notify or _say_nothing
        self._lock: WriterLock | None = None
        self._pages: page_log.PagedFile | None = None
        self._through: page_log.PagedFile | None = None
        self._broken = False
        if not lock:
            self._notify(
                f"{path} is used without a lock: make sure that no other program writes it meanwhile"
            )
        try:
            self.h5 = self._open_for_writing() if write else self._open_for_reading()
            try:
                with held_back():
                    self._check_format()
                    if write:
                        with self._damage_explained():
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
            if self._locking:
                self._lock = WriterLock(self.target)
            if not os.path.exists(self.target):
                self._create()
            self._pages = page_log.PagedFile(self.target, locking=self._locking)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror or error}") from error
        if self._pages.recovered:
            self._say_recovered()
        with held_back(), self._damage_explained():
            return h5py.File(self._pages, "r+", libver="earliest")

    def _create(self) -> None:
        """Make a new store under another name first: a crash leaves all of it or nothing."""
        for log in page_log.log_paths(self.target):
            # It belonged to a store that someone removed.
            if os.path.exists(log):
                os.truncate(log, 0)
        with (
            replacement(self.target, room=_EMPTY_STORE_BYTES) as new,
            h5py.File(new, "w", libver="earliest") as file,
        ):
            migrations.migrate(file)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around every change: after an exception inside, nothing is committed any more."""
        if self._pages is None:
            raise StoreError(f"{self.path} was opened for reading")
        if self._broken:
            raise StoreError(
                f"writing {self.path} failed earlier: open it again (what was committed is kept)"
            )
        self._broken = True
        with held_back():
            yield
            self._broken = False

    def commit(self) -> None:
        """Make all changes permanent.

        Raises
        ------
        StoreError
            The disk is full or fails. It can be tried again; what was committed before is safe.
        """
        with self.changing():
            self.h5.flush()
        assert self._pages is not None  # noqa: S101 - `changing` has looked
        try:
            with held_back():
                self._pages.commit()
        except OSError as error:
            raise StoreError(
                f"cannot write {self.path}: {error.strerror or error}; what was committed before is kept: "
                "make room on that disk, then run the command again"
            ) from error

    def close(self, *, keep: bool = True) -> None:
        """Commit (with `keep`), put everything in place and let others write."""
        try:
            if keep and self.h5 and self._pages is not None and not self._broken:
                self.commit()
        finally:
            with held_back():
                self.h5.close()
                self._release()

    def _release(self) -> None:
        if self._through is not None:
            self._through.release()
            self._through = None
        if self._pages is not None:
            self._pages.drop()
            try:
                self._pages.settle()
            except OSError as error:
                self._notify(f"{self.path}: {error.strerror}; the next command puts that right")
            finally:
                self._pages.release()
                self._pages = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def replace_by(self, new: str, target: str) -> None:
        """Put the finished file `new` in this one's place, `target`, atomically, and close.

        Raises
        ------
        StoreError
            A reader keeps the log from being emptied, which would then be taken for the new file's.
        """
        assert self._pages is not None  # noqa: S101 - only writers replace
        self.h5.close()
        self._pages.drop()
        if not self._pages.settle():
            self._release()
            raise StoreError(f"{self.path} is being read: run the command again when that has finished")
        os.replace(new, target)
        page_log.sync_folder(target)
        self._release()

    # Reading.

    def _open_for_reading(self) -> h5py.File:
        if not os.path.exists(self.target):
            raise StoreError(
                f"no feature store at {self.path}: run `imgcluster extract` first, or name another by --store"
            )
        deadline = time.monotonic() + _READER_PATIENCE_SECONDS
        tries = 0
        while True:
            tries += 1
            try:
                return self._try_reading()
            except StoreError:
                # Without a lock nothing keeps a writer's pages back while this looks.
                being_written = not self._locking and not page_log.is_settled(self.target)
                if not being_written or tries > _READER_TRIES_WITHOUT_LOCK:
                    raise
                time.sleep(0.05)
            except BlockingIOError as error:
                # The writer holds the file for the moment that it takes to put pages in place.
                if time.monotonic() > deadline:
                    raise StoreError(f"{self.path} stays locked: another program is writing it") from error
                time.sleep(0.01)

    def _try_reading(self) -> h5py.File:
        if self._recovering and not page_log.is_settled(self.target):
            self._recover_if_abandoned()
        # Its shared lock keeps the file as it is until this closes, also where HDF5's own locks are off.
        self._through = page_log.PagedFile(self.target, writable=False, locking=self._locking)
        try:
            with self._damage_explained():
                if self._through.in_place():
                    return h5py.File(self.target, "r", locking=self._locking)
                # The log cannot be put in place now, so this reads through it.
                return h5py.File(self._through, "r")
        except BaseException:
            self._through.release()
            self._through = None
            raise

    def _recover_if_abandoned(self) -> None:
        """Put in place what a dead writer left in the log, if that is possible from here."""
        try:
            lock = WriterLock(self.target, patience=0)
        except (StoreLocked, PermissionError):
            return
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            return
        try:
            pages = page_log.PagedFile(self.target)
            if pages.recovered and pages.in_place():
                self._say_recovered()
            pages.release()
        except PermissionError:
            return
        finally:
            lock.release()

    # Both.

    def _say_recovered(self) -> None:
        self._notify(
            f"{self.path}: recovered the last changes of an earlier run that was interrupted "
            "(or ended while the store was being read); nothing that it had committed is lost"
        )

    def _check_format(self) -> None:
        with self._damage_explained():
            ours = self.h5.attrs.get("format") == schema.FORMAT
            version = migrations.schema_version(self.h5)
        if not ours:
            raise StoreError(f"{self.path} is an HDF5 file, but no feature store: name another with --store")
        if version > len(migrations.MIGRATIONS):
            raise StoreError(
                f"{self.path} was written by a newer imgcluster (schema {version}, this one knows "
                f"{len(migrations.MIGRATIONS)}): update imgcluster; the store is untouched"
            )

    @contextmanager
    def _damage_explained(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError:
            raise
        except DAMAGE as error:
            if not has_signature(self.target):
                raise StoreError(f"{self.path} is no HDF5 file: name another with --store") from error
            raise damaged(self.path, error) from error


def has_signature(path: str) -> bool:
    """Whether a file begins as HDF5 files do."""
    with open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


@contextmanager
def replacement(path: str, put: Callable[[str, str], None] = os.replace, *, room: int = 0) -> Iterator[str]:
    """Give a name to write a file under that then takes the place of `path`, durably, or is removed.

    `room` is how many bytes must be free: HDF5 itself crashes on a full disk.
    """
    new = f"{path}.new-{os.getpid()}"
    try:
        if shutil.disk_usage(os.path.dirname(path)).free < room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - explained below
        yield new
        if os.path.exists(path):
            shutil.copymode(path, new)
        descriptor = os.open(new, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        put(new, path)
        page_log.sync_folder(path)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; what was there before is untouched"
        ) from error
    finally:
        if os.path.exists(new):
            os.unlink(new)


def _say_nothing(message: str) -> None:
    del message
