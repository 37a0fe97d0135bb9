"""Thumbnails kept by content key, so that a second report makes none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from imgcluster.files import replacing
from imgcluster.output.file_system import NO_LINK

THUMBNAIL_SIDE = 160
"""Long side in pixels that the pages reserve room for."""


def thumbnail_name(key: str) -> str:
    """Return where the thumbnail of `key` (64 hex characters) lies below a folder of thumbnails."""
    return f"{key[:2]}/{key}.jpg"


def missing_thumbnails(folder: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Return those of `keys` that have no thumbnail in `folder`, each once, in their order."""
    here = _present(folder)
    return tuple(key for key in dict.fromkeys(keys) if key not in here)


def save_thumbnail(folder: str, key: str, jpeg: bytes) -> None:
    """Put a thumbnail into `folder`; it is there whole or not at all, also with several writers."""
    target = os.path.join(folder, thumbnail_name(key))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with replacing(target, durable=False) as file:
        file.write(jpeg)


def link_thumbnails(source: str, target: str, keys: Iterable[str]) -> frozenset[str]:
    """Bring the thumbnails of `keys` from one folder to another, new one, as hard links where possible.

    Returns
    -------
    frozenset of str
        The keys that have a thumbnail in `target` now.
    """
    found = _present(source).intersection(keys)
    for key in found:
        _link(os.path.join(source, thumbnail_name(key)), os.path.join(target, thumbnail_name(key)))
    return frozenset(found)


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


def _link(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copyfile(source, target)
