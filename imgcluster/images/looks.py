"""How a picture looks, in little more than a thousand bytes: enough to tell copies of it from look-alikes.

And whether one of two copies was made of the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgcluster.images.opencv import cv2
from imgcluster.images.pillow import open_image
from imgcluster.images.pixels import Decoded
from imgcluster.images.resize import to_square
from imgcluster.records import PICTURE, Pictures, Pixels

SIDE_NEEDED = 256
"""How many pixels the shorter side of a picture needs that is decoded for its looks alone."""

_HEAD_BYTES = 1 << 16
_MAKE, _MODEL, _EXIF = 271, 272, 0x8769
_STATED_SIZE = (40962, 40963)

_DETAIL = 0.5
_LEAST_DETAIL = 0.5  # of 255; in less, nothing can be seen
_SIDE_SEEN = 2048
_ROUNDING = 1.0  # of 255: what decoders make of one JPEG


def looks(data: bytes, decoded: Decoded) -> Pictures:
    """Describe what was decoded of a file's bytes: () of `PICTURE`."""
    grey, colour = PICTURE["grey"].shape[0], PICTURE["colour"].shape[0]
    small = np.asarray(cv2.cvtColor(to_square(decoded.pixels, grey), cv2.COLOR_RGB2YCrCb), np.uint8)
    size, camera = (decoded.width, decoded.height), _is_as_camera_made_it(data, decoded)
    return np.array((*size, camera, small[..., 0], to_square(small, colour)[..., 1:]), PICTURE)


def _is_as_camera_made_it(data: bytes, decoded: Decoded) -> bool:
    """Whether EXIF names a camera, and no size but the picture's: a smaller copy often keeps the old one."""
    head = data[:_HEAD_BYTES]
    if decoded.kind != "TIFF" and b"Exif" not in head and b"eXIf" not in head:
        return False
    try:
        with open_image(data, decoded.kind) as image:
            exif = image.getexif()
            stated = [exif.get_ifd(_EXIF).get(tag) for tag in _STATED_SIZE]
    except Exception:  # noqa: BLE001 - broken blocks are no reason to refuse the picture
        return False
    width, height = decoded.width, decoded.height
    is_full_size = None in stated or stated in ([width, height], [height, width])
    return is_full_size and bool(exif.get(_MAKE) or exif.get(_MODEL))


def was_blown_up(pixels: Pixels, times: float) -> bool:
    """Whether a picture has no more detail than one whose sides are `times` shorter.

    What it loses where it is made so small is compared with what it then loses by half of that size:
    photographs lose about as much, those that were blown up less than half (docs/analysis.md).
    """
    height, width = (min(side, _SIDE_SEEN) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    middle = pixels[top : top + height, left : left + width]
    seen = np.asarray(cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY), np.float32)
    smaller, smallest = (_without_detail(seen, times * further) for further in (1, 2))
    lost, next_lost = _distance(seen, smaller), _distance(smaller, smallest)
    return next_lost >= _LEAST_DETAIL and lost <= _DETAIL * next_lost


def have_same_pixels(one: Pixels, other: Pixels) -> bool:
    """Whether two pictures are one but for rounding."""
    return one.shape == other.shape and _distance(one, other) <= _ROUNDING


def _without_detail(grey: NDArray[np.float32], times: float) -> NDArray[np.float32]:
    height, width = grey.shape
    small = max(1, round(width / times)), max(1, round(height / times))
    shrunk = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC))


def _distance(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    return float(cv2.norm(one.astype(np.float32), other.astype(np.float32)) / np.sqrt(one.size))
