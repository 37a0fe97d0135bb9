"""The structure of a JPEG file: what its header states, and whether its end is there."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.orientation import orientation_of

if TYPE_CHECKING:
    from collections.abc import Iterator

END_OF_IMAGE = b"\xff\xd9"

_START_OF_SCAN = 0xDA
_RESTART_INTERVAL = 0xDD
_APP1 = 0xE1
_WITHOUT_CONTENT = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xDA)})
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALL_COEFFICIENTS = b"\0\x3f\0"
_SEGMENT = re.compile(rb"\xff[\xc4\xda\xdb\xdd\xe0-\xef\xfe](..)", re.DOTALL)
_MARKER = re.compile(rb"\xff[^\0]")
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
    orientation
        As the metadata state it, 1 to 8.
    start
        Where the image data begin.
    end
        Where the end-of-image marker stands behind the image data, or -1: a file cut anywhere lacks it.
    plain
        Whether the image data are one sequential scan, as cameras write them: not progressive, no restart
        markers, nothing strange in the header or between start and end.
    """

    width: int
    height: int
    bits: int
    orientation: int
    start: int
    end: int
    plain: bool


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Walk the segments up to the image data.

    Raises
    ------
    UnreadableImage
        When the file ends before the image data begin.
    """
    frame: tuple[int, int, int, int] | None = None
    exif = xmp = None
    start = 0
    plain = True
    for segment in _segments(data):
        marker, content, start = segment.marker, segment.content, segment.stop
        plain = plain and segment.tidy and not _asks_for_more(segment)
        if marker in _FRAMES and frame is None and len(content) >= 6:
            frame = struct.unpack_from(">BHHB", content)
        elif marker == _APP1 and exif is None and content.startswith(b"Exif\0"):
            exif = content
        elif marker == _APP1 and xmp is None and content.startswith(_XMP_PREFIX):
            xmp = content
        elif marker == _START_OF_SCAN:
            # Further scans follow where this one has not all the components.
            whole = frame is not None and content[:1] == bytes([frame[3]])
            plain = plain and whole and content[-3:] == _ALL_COEFFICIENTS
    if frame is None:
        raise UnreadableImage("a damaged JPEG: its header states no size", FailureCode.DAMAGED)
    bits, height, width, _ = frame
    end = data.rfind(END_OF_IMAGE, start)
    if plain and end >= 0:
        # One pass over the data: the first marker in them is the end, or something has gone wrong there.
        first = _MARKER.search(data, start)
        plain = first is not None and first[0] == END_OF_IMAGE
        end = first.start() if first and plain else end
    return JpegHeader(width, height, bits, orientation_of(exif, xmp), start, end, plain)


@dataclass(frozen=True)
class _Segment:
    """One segment of the header; `tidy` says that it follows the one before without a gap."""

    marker: int
    content: bytes
    stop: int
    tidy: bool


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments of a header; the last is the start of the image data."""
    marker = 0
    expected = position = 2
    while marker != _START_OF_SCAN:
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            raise UnreadableImage("a JPEG that ends within its header (cut short)", FailureCode.DAMAGED)
        marker = data[position + 1]
        if marker in _WITHOUT_CONTENT:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        stop = position + 2 + max(length, 2)
        yield _Segment(marker, data[position + 4 : stop], stop, position == expected)
        expected = position = stop


def _asks_for_more(segment: _Segment) -> bool:
    """Whether a decoder has more to do after it than read one scan from front to back."""
    if segment.marker in _FRAMES:
        return segment.marker not in _SEQUENTIAL
    if segment.marker == _RESTART_INTERVAL:
        return any(segment.content)
    # Another version of JFIF is a reason for libjpeg to write a line to stderr.
    return segment.content.startswith(b"JFIF\0") and segment.content[5:6] != b"\1"


def with_end(data: bytes, start: int) -> bytes:
    """Put an end-of-image marker where the data stop, so that a decoder fills up what is missing.

    `start` is where the image data begin.
    """
    for segment in _SEGMENT.finditer(data, max(start, len(data) - 0xFFFF)):
        if segment.start(1) + int.from_bytes(segment[1], "big") > len(data):
            # A table that is itself cut would swallow the end.
            return data[: segment.start()] + END_OF_IMAGE
    return data + END_OF_IMAGE


def shorter_side_scale(width: int, height: int, at_least: int | None) -> int:
    """Return the largest of 1, 2, 4, 8 by which both sides can be divided and still be `at_least` long."""
    if at_least is None:
        return 1
    shorter = min(width, height)
    return next((scale for scale in (8, 4, 2) if shorter // scale >= at_least), 1)
