"""What file systems can do and what they refuse: moves from one to another, locks, mount points, flushes."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator

from imgcluster.errors import ImgclusterError
from imgcluster.files import Expected, copy_new, lock_within, named, open_folder, sync_file
from imgcluster.held import UNSUPPORTED, Held, exchanged, rename_held

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


def move_file(
    source: Held,
    target: Held,
    copied: Callable[[os.stat_result], None] | None = None,
    expected: Expected | None = None,
) -> bool:
    """Move a file without ever replacing one, also to another file system.

    There, the copy is complete and on the disk before it gets its name, and has its name before the source
    goes. `copied` is told of the copy just before the source goes. False where the times or permissions of
    the copy are others.

    OSError, and nothing is moved, where the file is not the one that is `expected`.
    """
    try:
        rename_held(source, target)
        if expected is not None and expected.found_at(target) is None:
            rename_held(target, source)
            raise exchanged(source.path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        kept = _copy_to_new(source, target, expected)
        if copied is not None:
            copied(target.lstat())
        source.unlink()
        return kept
    return True


def _copy_to_new(source: Held, target: Held, expected: Expected | None) -> bool:
    # The name is always the same, so that the next attempt clears what a killed one left.
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    part = target.beside(f".imgcluster-{digest}.part")
    try:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
        if stat.S_ISLNK(source.lstat().st_mode):
            part.symlink(source.readlink())
            kept = True
        else:
            kept = copy_new(source, part, expected=expected)
            sync_file(part.name, part.folder)
        rename_held(part, target)
        sync_file(os.curdir, target.folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
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


def sync_all(folder: str) -> None:
    """Wait until everything written to the file system of `folder` is on the disk."""
    descriptor = open_folder(folder)
    try:
        syncfs = getattr(_libc, "syncfs", None)
        number = errno.ENOSYS if syncfs is None else syncfs(descriptor) and ctypes.get_errno()
        if number in UNSUPPORTED:
            os.sync()
        elif number:
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
