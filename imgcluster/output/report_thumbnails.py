"""Thumbnails kept by content key, so that a second report makes none; previews for what browsers lack."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from imgcluster.caches import PARTS, claim, trim
from imgcluster.files import open_regular, read_limited, remove_if_there, replacing

THUMBNAIL_SIDE = 160
"""Long side in pixels that the pages reserve room for."""

PREVIEW_SIDE = 1200
"""Long side in pixels of what is shown in place of a file that browsers cannot show."""

TAKEN = "taken "
"""What the comment of a thumbnail begins with, before the time when the picture was taken, if it tells."""

_PREVIEW = f"-{PREVIEW_SIDE}"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_MOST_BYTES = 4 << 20
_HEAD_BYTES = 128
_COMMENT = re.compile(rb"\xff\xfe\0." + TAKEN.encode() + rb"(?:(\d{4}-\d\d-\d\d)T(\d\d:\d\d))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of pages, by its path below the folder of the page to open; it has no more permissions."""

    name: str
    data: bytes
    mode: int = 0o666


@dataclass(frozen=True)
class Kept:
    """The thumbnails and previews that a folder has of images; `modes` are the permissions of their files."""

    folder: str
    modes: Mapping[str, int]
    small: frozenset[str]
    large: frozenset[str] = frozenset()

    @classmethod
    def of(cls, folder: str, images: Iterable[tuple[str, int]]) -> Kept:
        """Find those of images: (key, permissions), of equal images those that all have."""
        modes: dict[str, int] = {}
        for key, mode in images:
            modes[key] = modes.get(key, mode) & mode
        small, large = (_whole(folder, modes, preview=preview) for preview in (False, True))
        return cls(folder, modes, small, large)

    def files(self) -> Iterator[PageFile]:
        """Yield them. They are copies, not links, for others may write to the pages' folder."""
        for preview, keys in enumerate((self.small, self.large)):
            for key in sorted(keys):
                name = thumbnail_name(key, preview=bool(preview))
                data = read_limited(os.path.join(self.folder, name), _MOST_BYTES)
                yield PageFile(f"report/thumbnails/{name}", data, self.modes[key])


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
    """Return those of `keys` that have no whole thumbnail in `folder`, each once, in their order.

    One that lacks the comment about the time is of an earlier version.
    """
    wanted = dict.fromkeys(keys)
    here = _whole(folder, wanted, preview=preview)
    return tuple(key for key in wanted if key not in here or not (preview or _comment(folder, key)))


def save_thumbnail(folder: str, key: str, jpeg: bytes, *, preview: bool = False) -> None:
    """Put a thumbnail into `folder`; it is there whole or not at all, also with several writers."""
    target = os.path.join(folder, thumbnail_name(key, preview=preview))
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with replacing(target, private=True, durable=False) as file:
        file.write(jpeg)


def date_in_thumbnail(folder: str, key: str) -> str:
    """Return when the picture was taken, as the comment of its thumbnail says; or nothing."""
    found = _comment(folder, key)
    return b" ".join(found.groups(b"")).decode().strip() if found else ""


def _comment(folder: str, key: str) -> re.Match[bytes] | None:
    try:
        with os.fdopen(open_regular(os.path.join(folder, thumbnail_name(key))), "rb") as file:
            return _COMMENT.search(file.read(_HEAD_BYTES))
    except OSError:
        return None


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
