"""Files to pixels, for the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import TypeAlias

from imgcluster.images.decode import decode
from imgcluster.images.file_bytes import content_key, read_with_status
from imgcluster.images.header import wrong_name
from imgcluster.images.looks import looks
from imgcluster.images.memory import DecodeLimits, room_for
from imgcluster.images.picture_key import picture_key
from imgcluster.images.resize import side_needed, to_square
from imgcluster.records import ImageFile, PathEntry, Pictures, Pixels, mtime_ns


@dataclass(frozen=True)
class ReadImage:
    """A file that was read: its entry for the path table, and its pixels unless its embedding is known.

    `picture`, one of `Pictures`, is how it looks; `picture_key` the digest of what makes its pixels, if there
    is one.
    """

    entry: PathEntry
    pixels: Pixels | None
    note: str = ""
    pages: int = 1
    picture: Pictures | None = None
    picture_key: bytes = b""


@dataclass(frozen=True)
class ReadSettings:
    """How files are read and decoded; `timeout` in seconds per file."""

    input_size: int
    limits: DecodeLimits
    timeout: float
    crop: float = 0.0
    interpolation: str = "area"


def read_image(file: ImageFile, known: Container[bytes], settings: ReadSettings) -> ReadImage:
    """Read a file once; hash it; decode it to the network's size unless its key or picture is known.

    Raises
    ------
    UnreadableImage
        With the reason.
    """
    with room_for(file.path, file.size):
        return _read_image(file, known, settings)


def _read_image(file: ImageFile, known: Container[bytes], settings: ReadSettings) -> ReadImage:
    read_ns = time.time_ns()
    data, status = read_with_status(file.path)
    key = content_key(data)
    entry = PathEntry(file.path, file.size, file.mtime_ns, read_ns, key)
    if entry.describes(ImageFile(file.path, status.st_size, mtime_ns(status))):
        entry = replace(entry, inode=status.st_ino)
    same = picture_key(data)
    if key in known or same in known:
        return ReadImage(entry, None, picture_key=same)
    decoded = decode(data, settings.limits, at_least=side_needed(settings.input_size, settings.crop))
    note = decoded.note or wrong_name(file.path, decoded.kind)
    pixels = to_square(
        decoded.pixels, settings.input_size, crop=settings.crop, interpolation=settings.interpolation
    )
    return ReadImage(entry, pixels, note, decoded.pages, looks(data, decoded), same)


Reading: TypeAlias = Callable[[ImageFile, Container[bytes], ReadSettings], ReadImage]
"""A function like `read_image`, one that a module defines, so that a child process finds it."""
