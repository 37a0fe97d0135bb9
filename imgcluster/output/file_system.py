"""What the operating system can do beyond Python's os module: exchange, rename to a new name, flush."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator

from imgcluster.errors import ImgclusterError
from imgcluster.files import (
    UNSUPPORTED,
    copy_new,
    lock_within,
    named,
    open_folder,
    remove_if_there,
    sync_file,
)

_HERE = -100  # AT_FDCWD
_NO_REPLACE, _EXCHANGE = 1, 2
NO_LINK = frozenset(
    {
        errno.EXDEV,  # another file system
        errno.EPERM,  # a file system without links, or somebody else's file under protected_hardlinks
        errno.EACCES,
        errno.EMLINK,  # as many links as the file system counts
        errno.ENOSYS,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
    }
)
"""The errors of a link that is not to be had where a copy is."""

NAME_REFUSED = frozenset({errno.EINVAL, errno.EILSEQ, errno.ENOENT})
"""The errors of a file system that does not take a name."""

_libc = ctypes.CDLL(None, use_errno=True)


def exchange(first: str, second: str) -> bool:
    """Let two folders change places in one step; False where the file system cannot."""
    try:
        _renameat2(first, second, _EXCHANGE)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return False
        raise
    return True


def rename_new(source: str, target: str) -> None:
    """Rename without ever replacing: FileExistsError where `target` exists."""
    try:
        _renameat2(source, target, _NO_REPLACE)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(source, target)


def move_file(source: str, target: str, copied: Callable[[os.stat_result], None] | None = None) -> bool:
    """Move a file without ever replacing one, also to another file system.

    There, the copy is complete and on the disk before it gets its name, and has its name before the source
    goes. `copied` is told of the copy just before the source goes. False where the times or permissions of
    the copy are others.
    """
    try:
        rename_new(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        kept = _copy_to_new(source, target)
        if copied is not None:
            copied(os.lstat(target))
        os.unlink(source)
        return kept
    return True


def _copy_to_new(source: str, target: str) -> bool:
    folder, name = os.path.split(target)
    # The name is always the same, so that the next attempt clears what a killed one left.
    part = os.path.join(folder, f".imgcluster-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.part")
    try:
        remove_if_there(part)
        if os.path.islink(source):
            os.symlink(os.readlink(source), part)
            kept = True
        else:
            kept = copy_new(source, part, through_link=False)
            sync_file(part)
        rename_new(part, target)
        sync_file(folder)
    except BaseException:
        remove_if_there(part)
        raise
    return kept


def is_mount_point(path: str) -> bool:
    """Whether another file system, or another folder, is mounted at `path`, a path without links."""
    if os.path.ismount(path):
        return True
    try:
        with named("/proc/self/mountinfo") as table:
            mounted = {line.split()[4] for line in table}
    except OSError:
        return False
    return re.sub(rb"[ \t\n\\]", lambda c: b"\\%03o" % c[0][0], os.fsencode(path)) in mounted


def remove_if_empty(folder: str) -> None:
    """Remove a folder, unless something is in it."""
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY}:  # a mount point
            raise


def sync_all(folder: str) -> None:
    """Wait until everything written to the file system of `folder` is on the disk."""
    descriptor = open_folder(folder)
    try:
        syncfs = getattr(_libc, "syncfs", None)
        if syncfs is None:
            os.sync()
        elif syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked_folder(folder: str, wait: float, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a folder's lock. ImgclusterError where another process holds it for more than `wait` seconds.

    `waiting` is called before a wait.
    """
    descriptor = open_folder(folder)
    try:
        try:
            if not lock_within(descriptor, wait, waiting):
                raise ImgclusterError(
                    f"another imgcluster writes in {folder}, and had not finished after {wait:g} s: "
                    "run the same command again later"
                )
        except OSError as error:
            if error.errno not in UNSUPPORTED | {errno.ENOLCK}:  # a file system without locks
                raise
        yield
    finally:
        os.close(descriptor)


def _renameat2(source: str, target: str, flags: int) -> None:
    call = getattr(_libc, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(_HERE, os.fsencode(source), _HERE, os.fsencode(target), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)
