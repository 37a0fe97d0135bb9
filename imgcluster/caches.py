"""Folders that keep what can be made again: this user's alone, or done without."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import stat
import tempfile
from functools import cache

from imgcluster.ownership import is_mine, is_own_way


def claim(folder: str) -> bool:
    """Make a folder, where it is missing, that this user alone can use; tell whether it always was.

    Raises
    ------
    OSError
        Where it cannot be made or written, or is somebody else's, or lies behind a link of somebody else.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.stat(folder)
    if not is_own_way(folder) or not is_mine(found):
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
