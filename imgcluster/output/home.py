"""Whether a place outside a clustering may be written to: the home of an image that was moved away."""

from __future__ import annotations

import os
import stat

from imgcluster.ownership import is_mine


def is_still_home(original: str, status: os.stat_result) -> bool:
    """Whether an image may be moved back to `original`, which a run of this user recorded.

    Its folder (the nearest that is there) must still belong to this user, or to the owner of the image, and
    no link on the way there may be somebody else's: they could have put it there since.

    Parameters
    ----------
    status
        That of the image.
    """
    folder = ""
    for name in os.path.dirname(original).split("/"):
        below = f"{folder}/{name}" if name else folder or "/"
        try:
            found = os.lstat(below)
            if stat.S_ISLNK(found.st_mode):
                if found.st_uid not in {0, os.geteuid()}:
                    return False
                os.stat(below)
        except FileNotFoundError:
            break
        except OSError:
            return False
        folder = below.rstrip("/")
    found = os.stat(folder or "/")
    return stat.S_ISDIR(found.st_mode) and (is_mine(found) or found.st_uid == status.st_uid)
