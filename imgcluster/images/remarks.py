"""What files say besides their picture, cut down before Pillow reads it: it keeps all, in whatever time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgcluster.errors import FailureCode, UnreadableImage

MOST_REMARKS = 1 << 20
"""How many bytes of remarks are taken as they are."""

START_OF_SCAN = 0xDA
REMARKS = frozenset({*range(0xE0, 0xF0), 0xFE})
"""The markers of a JPEG's segments that are for applications, or comments."""

_WITHOUT_CONTENT = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xDA)})
_MOST_SEGMENTS = 1 << 16
# An entry of the list of items in a file of the HEIF family: its version, numbers, and what the item is.
_ITEM = re.compile(rb"infe(?:.{8})?(?:\x02.{7}|\x03.{9})(Exif|mime|uri )", re.DOTALL)
_NOTHING = b"skip"


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker of each segment before a JPEG's image data, and where its content begins and ends.

    Raises
    ------
    UnreadableImage
        For a file that ends before, or that has more than 65,536.
    """
    position = 2
    for _ in range(_MOST_SEGMENTS):
        position = data.find(b"\xff", position)
        while 0 <= position < len(data) - 1 and data[position + 1] in _WITHOUT_CONTENT:
            position = data.find(b"\xff", position + 1)
        if position < 0 or position + 4 > len(data):
            raise UnreadableImage("a JPEG that ends within its header (cut short)", FailureCode.DAMAGED)
        marker = data[position + 1]
        end = position + 2 + max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)
        yield marker, position + 4, end
        if marker == START_OF_SCAN:
            return
        position = end
    raise UnreadableImage(
        f"a damaged JPEG: more than {_MOST_SEGMENTS:,} segments before the picture", FailureCode.DAMAGED
    )


def with_few_remarks(data: bytes, kind: str) -> bytes:
    """Give a file without the remarks that are too many; UnreadableImage as of `segments`.

    Of a JPEG that has more than 1 MiB of them the first of each kind stays; of the HEIF family the first
    block of each, and of HEIC no XMP, which its library would unpack without an end.
    """
    if kind == "JPEG":
        return _jpeg(data)
    return _heif(data, kind) if kind in {"HEIC", "AVIF"} else data


def _jpeg(data: bytes) -> bytes:
    found = list(segments(data))
    if sum(end - start for marker, start, end in found if marker in REMARKS) <= MOST_REMARKS:
        return data
    seen: set[tuple[int, bytes]] = set()
    kept = [data[:2]]
    for marker, start, end in found:
        kind = marker, data[start : start + 5]
        if marker not in REMARKS or kind not in seen:
            kept.append(data[start - 4 : end])
        seen.add(kind)
    return b"".join([*kept, data[found[-1][2] :]])


def _heif(data: bytes, kind: str) -> bytes:
    seen = {b"mime", b"uri "} if kind == "HEIC" else set()
    result: bytearray | None = None
    for item in _ITEM.finditer(data):
        if item[1] in seen:
            result = bytearray(data) if result is None else result
            result[item.start(1) : item.end(1)] = _NOTHING
        seen.add(item[1])
    return data if result is None else bytes(result)
