"""From any size to the square that a network takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgcluster.images.opencv import cv2

if TYPE_CHECKING:
    from imgcluster.records import Pixels

PREPROCESSING_VERSION = 1
"""Part of every feature space: raised whenever the pixels that a network sees change their meaning."""


def to_square(pixels: Pixels, size: int) -> Pixels:
    """Resize (H, W, 3) pixels to (size, size, 3); the aspect ratio is not kept.

    Along an axis that shrinks, every source pixel counts by its area; along one that grows, neighbours are
    blended linearly. So fine stripes turn grey instead of into a pattern of their own.
    """
    height, width = pixels.shape[:2]
    if height >= size and width >= size:
        return _resized(pixels, size, size, cv2.INTER_AREA)
    if height <= size and width <= size:
        return _resized(pixels, size, size, cv2.INTER_LINEAR)
    # One axis shrinks and the other grows: shrinking first keeps the work small.
    shrunk = _resized(pixels, min(height, size), min(width, size), cv2.INTER_AREA)
    return _resized(shrunk, size, size, cv2.INTER_LINEAR)


def to_fit(pixels: Pixels, long_side: int) -> Pixels:
    """Shrink (H, W, 3) pixels so that no side is longer than `long_side`; smaller ones stay as they are."""
    height, width = pixels.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return pixels
    return _resized(pixels, max(1, round(height * scale)), max(1, round(width * scale)), cv2.INTER_AREA)


def _resized(pixels: Pixels, height: int, width: int, interpolation: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=interpolation), dtype=np.uint8)
