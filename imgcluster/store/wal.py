"""A write-ahead log below HDF5: a file whose changes become permanent all at once, or not at all.

It knows pages and files, nothing of what they hold. `WriteAheadLog` stands below a library that writes
wherever it likes: nothing reaches the disk before `commit`, and a commit that returned survives kill -9 and
power loss.

One commit, in this order:

1. Pages wholly past the committed end are written to the file itself, for nothing committed refers to them,
   and the file is synced. That also makes the pages durable that the commit before applied.
2. All other changed pages go, as one record with a checksum, into one of two log files, which is synced.
   This is the moment of the commit. The two take turns, so the newest whole record is never overwritten.
3. The same pages are applied to the file under an exclusive flock. While a reader holds the file they stay in
   memory instead, and go into the next record too.

Recovery takes the newest whole record and applies its pages; doing it again does no harm. A checkpoint
empties the logs once the file holds everything, the older one first: otherwise a crash between the two would
leave an old record that undoes a newer commit. Empty logs mean that any program may read the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from imgcluster.files import open_named, open_resolved, permissions_beside, sync, sync_file
from imgcluster.held import at, remove

PAGE = 4096
_MAGIC = b"pagelog1"
# magic, sequence, pages, size of the file after the commit; then the crc32 of these and of all that follows
_HEADER = struct.Struct("<8sQQQ")
_CRC = struct.Struct("<I")
_NUMBER = struct.Struct("<Q")
_RECORD_HEAD, _RECORD_PAGE = _CRC.size + _HEADER.size, _NUMBER.size + PAGE


@dataclass(frozen=True)
class Record:
    """The pages of one commit that were not written past the end, and the file's size after it."""

    sequence: int
    size: int
    pages: dict[int, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the record as it lies in a log."""
        parts = [_HEADER.pack(_MAGIC, self.sequence, len(self.pages), self.size)]
        for number, page in self.pages.items():
            parts += (_NUMBER.pack(number), page)
        body = b"".join(parts)
        return _CRC.pack(zlib.crc32(body)) + body

    @staticmethod
    def decode(data: bytes) -> Record | None:
        """Read the record at the start of a log, or None where it is empty or torn."""
        if len(data) < _RECORD_HEAD:
            return None
        magic, sequence, count, size = _HEADER.unpack_from(data, _CRC.size)
        end = _RECORD_HEAD + count * _RECORD_PAGE
        if (
            magic != _MAGIC
            or end > len(data)
            or _CRC.unpack_from(data)[0] != zlib.crc32(data[_CRC.size : end])
        ):
            return None
        pages = {
            _NUMBER.unpack_from(data, at)[0]: data[at + _NUMBER.size : at + _RECORD_PAGE]
            for at in range(_RECORD_HEAD, end, _RECORD_PAGE)
        }
        return Record(sequence, size, pages)


def log_paths(path: str) -> tuple[str, str]:
    """Name the two log files that belong to `path`."""
    return f"{path}.wal0", f"{path}.wal1"


def is_checkpointed(path: str) -> bool:
    """Whether both logs are empty or missing: the file alone holds everything."""
    return not any(os.path.lexists(log) and os.lstat(log).st_size for log in log_paths(path))


def newest_record(path: str, descriptor: int) -> Record | None:
    """Find the newest whole record in the logs of the file at `path`, open as `descriptor`, if there is any.

    No record has more pages than the file, which every commit makes long enough before the log speaks of it;
    a log that says otherwise is not this file's.
    """
    records = []
    for log in log_paths(path):
        with contextlib.suppress(FileNotFoundError), os.fdopen(open_resolved(log), "rb") as stream:
            pages = -(-os.fstat(descriptor).st_size // PAGE)
            record = Record.decode(stream.read(_RECORD_HEAD + pages * _RECORD_PAGE))
            if record is not None and record.size <= pages * PAGE:
                records.append(record)
    return max(records, key=lambda record: record.sequence, default=None)


class WriteAheadLog:
    """A file in which writes stay in memory until `commit`; one process at a time may write it.

    Parameters
    ----------
    path
        An existing file; no link on the way is followed.
    writable
        Without it, what the logs hold is seen but applied nowhere.
    locking
        Whether flock keeps readers from seeing pages while they are applied. A reader holds a shared
        lock as long as it reads.

    Attributes
    ----------
    recovered
        Whether a log held a commit that may not have been wholly applied.
    """

    def __init__(self, path: str, *, writable: bool = True, locking: bool = True) -> None:
        self._path = path
        self._locking = locking
        self._logs: tuple[int, ...] = ()
        self._dirty: dict[int, bytearray] = {}
        self._position = 0
        self._torn_log = False
        self._failed = False
        with at(path) as held:  # a second name of it, which `open_regular` would not write to, does no harm
            self._file = open_named(held, os.O_RDWR if writable else os.O_RDONLY)
        try:
            if not writable and locking:
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            record = newest_record(path, self._file)
            self.recovered = record is not None
            # What is committed but not yet applied.
            self._unapplied = dict(record.pages) if record else {}
            self._committed_size = record.size if record else os.fstat(self._file).st_size
            self._sequence = record.sequence if record else 0
            self._size = self._committed_size
            self._applied = record is None
            # How much of the file a reader may be looking at.
            self._visible_size = os.fstat(self._file).st_size
            if writable:
                for log in log_paths(path):
                    self._logs += (open_resolved(log, os.O_RDWR | os.O_CREAT, mode=permissions_beside(path)),)
                sync_file(os.path.dirname(path) or os.curdir)
                self.checkpoint()
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor of the file."""
        return self._file

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
        _overlay(view, start, self._unapplied)

    # Making it permanent.

    def commit(self) -> None:
        """Make all changes permanent.

        Raises
        ------
        OSError
            Nothing of this commit counts; it can be tried again, or given up with `rollback`.
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
        logged = self._unapplied | {n: page for n, page in changed.items() if n not in beyond}
        logged = {n: page for n, page in logged.items() if n * PAGE < self._size}
        self._write_pages(beyond, self._size)
        self._sync_file()
        record = Record(self._sequence + 1, self._size, logged)
        self._write_record(record)
        self._sequence, self._committed_size, self._unapplied = record.sequence, record.size, record.pages
        self._applied = False
        self._dirty.clear()
        self._apply()

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
        sync(self._file, data_only=True)
        self._failed = False

    def _write_record(self, record: Record) -> None:
        log = self._logs[record.sequence % 2]
        self._torn_log = True
        _write_all(log, record.encode(), 0)
        sync(log, data_only=True)
        self._torn_log = False

    def _empty_log(self, which: int) -> None:
        os.ftruncate(self._logs[which], 0)
        sync(self._logs[which], data_only=True)

    def _apply(self) -> None:
        """Write the committed pages where they belong, unless a reader holds the file or the disk fails.

        Either way the log has them, and the next commit tries again.
        """
        with contextlib.suppress(OSError):
            if self._locking:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Should this fail half-way, the lock stays, for what lies there now is nothing to read.
            os.ftruncate(self._file, self._committed_size)
            self._write_pages(self._unapplied, self._committed_size)
            if self._locking:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._unapplied = {}
            self._applied = True
            self._visible_size = self._committed_size

    def checkpoint(self) -> bool:
        """Apply all that is committed and empty the logs; False where a reader is in the way."""
        if not self._applied:
            self._apply()
        if self._applied and any(os.fstat(log).st_size for log in self._logs):
            self._sync_file()
            self._empty_log((self._sequence + 1) % 2)
            self._empty_log(self._sequence % 2)
        return self._applied

    def is_applied(self) -> bool:
        """Whether the file itself, without the log, holds all that is committed."""
        ends = {number: min(PAGE, self._committed_size - number * PAGE) for number in self._unapplied}
        return os.fstat(self._file).st_size >= self._committed_size and all(
            os.pread(self._file, ends[number], number * PAGE) == page[: ends[number]]
            for number, page in self._unapplied.items()
        )

    def rollback(self) -> None:
        """Forget all changes since the last commit."""
        self._dirty.clear()
        self._size = self._committed_size

    def close(self) -> None:
        """Close the files as they are: what is not committed is lost, what is not applied is in the log."""
        if len(self._logs) == 2 and is_checkpointed(self._path):
            for log in log_paths(self._path):
                remove(log)
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
