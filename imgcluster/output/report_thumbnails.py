"""Thumbnails kept by content key, so that a second report makes none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from imgcluster.caches import PARTS, claim, trim
from imgcluster.files import create, open_regular, read_limited, remove_if_there, replacing

THUMBNAIL_SIDE = 160
"""Long side in pixels that the pages reserve room for."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_MOST_BYTES = 1 << 20


def thumbnail_name(key: str) -> str:
    """Return where the thumbnail of `key` (64 hex characters) lies below a folder of thumbnails."""
    return f"{key[:2]}/{key}.jpg"


def claim_thumbnails(folder: str) -> None:
    """Make a folder for thumbnails that this user alone can use; what others could have put there goes.

    OSError where it cannot be used.
    """
    if os.path.basename(folder) in PARTS:
        trim(folder)
    if not claim(folder):
        for key in _present(folder):
            remove_if_there(os.path.join(folder, thumbnail_name(key)))


def missing_thumbnails(folder: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Return those of `keys` that have no whole thumbnail in `folder`, each once, in their order."""
    wanted = dict.fromkeys(keys)
    here = _whole(folder, wanted)
    return tuple(key for key in wanted if key not in here)


def save_thumbnail(folder: str, key: str, jpeg: bytes) -> None:
    """Put a thumbnail into `folder`; it is there whole or not at all, also with several writers."""
    target = os.path.join(folder, thumbnail_name(key))
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with replacing(target, private=True, durable=False) as file:
        file.write(jpeg)


def copy_thumbnails(source: str, target: str, modes: Mapping[str, int]) -> frozenset[str]:
    """Copy thumbnails to a new folder. They are no links, for others may write to that folder.

    Parameters
    ----------
    modes
        For each key the permissions that its thumbnail may have, less what the umask takes.

    Returns
    -------
    frozenset of str
        The keys that have a thumbnail in `target` now.
    """
    found = _whole(source, modes)
    for key in found:
        path = os.path.join(target, thumbnail_name(key))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with create(path, modes[key]) as file:
            file.write(read_limited(os.path.join(source, thumbnail_name(key)), _MOST_BYTES))
    return found


def _whole(folder: str, keys: Iterable[str]) -> frozenset[str]:
    """Return those of `keys` whose thumbnail lies in `folder`, from the first byte to the last.

    Thumbnails are not synced one by one: after a power loss some may be empty, or end early.
    """
    here = _present(folder).intersection(keys)
    return frozenset(key for key in here if _is_whole(os.path.join(folder, thumbnail_name(key))))


def _is_whole(path: str) -> bool:
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return (
                size > len(_JPEG_END)
                and file.read(2) == _JPEG_START
                and os.pread(file.fileno(), 2, size - 2) == _JPEG_END
            )
    except OSError:
        return False


def _present(folder: str) -> set[str]:
    """Return the keys that have a thumbnail in `folder`: one listing per subfolder, no stat per file."""
    if not os.path.isdir(folder):
        return set()
    return {
        name.removesuffix(".jpg")
        for part in os.listdir(folder)
        if len(part) == 2
        for name in os.listdir(os.path.join(folder, part))
        if len(name) == 68 and name.startswith(part) and name.endswith(".jpg")
    }
