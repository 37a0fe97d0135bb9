"""The one way out of a clustering: images that were moved away go home, if it is still this user's."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from imgcluster.output.file_system import move_file
from imgcluster.ownership import existing_part, is_mine


def move_home(path: str, original: str, move: Callable[[str, str], object] = move_file) -> bool:
    """Move the image at `path` to `original`; False, and nothing is done, where that is no home any more."""
    if not is_still_home(original, os.lstat(path)):
        return False
    os.makedirs(os.path.dirname(original), exist_ok=True)
    move(path, original)
    return True


def is_still_home(original: str, status: os.stat_result) -> bool:
    """Whether an image may be moved back to `original`, which a run of this user recorded.

    Its folder (the nearest that is there) must still belong to this user, or to the owner of the image, and
    no link on the way there may be somebody else's: they could have put it there since.

    Parameters
    ----------
    status
        That of the image.
    """
    folder = existing_part(os.path.dirname(original))
    if folder is None:
        return False
    found = os.stat(folder)
    return stat.S_ISDIR(found.st_mode) and (is_mine(found) or found.st_uid == status.st_uid)
