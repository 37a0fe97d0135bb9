"""The structure of a JPEG file: what its header states, and whether its end is there."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from imgcluster.errors import UnreadableImage
from imgcluster.images.orientation import orientation_of

END_OF_IMAGE = b"\xff\xd9"

_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_WITHOUT_CONTENT = frozenset({0x01, *range(0xD0, 0xDA)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"


@dataclass(frozen=True)
class JpegHeader:
    """What a decoder needs to know beforehand.

    Attributes
    ----------
    width, height
        As stored, before any turning.
    bits
        Per sample; the decoders here read 8.
    complete
        Whether the end-of-image marker follows the image data. A file cut anywhere lacks it.
    """

    width: int
    height: int
    bits: int
    orientation: int
    complete: bool


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Walk the segments up to the image data.

    Raises
    ------
    UnreadableImage
        When the file ends before the image data begin.
    """
    frame: tuple[int, int, int] | None = None
    exif = xmp = None
    position = 2
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            raise UnreadableImage("a JPEG that ends within its header (cut short)")
        marker = data[position + 1]
        if marker in {0x00, 0xFF}:
            position += 1
            continue
        position += 2
        if marker in _WITHOUT_CONTENT:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        content = data[position + 2 : position + length]
        if marker == _START_OF_SCAN:
            break
        if marker in _FRAMES and frame is None and len(content) >= 5:
            frame = struct.unpack_from(">BHH", content)
        elif marker == _APP1 and exif is None and content.startswith(b"Exif\0"):
            exif = content
        elif marker == _APP1 and xmp is None and content.startswith(_XMP_PREFIX):
            xmp = content
        position += max(length, 2)
    if frame is None:
        raise UnreadableImage("a damaged JPEG: its header states no size")
    bits, height, width = frame
    complete = data.rfind(END_OF_IMAGE, position) >= 0
    return JpegHeader(width, height, bits, orientation_of(exif, xmp), complete)


def shorter_side_scale(width: int, height: int, at_least: int | None) -> int:
    """Return the largest of 1, 2, 4, 8 by which both sides can be divided and still be `at_least` long."""
    if at_least is None:
        return 1
    shorter = min(width, height)
    return next((scale for scale in (8, 4, 2) if shorter // scale >= at_least), 1)
