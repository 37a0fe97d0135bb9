"""What file systems can do and what they refuse: moves, also home again, locks, mount points, flushes."""

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
from imgcluster.held import UNSUPPORTED, Held, Links, WayRefusedError, at, exchanged, nearest, rename_held
from imgcluster.ownership import is_mine

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


def move_home(
    path: str,
    original: str,
    expected: Expected,
    move: Callable[[Held, Held, Expected], object] = lambda image, home, expected: move_file(
        image, home, expected=expected
    ),
) -> bool:
    """Move an image that was moved away to `original`; False, and nothing is done, where that is no home now.

    Its folder (the nearest that is there) must still belong to this user, or to the owner of the image, and
    no link on the way there may be somebody else's: they could have put it there since. OSError where another
    file than the `expected` one lies at `path`.
    """
    with at(path) as image:
        status = image.lstat()
        try:
            with at(original, Links.OWN, make=lambda folder: _may_hold(folder, status)) as home:
                move(image, home, expected)
        except WayRefusedError:
            return False
    return True


def is_still_home(original: str, status: os.stat_result) -> bool:
    """Whether `move_home` would move an image, which `status` is of, to `original`."""
    folder = nearest(os.path.dirname(original))
    return folder is not None and _may_hold(folder, status)


def _may_hold(folder: os.stat_result, image: os.stat_result) -> bool:
    return stat.S_ISDIR(folder.st_mode) and (is_mine(folder) or folder.st_uid == image.st_uid)


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
