"""A page log: a file whose changes become permanent all at once, or not at all.

It knows pages and files, nothing of what they hold. `PagedFile` stands below a library that writes wherever
it likes: nothing reaches the disk before `commit`, and a commit that returned survives kill -9 and power
loss.

One commit, in this order:

1. Pages wholly past the committed end are written to the file itself, for nothing committed refers to them,
   and the file is synced. That also makes the pages durable that the commit before put in place.
2. All other changed pages go, as one record with a checksum, into one of two log files, which is synced.
   This is the moment of the commit. The two take turns, so the newest whole record is never overwritten.
3. The same pages are put in place under an exclusive flock. While a reader holds the file they stay in memory
   instead, and go into the next record too.

Recovery takes the newest whole record and puts its pages in place; doing it again does no harm. Logs are
emptied only when the file holds everything, the older one first: otherwise a crash between the two would
leave an old record that undoes a newer commit. Empty logs mean that any program may read the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from typing import TYPE_CHECKING

from imgcluster.store.log_record import PAGE, Record

if TYPE_CHECKING:
    from collections.abc import Mapping


def log_paths(path: str) -> tuple[str, str]:
    """Name the two log files that belong to `path`."""
    return f"{path}.wal0", f"{path}.wal1"


def is_settled(path: str) -> bool:
    """Whether both logs are empty or missing: the file alone holds everything."""
    return not any(os.path.exists(log) and os.path.getsize(log) for log in log_paths(path))


def sync(descriptor: int) -> None:
    """Return once what was written to the file is on the disk."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)


def sync_folder(path: str) -> None:
    """Make the creation or renaming of `path` durable."""
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def newest_record(path: str) -> Record | None:
    """Find the newest whole record in the logs of `path`, if there is any."""
    records = []
    for log in log_paths(path):
        with contextlib.suppress(FileNotFoundError), open(log, "rb") as stream:
            records.append(Record.decode(stream.read()))
    return max((r for r in records if r is not None), key=lambda record: record.sequence, default=None)


class PagedFile:
    """A file in which writes stay in memory until `commit`; one process at a time may write it.

    Parameters
    ----------
    path
        An existing file.
    writable
        Without it, what the logs hold is seen but put in place nowhere.
    locking
        Whether flock keeps readers from seeing pages while they are put in place. A reader holds a shared
        lock as long as it reads.

    Attributes
    ----------
    recovered
        Whether a log held a commit that may not have been wholly in place.
    """

    def __init__(self, path: str, *, writable: bool = True, locking: bool = True) -> None:
        self._path = path
        self._locking = locking
        self._logs: tuple[int, ...] = ()
        self._dirty: dict[int, bytearray] = {}
        self._position = 0
        self._torn_log = False
        self._failed = False
        self._file = os.open(path, os.O_RDWR if writable else os.O_RDONLY)
        try:
            if not writable and locking:
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            record = newest_record(path)
            self.recovered = record is not None
            # What is committed but not yet in place.
            self._pending = dict(record.pages) if record else {}
            self._committed_size = record.size if record else os.fstat(self._file).st_size
            self._sequence = record.sequence if record else 0
            self._size = self._committed_size
            self._applied = record is None
            # How much of the file a reader may be looking at.
            self._visible_size = os.fstat(self._file).st_size
            if writable:
                self._logs = tuple(os.open(log, os.O_RDWR | os.O_CREAT, 0o666) for log in log_paths(path))
                sync_folder(path)
                self.settle()
        except BaseException:
            self.release()
            raise

    # The file as its user sees it.

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position and return it."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` from the position on; return how many bytes there were."""
        view = memoryview(buffer).cast("B")
        start = self._position
        view = view[: max(0, self._size - start)]
        self._read_committed(view, start)
        _overlay(view, start, self._dirty)
        self._position += len(view)
        return len(view)

    def read(self, length: int = -1) -> bytes:
        """Return up to `length` bytes from the position on, or all that follow."""
        buffer = bytearray(max(0, self._size - self._position) if length < 0 else length)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def write(self, buffer: memoryview) -> int:
        """Change bytes from the position on, in memory."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view):
            number, at = divmod(self._position, PAGE)
            length = min(PAGE - at, len(view) - done)
            if number not in self._dirty:
                self._dirty[number] = bytearray(PAGE) if length == PAGE else self._committed_page(number)
            self._dirty[number][at : at + length] = view[done : done + length]
            self._position += length
            done += length
        self._size = max(self._size, self._position)
        return done

    def truncate(self, size: int) -> int:
        """Set the size, in memory."""
        # Should the file grow again, what was cut off has to read as zeros.
        for number in range(size // PAGE, -(-self._size // PAGE)):
            page = self._dirty.get(number) or self._committed_page(number)
            keep = max(0, size - number * PAGE)
            page[keep:] = bytes(PAGE - keep)
            self._dirty[number] = page
        self._size = size
        return size

    def flush(self) -> None:
        """Do nothing: only `commit` writes."""

    def _committed_page(self, number: int) -> bytearray:
        page = bytearray(PAGE)
        self._read_committed(memoryview(page), number * PAGE)
        return page

    def _read_committed(self, view: memoryview, start: int) -> None:
        # Past the committed end the disk may hold the remains of a commit that failed; it counts as zeros.
        end = min(len(view), self._committed_size - start)
        done = 0
        while done < end:
            count = os.preadv(self._file, [view[done:end]], start + done)
            if count == 0:
                break
            done += count
        view[done:] = bytes(len(view) - done)
        _overlay(view, start, self._pending)

    # Making it permanent.

    def commit(self) -> None:
        """Make all changes permanent.

        Raises
        ------
        OSError
            Nothing of this commit counts; it can be tried again, or given up with `drop`.
        """
        if self._torn_log:
            # A record whose sync failed may be whole all the same, and relies on pages now to be rewritten.
            self._empty_log((self._sequence + 1) % 2)
        # A page that nobody wrote is zeros, whatever lies on the disk where a longer file once ended.
        for number in range(-(-self._committed_size // PAGE), -(-self._size // PAGE)):
            self._dirty.setdefault(number, bytearray(PAGE))
        end = max(self._committed_size, self._visible_size)
        changed = self._changed_pages()
        if not changed and self._size == self._committed_size:
            self._dirty.clear()
            return
        beyond = {n: page for n, page in changed.items() if n * PAGE >= end}
        logged = self._pending | {n: page for n, page in changed.items() if n not in beyond}
        logged = {n: page for n, page in logged.items() if n * PAGE < self._size}
        self._write_pages(beyond, self._size)
        self._sync_file()
        record = Record(self._sequence + 1, self._size, logged)
        self._write_record(record)
        self._sequence, self._committed_size, self._pending = record.sequence, record.size, record.pages
        self._applied = False
        self._dirty.clear()
        self._put_in_place()

    def _changed_pages(self) -> dict[int, bytes]:
        # A library that rewrites whole blocks changes few of their pages.
        return {
            number: bytes(page)
            for number, page in self._dirty.items()
            if number * PAGE < self._size
            and (number * PAGE >= self._committed_size or page != self._committed_page(number))
        }

    def _write_pages(self, pages: dict[int, bytes], size: int) -> None:
        for number, page in sorted(pages.items()):
            _write_all(self._file, page[: max(0, size - number * PAGE)], number * PAGE)

    def _sync_file(self) -> None:
        # After a failed sync the system may take the lost pages for written, so a second try proves nothing.
        # The log still has them: whoever opens the file next starts from there.
        if self._failed:
            raise OSError(errno.EIO, "the disk failed earlier", self._path)
        self._failed = True
        sync(self._file)
        self._failed = False

    def _write_record(self, record: Record) -> None:
        log = self._logs[record.sequence % 2]
        self._torn_log = True
        _write_all(log, record.encode(), 0)
        sync(log)
        self._torn_log = False

    def _empty_log(self, which: int) -> None:
        os.ftruncate(self._logs[which], 0)
        sync(self._logs[which])

    def _put_in_place(self) -> None:
        """Write the committed pages where they belong, unless a reader holds the file or the disk fails.

        Either way the log has them, and the next commit tries again.
        """
        with contextlib.suppress(OSError):
            if self._locking:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Should this fail half-way, the lock stays, for what lies there now is nothing to read.
            os.ftruncate(self._file, self._committed_size)
            self._write_pages(self._pending, self._committed_size)
            if self._locking:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._pending = {}
            self._applied = True
            self._visible_size = self._committed_size

    def settle(self) -> bool:
        """Put all that is committed in place and empty the logs; False where a reader is in the way."""
        if not self._applied:
            self._put_in_place()
        if self._applied and any(os.fstat(log).st_size for log in self._logs):
            self._sync_file()
            self._empty_log((self._sequence + 1) % 2)
            self._empty_log(self._sequence % 2)
        return self._applied

    def in_place(self) -> bool:
        """Whether the file itself, without the log, holds all that is committed."""
        ends = {number: min(PAGE, self._committed_size - number * PAGE) for number in self._pending}
        return os.fstat(self._file).st_size >= self._committed_size and all(
            os.pread(self._file, ends[number], number * PAGE) == page[: ends[number]]
            for number, page in self._pending.items()
        )

    def drop(self) -> None:
        """Forget all changes since the last commit."""
        self._dirty.clear()
        self._size = self._committed_size

    def release(self) -> None:
        """Close the files as they are: what is not committed is lost, what is not in place is in the log."""
        if self._logs and is_settled(self._path):
            for log in log_paths(self._path):
                os.unlink(log)
        for descriptor in (self._file, *self._logs):
            if descriptor >= 0:
                os.close(descriptor)
        self._file, self._logs = -1, ()


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]


def _overlay(view: memoryview, start: int, pages: Mapping[int, bytes | bytearray]) -> None:
    """Copy what `pages` have of the bytes `view`, which begin at `start` in the file."""
    for number in range(start // PAGE, -(-(start + len(view)) // PAGE)) if pages else ():
        if number in pages:
            low, high = max(start, number * PAGE), min(start + len(view), (number + 1) * PAGE)
            view[low - start : high - start] = pages[number][low - number * PAGE : high - number * PAGE]
