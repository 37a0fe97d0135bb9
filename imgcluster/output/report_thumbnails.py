"""Thumbnails kept by content key, so that a second report makes none; previews for what browsers lack."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from imgcluster.caches import PARTS, claim, trim
from imgcluster.files import create, open_regular, read_limited, remove_if_there, replacing
from imgcluster.held import at, make_folders

THUMBNAIL_SIDE = 160
"""Long side in pixels that the pages reserve room for."""

PREVIEW_SIDE = 1200
"""Long side in pixels of what is shown in place of a file that browsers cannot show."""

_PREVIEW = f"-{PREVIEW_SIDE}"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_MOST_BYTES = 4 << 20
_MOST_THUMBNAIL_BYTES = 1 << 20


def thumbnail_name(key: str, *, preview: bool = False) -> str:
    """Return where the thumbnail (or preview) of `key`, 64 hex characters, lies below a folder of them."""
    return f"{key[:2]}/{key}{_PREVIEW if preview else ''}.jpg"


def claim_thumbnails(folder: str) -> None:
    """Make a folder for thumbnails that this user alone can use; what others could have put there goes.

    OSError where it cannot be used.
    """
    if os.path.basename(folder) in PARTS:
        trim(folder)
    if not claim(folder):
        for preview in (False, True):
            for key in _present(folder, preview=preview):
                remove_if_there(os.path.join(folder, thumbnail_name(key, preview=preview)))


def missing_thumbnails(folder: str, keys: Iterable[str], *, preview: bool = False) -> tuple[str, ...]:
    """Return those of `keys` that have no whole thumbnail in `folder`, each once, in their order."""
    wanted = dict.fromkeys(keys)
    here = _whole(folder, wanted, preview=preview)
    return tuple(key for key in wanted if key not in here)


def save_thumbnail(folder: str, key: str, jpeg: bytes, *, preview: bool = False) -> None:
    """Put a thumbnail into `folder`; it is there whole or not at all, also with several writers."""
    target = os.path.join(folder, thumbnail_name(key, preview=preview))
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with replacing(target, private=True, durable=False) as file:
        file.write(jpeg)


def read_thumbnail(folder: str, key: str) -> bytes | None:
    """Read the thumbnail of `key`; None where there is none that can be read."""
    try:
        return read_limited(os.path.join(folder, thumbnail_name(key)), _MOST_THUMBNAIL_BYTES)
    except OSError:
        return None


def copy_thumbnails(
    source: str, target: str, modes: Mapping[str, int], *, preview: bool = False
) -> frozenset[str]:
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
    found = _whole(source, modes, preview=preview)
    for key in found:
        name = thumbnail_name(key, preview=preview)
        path = os.path.join(target, name)
        make_folders(os.path.dirname(path))
        with at(path) as place, create(place, modes[key]) as file:
            file.write(read_limited(os.path.join(source, name), _MOST_BYTES))
    return found


def _whole(folder: str, keys: Iterable[str], *, preview: bool) -> frozenset[str]:
    """Return those of `keys` whose thumbnail lies in `folder`, from the first byte to the last.

    Thumbnails are not synced one by one: after a power loss some may be empty, or end early.
    """
    here = _present(folder, preview=preview).intersection(keys)
    return frozenset(
        key for key in here if _is_whole(os.path.join(folder, thumbnail_name(key, preview=preview)))
    )


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


def _present(folder: str, *, preview: bool) -> set[str]:
    """Return the keys that have a thumbnail (or preview) in `folder`: one listing per subfolder, no stats."""
    end = f"{_PREVIEW if preview else ''}.jpg"
    if not os.path.isdir(folder):
        return set()
    return {
        name.removesuffix(end)
        for part in os.listdir(folder)
        if len(part) == 2
        for name in os.listdir(os.path.join(folder, part))
        if len(name) == 64 + len(end) and name.startswith(part) and name.endswith(end)
    }
