"""Which way up: the orientation that EXIF or XMP states, and the one place where pixels are turned."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from imgcluster.records import Pixels

_ORIENTATION_TAG = 0x0112
_SHORT, _LONG = 3, 4
_EXIF_PREFIX = b"Exif\0\0"
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([0-9])")


def orientation_in_exif(exif: bytes) -> int | None:
    """Return what the first directory of an EXIF block states as orientation, or None where it states none.

    The block may begin with ``Exif`` and two zero bytes; values that mean nothing (0, 9 …) come back as is.
    """
    tiff = exif.removeprefix(_EXIF_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, entry)
            if tag == _ORIENTATION_TAG and kind in {_SHORT, _LONG}:
                (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, entry + 8)
                return int(value)
    except struct.error:
        # Cameras and editors leave broken blocks behind; they are no reason to refuse the picture.
        return None
    return None


def orientation_in_xmp(xmp: bytes) -> int | None:
    """Return the orientation that an XMP packet states, or None."""
    match = _XMP_ORIENTATION.search(xmp)
    return int(match[1]) if match else None


def orientation_of(exif: bytes | None, xmp: bytes | None) -> int:
    """Return the orientation, 1 to 8; EXIF comes before XMP, and what means nothing counts as 1."""
    stated = orientation_in_exif(exif) if exif else None
    if stated is None and xmp:
        stated = orientation_in_xmp(xmp)
    return stated if stated is not None and 1 <= stated <= 8 else 1


def swaps_sides(orientation: int) -> bool:
    """Whether turning exchanges width and height."""
    return orientation >= 5


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn (H, W, 3) pixels as an EXIF orientation of 1 to 8 asks."""
    if orientation == 1:
        return pixels
    if swaps_sides(orientation):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
