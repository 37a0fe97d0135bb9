"""The one way out of a clustering: images that were moved away go home, if it is still this user's."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from imgcluster.files import Expected
from imgcluster.held import Held, Links, WayRefusedError, at, nearest
from imgcluster.output.file_system import move_file
from imgcluster.ownership import is_mine


def _move(image: Held, home: Held, expected: Expected) -> None:
    move_file(image, home, expected=expected)


def move_home(
    path: str, original: str, expected: Expected, move: Callable[[Held, Held, Expected], object] = _move
) -> bool:
    """Move the image at `path` to `original`; False, and nothing is done, where that is no home any more.

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
