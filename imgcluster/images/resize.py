"""From any size to the square that a network takes."""

from __future__ import annotations

import math

import numpy as np

from imgcluster.images.opencv import cv2
from imgcluster.records import Pixels


def side_needed(size: int, crop: float) -> int:
    """Give how long the shorter side has to be for an input of `size` that is not blown up."""
    return math.ceil(size / crop) if crop else size


def to_square(pixels: Pixels, size: int, *, crop: float = 0.0, interpolation: str = "area") -> Pixels:
    """Make the input of a network of an image: (H, W, 3) pixels to (size, size, 3).

    Parameters
    ----------
    crop
        Share of the shorter side that is kept, a square in the middle; 0: all of the image, its aspect ratio
        not kept.
    interpolation
        ``area``: along an axis that shrinks, every source pixel counts by its area; along one that grows,
        neighbours are blended linearly. ``bilinear``, ``bicubic``, ``lanczos``: Pillow's, which networks of
        PyTorch are trained on. With each of them fine stripes turn grey, not into a pattern of their own.
    """
    if crop:
        pixels = _middle(pixels, crop)
    if interpolation != "area":
        return _resampled(pixels, size, interpolation)
    height, width = pixels.shape[:2]
    if height >= size and width >= size:
        return _resized(pixels, size, size, cv2.INTER_AREA)
    if height <= size and width <= size:
        return _resized(pixels, size, size, cv2.INTER_LINEAR)
    # One axis shrinks and the other grows: shrinking first keeps the work small.
    shrunk = _resized(pixels, min(height, size), min(width, size), cv2.INTER_AREA)
    return _resized(shrunk, size, size, cv2.INTER_LINEAR)


def _middle(pixels: Pixels, crop: float) -> Pixels:
    height, width = pixels.shape[:2]
    side = max(1, round(min(height, width) * crop))
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _resampled(pixels: Pixels, size: int, interpolation: str) -> Pixels:
    from PIL import Image

    method = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(pixels).resize((size, size), method))


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
