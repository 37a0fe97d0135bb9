"""Small JPEGs for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcluster.images.encode import encode_image
from imgcluster.images.resize import to_fit

if TYPE_CHECKING:
    from imgcluster.records import Pixels


def thumbnail_jpeg(pixels: Pixels, long_side: int = 160) -> bytes:
    """Encode (H, W, 3) pixels as a JPEG file whose longer side has at most `long_side` pixels."""
    return encode_image(to_fit(pixels, long_side), ".jpg", quality=80)
