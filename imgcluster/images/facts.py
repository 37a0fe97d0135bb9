"""What the header of an image file says of it; no pixel is decoded."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imgcluster.errors import UnreadableImage
from imgcluster.images.header import image_type
from imgcluster.images.pillow import open_image, reasons, stated_orientation

_BITS_OF_MODE = {"1": 1, "I": 32, "F": 32, "I;16": 16, "I;16B": 16, "I;16L": 16, "I;16N": 16}
_BIT_DEPTH_OF_PNG = 24
_BITS_PER_SAMPLE, _DATE, _EXIF, _DATE_TAKEN = 258, 306, 0x8769, 36867


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """A file's format, its upright size in pixels, bits of a channel, pages or frames.

    `taken` is the time that the camera wrote, without a time zone, as ``2024-05-31T12:00:00``; or empty.
    """

    format: str
    width: int
    height: int
    bits: int
    pages: int
    taken: str


def image_facts(data: bytes) -> ImageFacts:
    """Read the header of an image; UnreadableImage where it has none that makes sense."""
    kind = image_type(data)
    with open_image(data, kind) as image, reasons(kind):
        width, height = image.size
        if kind != "HEIC" and stated_orientation(image) >= 5:
            width, height = height, width
        return ImageFacts(kind, width, height, _bits(image, kind, data), _pages(image), _taken(image))


def date_taken(data: bytes) -> str:
    """Read when the camera wrote an image, as `ImageFacts.taken`."""
    try:
        kind = image_type(data)
        with open_image(data, kind) as image, reasons(kind):
            return _taken(image)
    except UnreadableImage:
        return ""


def _bits(image: Any, kind: str, data: bytes) -> int:
    if kind == "PNG":
        return int(data[_BIT_DEPTH_OF_PNG])
    if kind == "TIFF":
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    return int(image.info.get("bit_depth") or _BITS_OF_MODE.get(image.mode, 8))


def _pages(image: Any) -> int:
    return int(getattr(image, "n_frames", 1))


def _taken(image: Any) -> str:
    exif = image.getexif()
    stated = exif.get_ifd(_EXIF).get(_DATE_TAKEN) or exif.get(_DATE) or ""
    found = re.match(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)", str(stated))
    text = f"{found[1]}-{found[2]}-{found[3]}T{found[4]}" if found else ""
    with contextlib.suppress(ValueError):  # of zeros, where the clock was never set
        return datetime.fromisoformat(text).isoformat()
    return ""
