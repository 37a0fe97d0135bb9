"""Names are made, changed and removed in folders that are held open: nobody can exchange these meanwhile.

Who may write to a folder can put a link in the place of one below it at any moment, also between a look and
the act. So a way is gone name by name, from one open folder to the next, and the act is done in the last one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
"""The errors of a call that a file system, mostly one on a network, does not have."""

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_LINKS = 40  # as the kernel follows
_NO_REPLACE, _EXCHANGE = 4 if sys.platform == "darwin" else 1, 2  # RENAME_EXCL and _SWAP of macOS
_OPENAT2 = 437  # on every processor
_HERE = -2 if sys.platform == "darwin" else -100  # AT_FDCWD
_NO_LINKS = (ctypes.c_uint64 * 3)(_FOLDER, 0, 0x04)  # flags, mode, RESOLVE_NO_SYMLINKS
_libc = ctypes.CDLL(None, use_errno=True)


class Links(Enum):
    """Which links on the way to a folder are followed."""

    NONE = auto()  # below a folder whose path was resolved before: one that appears was put there since
    OWN = auto()  # this user's and root's
    ALL = auto()  # as somebody typed it


class WayRefusedError(OSError):
    """A folder that cannot be gone to: a link that is not followed is on the way, or no folder."""


Identity = tuple[int, int, int]
"""Inode, size and time of a file: another file has others."""


def identity(status: os.stat_result) -> Identity:
    """Return what tells a file, not changed since, from all others of its file system."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def exchanged(path: str) -> OSError:
    """Return the error that another file lies at `path` than the one that was looked at."""
    return OSError(errno.ESTALE, "was changed or exchanged meanwhile", path)


class Held(NamedTuple):
    """A name in a folder that is open until a block ends; `path` is what messages call it."""

    folder: int
    name: str
    path: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.folder)

    def lstat(self) -> os.stat_result:
        """Return the status of what lies there, of a link its own. OSError where nothing does."""
        with _by_path(self):
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)

    def open(self, flags: int, mode: int = 0o666) -> int:
        """Open what lies there, or is made, but no link; return its descriptor."""
        with _by_path(self):
            return os.open(self.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=self.folder)

    def readlink(self) -> str:
        """Return what a link says."""
        with _by_path(self):
            return os.readlink(self.name, dir_fd=self.folder)

    def symlink(self, text: str) -> None:
        """Make a link that says `text`."""
        with _by_path(self):
            os.symlink(text, self.name, dir_fd=self.folder)

    def mkdir(self) -> None:
        """Make a folder."""
        with _by_path(self):
            os.mkdir(self.name, dir_fd=self.folder)

    def beside(self, name: str) -> Held:
        """Return another name in the same folder."""
        return self._replace(name=name, path=os.path.join(os.path.dirname(self.path), name))

    def unlink(self) -> None:
        """Remove a file or a link."""
        with _by_path(self):
            os.unlink(self.name, dir_fd=self.folder)

    def rmdir(self) -> None:
        """Remove an empty folder."""
        with _by_path(self):
            os.rmdir(self.name, dir_fd=self.folder)


class _by_path:  # noqa: N801 - a hundred thousand times, for which a generator is too slow
    """Have an error tell the paths of names: others know no more than the names."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Held, second: Held | None = None) -> None:
        self._first, self._second = first, second

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            error.filename, error.filename2 = self._first.path, self._second and self._second.path


def at(path: str, links: Links = Links.NONE, make: Callable[[os.stat_result], bool] | None = None) -> Held:
    """Hold the folder of `path` open.

    Parameters
    ----------
    links
        Which links on the way are followed; what lies at `path` itself is not looked at.
    make
        Whether the nearest folder that is there is accepted, by its status; then what is missing is made.

    Raises
    ------
    WayRefusedError
        Where the folder is not accepted, or cannot be gone to.
    OSError
        Where it is not there and not made, or cannot be opened for another reason.
    """
    folder, name = os.path.split(path)
    return Held(_open(folder, links, make), name, path)


def not_held(path: str) -> Held:
    """Give a path that is followed anew, as it was typed, each time that something is done with it."""
    return Held(_HERE, path, path)


def nearest(folder: str) -> os.stat_result | None:
    """Return the status of the nearest folder that is there; None where a link of others is on the way."""
    try:
        descriptor, _ = _walk(folder, Links.OWN)
    except OSError:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: str) -> None:
    """Make a folder. FileExistsError where something lies there."""
    with at(path) as held:
        held.mkdir()


def make_folders(path: str) -> None:
    """Make a folder and those on the way to it, where they are missing."""
    os.close(_open(path, Links.NONE, lambda _: True))


def remove(path: str) -> None:
    """Remove a file or a link."""
    with at(path) as held:
        held.unlink()


def remove_all(path: str, links: Links = Links.NONE) -> None:
    """Remove a file, a link or a whole folder, or find it gone; `links` as of `at`."""
    with contextlib.suppress(FileNotFoundError), at(path, links) as held:
        if not stat.S_ISDIR(held.lstat().st_mode):
            held.unlink()
            return
        try:
            shutil.rmtree(held.name, onerror=partial(_untold, held), dir_fd=held.folder)
        except RecursionError:
            raise OSError(errno.ELOOP, "has folders too deep for Python: remove it yourself", path) from None


def _untold(
    top: Held,
    _call: object,
    path: str,
    failed: tuple[type[BaseException], BaseException, TracebackType],
) -> None:
    """Raise the error of a removal with the path of what could not be removed, a name below `top`."""
    error = failed[1]
    if isinstance(error, OSError):
        error.filename = os.path.join(os.path.dirname(top.path), path)
    raise error


def remove_folder(path: str) -> None:
    """Remove an empty folder."""
    with at(path) as held:
        held.rmdir()


def remove_if_empty(path: str) -> None:
    """Remove a folder, unless something is in it, or it is a mount point or gone."""
    try:
        remove_folder(path)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY}:
            raise


def permit_as(path: str, model: str) -> None:
    """Give a folder the permissions of another, where that is there and the file system keeps them."""
    with at(path) as held:
        descriptor = held.open(os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, stat.S_IMODE(os.stat(model).st_mode))
        finally:
            os.close(descriptor)


def exchange(first: str, second: str) -> bool:
    """Let two folders change places in one step; False where the file system cannot."""
    try:
        with at(first) as one, at(second) as other:
            _renameat2(one, other, _EXCHANGE)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return False
        raise
    return True


def rename_new(source: str, target: str) -> None:
    """Rename without ever replacing: FileExistsError where `target` exists."""
    with at(source) as one, at(target) as other:
        rename_held(one, other)


def rename_held(source: Held, target: Held) -> None:
    """Do as `rename_new`."""
    try:
        _renameat2(source, target, _NO_REPLACE)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        with contextlib.suppress(FileNotFoundError):
            target.lstat()
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target.path) from None
        replace_held(source, target)


def replace_held(source: Held, target: Held) -> None:
    """Rename; what lies at `target` is replaced."""
    with _by_path(source, target):
        os.rename(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)


def hard_link(source: Held, target: Held) -> None:
    """Give a file, or a link itself, a second name."""
    src, dst = source.folder, target.folder
    with _by_path(source, target):
        os.link(source.name, target.name, src_dir_fd=src, dst_dir_fd=dst, follow_symlinks=False)


def _renameat2(source: Held, target: Held, flags: int) -> None:
    call = getattr(_libc, "renameatx_np" if sys.platform == "darwin" else "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(source.name), os.fsencode(target.name)
    if call(source.folder, names[0], target.folder, names[1], flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source.path, None, target.path)


def _open(folder: str, links: Links, make: Callable[[os.stat_result], bool] | None) -> int:
    if links is Links.ALL:
        return os.open(folder or os.curdir, _FOLDER)
    if links is Links.NONE and make is None and (descriptor := _opened_at_once(folder)) >= 0:
        return descriptor
    descriptor, missing = _walk(folder, links)
    refusal: OSError | None = None
    if make is None and missing:
        refusal = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    elif make is not None and not make(os.fstat(descriptor)):
        refusal = WayRefusedError(errno.EPERM, "is not yours now", folder)
    if refusal is not None:
        os.close(descriptor)
        raise refusal
    try:
        for name in missing:
            place = Held(descriptor, name, folder)
            place.mkdir()
            below = place.open(_FOLDER)
            os.close(descriptor)
            descriptor = below
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _opened_at_once(folder: str) -> int:
    """Open a folder with no link on the way, as `_walk` does in more calls; below 0 where that cannot be."""
    if sys.platform != "linux" or not folder.startswith("/"):
        return -1
    size = ctypes.c_size_t(ctypes.sizeof(_NO_LINKS))
    opened: int = _libc.syscall(_OPENAT2, _HERE, os.fsencode(folder), _NO_LINKS, size)
    return opened


def _walk(folder: str, links: Links) -> tuple[int, list[str]]:
    """Open a folder as far as it is there, and tell which names are missing behind that."""
    descriptor = os.open("/" if folder.startswith("/") else os.curdir, _FOLDER)
    names, own, followed = _reversed(folder), sys.maxsize, 0
    try:
        while names:
            name = names.pop()
            try:
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            except FileNotFoundError:
                if len(names) >= own:
                    raise WayRefusedError(
                        errno.ENOENT, "is behind a link that leads nowhere", folder
                    ) from None
                return descriptor, [name, *reversed(names)]
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                    error.filename = folder
                    raise
                text = _own_link(Held(descriptor, name, folder)) if links is Links.OWN else ""
                followed += 1
                if not text or followed > _MOST_LINKS:
                    message = "is no folder, or a link that is not followed"
                    raise WayRefusedError(error.errno, message, folder) from error
                own = min(own, len(names))
                names += _reversed(text)
                below = os.open("/" if text.startswith("/") else os.curdir, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, []


def _reversed(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def _own_link(held: Held) -> str:
    """Return where a link leads that is this user's or root's; others could lead anywhere."""
    before = held.lstat()
    if not stat.S_ISLNK(before.st_mode) or before.st_uid not in {0, os.geteuid()}:
        return ""
    text = held.readlink()
    after = held.lstat()
    return text if (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns) else ""
