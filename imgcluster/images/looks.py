"""How a picture looks, in little more than a thousand bytes: enough to tell copies of it from look-alikes."""

from __future__ import annotations

import numpy as np

from imgcluster.images.decode import Decoded
from imgcluster.images.opencv import cv2
from imgcluster.images.pillow import open_image
from imgcluster.images.resize import to_square
from imgcluster.records import PICTURE, Pictures

SIDE_NEEDED = 256
"""How many pixels the shorter side of a picture needs that is decoded for its looks alone."""

_HEAD_BYTES = 1 << 16
_MAKE, _MODEL, _EXIF = 271, 272, 0x8769
_STATED_SIZE = (40962, 40963)


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
