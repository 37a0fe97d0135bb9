"""What a TIFF states of its first picture."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_WIDTH, _HEIGHT, _SAMPLE_FORMAT = 256, 257, 339
_FORMS = {3: "H", 4: "I"}
_FLOATS = 3


@dataclass(frozen=True)
class TiffHeader:
    """Size as stored, and whether samples are floats."""

    width: int
    height: int
    floats: bool


def read_tiff_header(data: bytes) -> TiffHeader | None:
    """Read the first directory; None where it is damaged or of another layout (files above 4 GB)."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        entries = [struct.unpack_from(f"{order}HHI4s", data, start + 2 + 12 * i) for i in range(count)]
        stated = {
            tag: _first(data, order, form, number, value)
            for tag, form, number, value in entries
            if tag in {_WIDTH, _HEIGHT, _SAMPLE_FORMAT}
        }
        return TiffHeader(stated[_WIDTH], stated[_HEIGHT], stated.get(_SAMPLE_FORMAT) == _FLOATS)
    except (struct.error, KeyError):
        return None


def _first(data: bytes, order: str, form: int, number: int, value: bytes) -> int:
    """Return the first of an entry's values, which stand elsewhere where they have no room."""
    layout = order + _FORMS[form]
    if number * struct.calcsize(layout) > len(value):
        (at,) = struct.unpack(f"{order}I", value)
        return int(struct.unpack_from(layout, data, at)[0])
    return int(struct.unpack_from(layout, value)[0])
