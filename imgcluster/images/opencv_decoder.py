"""JPEG by the fast path, and the few files that only OpenCV can open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from imgcluster.errors import UnreadableImage
from imgcluster.images.decoding import Raw, grey_to_rgb, over_white, to_8_bits
from imgcluster.images.opencv import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SCALED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def decode_colour(data: bytes, scale: int) -> NDArray[np.uint8] | None:
    """Decode to (H, W, 3) uint8 RGB at 1/`scale` of the size, not turned; None where OpenCV cannot."""
    pixels = _imdecode(data, _SCALED[scale] | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        return None
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, pixels), dtype=np.uint8)


def decode_anything(data: bytes) -> Raw:
    """Decode with all that is there (alpha, depth), for files that Pillow cannot open.

    Raises
    ------
    UnreadableImage
        When OpenCV cannot either.
    """
    # IMREAD_UNCHANGED turns TIFF itself and nothing else; the formats that come here state no orientation.
    pixels = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise UnreadableImage("damaged, or a variant that no decoder here knows")
    samples = to_8_bits(pixels)
    height, width = samples.shape[:2]
    if samples.ndim == 2:
        rgb = grey_to_rgb(samples)
    elif samples.shape[2] == 4:
        rgb = over_white(samples[..., [2, 1, 0, 3]])
    elif samples.shape[2] != 3:
        raise UnreadableImage(f"an image of {samples.shape[2]} channels, which means nothing here")
    else:
        rgb = np.ascontiguousarray(samples[..., ::-1])
    return Raw(rgb, width, height)


def _imdecode(data: bytes, flags: int) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        # Sizes over its limits and the like; to a caller the same as a file that it cannot read.
        return None
