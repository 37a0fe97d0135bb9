"""JPEG: whole or refused, by a fast path where nothing is strange, at a reduced scale where that will do."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.memory import bytes_of_result
from imgcluster.images.opencv import decode_colour
from imgcluster.images.pillow import decode_with_pillow, orientation_of
from imgcluster.images.pixels import Decoded, Request, damaged
from imgcluster.images.remarks import REMARKS, segments
from imgcluster.records import Pixels

TRUNCATED = "cut short: the missing part is filled in"
UNENDED = "lacks the mark of its end; all pixels are there"

_END_OF_IMAGE = b"\xff\xd9"
_RESTART_INTERVAL, _APP0, _APP1, _APP2, _APP14 = 0xDD, 0xE0, 0xE1, 0xE2, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_ALL_COEFFICIENTS = b"\0\x3f\0"
_SEGMENT = re.compile(rb"\xff[\xc4\xda\xdb\xdd\xe0-\xef\xfe](..)", re.DOTALL)
_MARKER = re.compile(rb"\xff[^\0]")
_EXIF, _XMP = b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0"[:5]
# A decoder reads a few bytes ahead of what it needs. What it makes of these shows in the pixels only where
# data are missing, and then each shows another picture.
_PADDING, _OTHER_PADDING = bytes(8), b"\xaa" * 8


@dataclass(frozen=True)
class _Header:
    """Size as stored, samples, orientation, and where the image data begin.

    `plain`: one sequential scan of all components, nothing between the segments, no restart markers.
    `segments` are the markers, and where their contents begin and end; `gaps`: something lies between them.
    """

    width: int
    height: int
    bits: int
    orientation: int
    start: int
    plain: bool
    gaps: bool
    segments: tuple[tuple[int, int, int], ...]


def decode_jpeg(data: bytes, kind: str, request: Request) -> Decoded:
    """Decode a JPEG to RGB, not yet turned.

    Raises
    ------
    UnreadableImage
        Where it is damaged, or its end is missing and that is not accepted.
    """
    header = _read_header(data)
    width, height = header.width, header.height
    request.check_size(width, height)
    if header.bits != 8:
        raise UnreadableImage(
            f"a JPEG of {header.bits} bits per sample; only 8 are read", FailureCode.UNSUPPORTED
        )
    # The first marker in the data of a plain JPEG is its end, or something has gone wrong there.
    marker = _MARKER.search(data, header.start) if header.plain else None
    plain = header.plain and (marker is None or marker[0] == _END_OF_IMAGE)
    if plain:
        scale = request.power_of_two(width, height)
        with request.budget.taking(bytes_of_result(width * height // scale**2)):
            pixels, note = _decode_plain(data, marker.start() if marker else None, scale)
        if pixels is not None:
            return Decoded(pixels, width, height, header.orientation, note)
    incomplete = plain or data.rfind(_END_OF_IMAGE, header.start) < 0
    if incomplete and not request.limits.accept_truncated:
        raise UnreadableImage(
            "the JPEG is cut short (`imgcluster extract --accept-truncated` takes what is there)",
            FailureCode.TRUNCATED,
        )
    # An end put where the data stop makes Pillow fill up what is missing; its switch for that is global and
    # would change what other threads get.
    whole = _ended(data, header.start) if incomplete else data
    raw = decode_with_pillow(whole, kind, request)
    return Decoded(raw.pixels, width, height, header.orientation, TRUNCATED if incomplete else "")


def _decode_plain(data: bytes, end: int | None, scale: int) -> tuple[Pixels | None, str]:
    """Decode image data that end where `end` says, and a note; None where some of them are missing.

    Without the end marker the decoder asks for more where data are missing, and gives up. With it, it would
    fill them up with grey and write a line to stderr; so would it for what is not plain.
    """
    if end is not None:
        return decode_colour(data[:end] + _PADDING, scale), ""
    rest = data.removesuffix(_END_OF_IMAGE[:1])
    pixels = decode_colour(rest + _PADDING, scale)
    if pixels is None:
        return None, ""
    other = decode_colour(rest + _OTHER_PADDING, scale)
    return (pixels, UNENDED) if other is not None and np.array_equal(pixels, other) else (None, "")


def _read_header(data: bytes) -> _Header:
    """Walk the segments up to the image data."""
    frame, content = b"", b""
    metadata: dict[bytes, bytes] = {}
    plain, gaps, position = True, False, 2
    found = tuple(segments(data))
    for marker, start, end in found:
        gaps, position = gaps or start != position + 4, end
        content = data[start:end]
        plain = plain and _is_plain(marker, content)
        if marker in _FRAMES and len(content) >= 6:
            frame = frame or content
        elif marker == _APP1 and content[:5] in {_EXIF, _XMP}:
            metadata.setdefault(content[:5], content)
    if not frame:
        raise damaged("a damaged JPEG: its header states no size")
    # Further scans follow where the first has not all the components.
    plain = plain and not gaps and content[:1] == frame[5:6] and content[-3:] == _ALL_COEFFICIENTS
    bits, height, width = struct.unpack_from(">BHH", frame)
    orientation = orientation_of(metadata.get(_EXIF), metadata.get(_XMP))
    return _Header(width, height, bits, orientation, position, plain, gaps, found)


def picture_parts(data: bytes) -> Iterator[bytes | memoryview]:
    """Yield all of a JPEG that makes its pixels; UnreadableImage where that is not beyond doubt."""
    header = _read_header(data)
    if header.gaps or data.rfind(_END_OF_IMAGE) < header.start:
        raise damaged("a JPEG without an end, or with something between its segments")
    yield b"JPEG %d %d" % (header.orientation, header.plain)
    for marker, start, end in header.segments:
        content = data[start:end]
        if marker not in REMARKS or (marker, content[:5]) == (_APP14, b"Adobe"):
            yield bytes([marker]) + content
        elif marker == _APP0 and content.startswith(b"JFIF\0"):
            yield content[:6]  # with its version; what follows is about paper
        elif marker == _APP2 and content.startswith(b"ICC_PROFILE\0"):
            yield content
    yield memoryview(data)[header.start :]


def _is_plain(marker: int, content: bytes) -> bool:
    if marker in _FRAMES:
        return marker in _SEQUENTIAL
    if marker == _RESTART_INTERVAL:
        return not any(content)
    # Another version of JFIF is a reason for libjpeg to write a line to stderr.
    return not content.startswith(b"JFIF\0") or content[5:6] == b"\1"


def _ended(data: bytes, start: int) -> bytes:
    """Put an end marker where the data stop, or before a table that is itself cut and would swallow it."""
    for segment in _SEGMENT.finditer(data, max(start, len(data) - 0xFFFF)):
        if segment.start(1) + int.from_bytes(segment[1], "big") > len(data):
            return data[: segment.start()] + _END_OF_IMAGE
    return data + _END_OF_IMAGE
