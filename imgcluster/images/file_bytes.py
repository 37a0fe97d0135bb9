"""A file's bytes and their key: regular files only, never waiting on a pipe, with reasons for a person."""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from imgcluster.errors import FailureCode, UnreadableImage

MAX_BYTES = 2 << 30
"""Larger files are no photographs; they would only fill the memory."""

_KINDS = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a named pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)

_GONE = ("the file is gone", FailureCode.VANISHED)
_FORBIDDEN = ("no permission to read it", FailureCode.IO_ERROR)
_REASONS = {
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ELOOP: ("a symbolic link that leads in a circle", FailureCode.NOT_A_FILE),
    errno.ENAMETOOLONG: ("the name is too long for this system", FailureCode.NOT_A_FILE),
    errno.ENXIO: ("a socket or a device, not a file", FailureCode.NOT_A_FILE),
    errno.EISDIR: ("a folder, not a file", FailureCode.NOT_A_FILE),
}


def kind_of_special_file(mode: int) -> str | None:
    """Say what a file is that is none to read (a pipe, a device …), or None for a regular one."""
    if stat.S_ISREG(mode):
        return None
    return next((kind for matches, kind in _KINDS if matches(mode)), "not a regular file")


def reason_of(error: OSError) -> tuple[str, FailureCode]:
    """Say in plain words why the system refused a file, and the code of that."""
    unknown = f"cannot be read: {error.strerror or error}", FailureCode.IO_ERROR
    return _REASONS.get(error.errno or 0, unknown)


def read_file(path: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return all bytes of a regular file; UnreadableImage as of `read_with_status`."""
    return read_with_status(path, max_bytes=max_bytes)[0]


def read_with_status(path: str, *, max_bytes: int = MAX_BYTES) -> tuple[bytes, os.stat_result]:
    """Return all bytes of a regular file, and the status of the very file that they are from.

    Raises
    ------
    UnreadableImage
        With the reason: gone, forbidden, a pipe, empty, larger than `max_bytes`, changed while it was read …
    """
    try:
        # Without O_NONBLOCK the opening of a pipe that nobody writes to never returns.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as error:
        raise UnreadableImage("a name that no file can have", FailureCode.NOT_A_FILE) from error
    except OSError as error:
        raise UnreadableImage(*reason_of(error)) from error
    try:
        return _read_all(descriptor, max_bytes)
    except OSError as error:
        raise UnreadableImage(reason_of(error)[0], FailureCode.IO_ERROR) from error
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, max_bytes: int) -> tuple[bytes, os.stat_result]:
    status = os.fstat(descriptor)
    special = kind_of_special_file(status.st_mode)
    if special:
        raise UnreadableImage(special, FailureCode.NOT_A_FILE)
    if status.st_size > max_bytes:
        raise UnreadableImage(f"larger than {max_bytes >> 20} MiB", FailureCode.UNSUPPORTED)
    parts: list[bytes] = []
    left = status.st_size
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    # A file that shrank or grew under our hands is only half of something.
    if left or os.fstat(descriptor).st_size != status.st_size:
        raise UnreadableImage("changed while it was read", FailureCode.CHANGED)
    if not parts:
        raise UnreadableImage("an empty file", FailureCode.EMPTY)
    return parts[0] if len(parts) == 1 else b"".join(parts), status


def content_key(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 digest of a file's bytes: equal files share one key, whatever their names.

    Two different files with one key cannot be made on purpose as long as SHA-256 stands.
    """
    return hashlib.sha256(data).digest()
