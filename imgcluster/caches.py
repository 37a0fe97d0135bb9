"""Folders that keep what can be made again: this user's alone, or done without."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from imgcluster.held import Links, nearest, remove_all
from imgcluster.ownership import is_mine

PARTS = {"thumbnails": 2, "models": 1}
"""The folders in this user's cache, and how many levels below them the things lie that are kept or go."""

MOST_BYTES = {"thumbnails": 1 << 30, "models": 4 << 30}
"""How large each may become: some 150,000 thumbnails, a dozen networks and more."""


@dataclass(frozen=True)
class CachePart:
    """What one folder of the cache holds."""

    name: str
    path: str
    files: int
    bytes: int


def claim(folder: str) -> bool:
    """Make a folder, where it is missing, that this user alone can use; tell whether it always was.

    Raises
    ------
    OSError
        Where it cannot be made or written, or is somebody else's, or lies behind a link of somebody else.
    """
    if nearest(folder) is not None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    if nearest(folder) is None or not is_mine(found := os.stat(folder)):
        raise PermissionError(errno.EPERM, "is not this user's", folder)
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        os.chmod(folder, mode & 0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
    return not mode & 0o022


@cache
def temporary_folder(what: str) -> str:
    """Return a folder that is this process' alone, and gone with it; `what` is a part of its name."""
    folder = tempfile.mkdtemp(prefix=f"imgcluster-{what}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def usage(folder: str) -> tuple[CachePart, ...]:
    """Tell what the cache in `folder` holds."""
    return tuple(_part(name, os.path.join(folder, name)) for name in PARTS)


def clear(folder: str) -> tuple[CachePart, ...]:
    """Remove all that the cache in `folder` holds, and tell what it was; what is needed is made again."""
    held = usage(folder)
    for part in held:
        remove_all(part.path, Links.OWN)
    return held


def trim(folder: str) -> None:
    """Remove what was made first, until a part of the cache is no larger than it may become."""
    name = os.path.basename(folder)
    things = []
    for path in _things(folder, PARTS[name]):
        with suppress(OSError):
            things.append((os.lstat(path).st_mtime_ns, sum(size for _, size in _files(path)), path))
    total = sum(size for _, size, _ in things)
    for _, size, path in sorted(things)[:-1]:
        if total <= MOST_BYTES[name]:
            break
        remove_all(path, Links.ALL)
        total -= size


def _part(name: str, path: str) -> CachePart:
    sizes = [size for _, size in _files(path)]
    return CachePart(name, path, len(sizes), sum(sizes))


def _things(folder: str, levels: int) -> Iterator[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if levels == 1:
                yield entry.path
            elif entry.is_dir(follow_symlinks=False):
                yield from _things(entry.path, levels - 1)


def _files(path: str) -> Iterator[tuple[str, int]]:
    """Yield the files at or below a path, and their sizes; what goes meanwhile does not count."""
    with suppress(OSError):
        if not os.path.isdir(path) or os.path.islink(path):
            yield path, os.lstat(path).st_size
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                yield os.path.join(folder, name), os.lstat(os.path.join(folder, name)).st_size
