"""Different views of one picture, for the demo and for calibration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgcluster.images.opencv import cv2
from imgcluster.records import Pixels

SMALLEST_CROP = 0.6
_TURN_DEGREES = 15
_HUE_STEPS = 12
_BRIGHTNESS = 0.25


def views(pixels: Pixels, count: int, seed: int, smallest_crop: float = SMALLEST_CROP) -> Iterator[Pixels]:
    """Yield `count` views of (H, W, 3) pixels: cropped, mirrored, turned a little, tinted, lighter or darker.

    Every second one is grey. A crop keeps at least `smallest_crop` of each side. The same seed gives the same
    views, however many are taken.
    """
    for index in range(count):
        # A generator per view: the first ten of twenty are the ten.
        random = np.random.default_rng((seed, index))
        view = _turned(_cropped(pixels, random, smallest_crop), random)
        if random.random() < 0.5:
            view = view[:, ::-1]
        view = _tinted(np.ascontiguousarray(view), random)
        yield _grey(view) if index % 2 else view


def _cropped(pixels: Pixels, random: np.random.Generator, smallest: float) -> Pixels:
    height, width = pixels.shape[:2]
    share = random.uniform(smallest, 1)
    rows, columns = max(1, round(height * share)), max(1, round(width * share))
    top = int(random.integers(0, height - rows + 1))
    left = int(random.integers(0, width - columns + 1))
    return pixels[top : top + rows, left : left + columns]


def _turned(pixels: Pixels, random: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    angle = random.uniform(-_TURN_DEGREES, _TURN_DEGREES)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    turned = cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, dtype=np.uint8)


def _tinted(pixels: Pixels, random: np.random.Generator) -> Pixels:
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + random.uniform(-_HUE_STEPS, _HUE_STEPS)) % 180
    hsv[..., 2] = np.clip(hsv[..., 2] * random.uniform(1 - _BRIGHTNESS, 1 + _BRIGHTNESS), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), dtype=np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(
        cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), dtype=np.uint8
    )
