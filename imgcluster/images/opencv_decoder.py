"""JPEG by the fast path, and the few files that only OpenCV can open."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcluster.images.decoding import Raw, check_size, grey_to_rgb, over_white, to_8_bits
from imgcluster.images.opencv import cv2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_SCALED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


_OLDEST_BMP = (12).to_bytes(4, "little")
_JPEG2000_SIZE = b"\xff\x4f\xff\x51"


def decode_colour(data: bytes, scale: int) -> NDArray[np.uint8] | None:
    """Decode to (H, W, 3) uint8 RGB at 1/`scale` of the size, not turned; None where OpenCV cannot."""
    pixels = _imdecode(data, _SCALED[scale] | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        return None
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, pixels), dtype=np.uint8)


def decode_anything(data: bytes, max_pixels: int) -> Raw | None:
    """Decode BMP or JPEG 2000 with all that is there (alpha, depth); None where OpenCV cannot.

    Raises
    ------
    UnreadableImage
        When it states a size over the limit.
    """
    for width, height in _stated_sizes(data):
        check_size(width, height, max_pixels)
    return decode_unchanged(data)


def decode_unchanged(data: bytes) -> Raw | None:
    """Decode with all that is there, whatever its size; None where OpenCV cannot."""
    # IMREAD_UNCHANGED turns TIFF itself and nothing else; the others that come here state no orientation.
    pixels = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        return None
    samples = to_8_bits(pixels)
    height, width = samples.shape[:2]
    if samples.ndim == 2:
        return Raw(grey_to_rgb(samples), width, height)
    if samples.shape[2] == 4:
        return Raw(over_white(samples[..., [2, 1, 0, 3]]), width, height)
    if samples.shape[2] == 3:
        return Raw(np.ascontiguousarray(samples[..., ::-1]), width, height)
    return None  # two channels, or many: nothing that could be shown


def _stated_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Read the size in a header that no decoder has read yet; in JPEG 2000 each that may be the one."""
    if data.startswith(b"BM"):
        form = "<HH" if data[14:18] == _OLDEST_BMP else "<ii"
        yield from _unpacked(form, data, 18)
        return
    at = data.find(_JPEG2000_SIZE)
    while at >= 0:
        # Behind the two markers: length, capabilities; then the far corner of the picture's canvas.
        yield from _unpacked(">II", data, at + 8)
        at = data.find(_JPEG2000_SIZE, at + 1)


def _unpacked(form: str, data: bytes, at: int) -> Iterator[tuple[int, int]]:
    if at + struct.calcsize(form) <= len(data):
        width, height = struct.unpack_from(form, data, at)
        yield abs(width), abs(height)  # a BMP from the top down has a negative height


def _imdecode(data: bytes, flags: int) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        # Sizes over its limits and the like; to a caller the same as a file that it cannot read.
        return None
