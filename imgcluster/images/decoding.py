"""What the decoders hand to `decode`, and the arithmetic that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.opencv import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgcluster.records import Pixels


@dataclass(frozen=True)
class Raw:
    """An image as its decoder gives it.

    Attributes
    ----------
    pixels
        (H, W, 3) uint8 RGB, possibly at a reduced scale.
    width, height
        Full size as stored.
    orientation
        What is still to be turned, 1 to 8.
    note
        What the user should know: cut short, for example.
    """

    pixels: Pixels
    width: int
    height: int
    orientation: int = 1
    note: str = ""


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture by its header when it is larger than the limit.

    Raises
    ------
    UnreadableImage
        Naming the size, the limit and the option.
    """
    if width * height > max_pixels:
        raise UnreadableImage(
            f"{width} x {height} pixels are more than the limit of {max_pixels:,} "
            "(`imgcluster extract --max-pixels` raises it)",
            FailureCode.TOO_LARGE,
            width * height,
        )


def over_white(rgba: NDArray[np.uint8]) -> Pixels:
    """Lay (H, W, 4) pixels over white by their alpha."""
    alpha = rgba[..., 3:].astype(np.uint16)
    ink = (255 - rgba[..., :3]) * alpha
    return (255 - (ink + 127) // 255).astype(np.uint8)


def to_8_bits(samples: NDArray[Any], *, sixteen_bits: bool = False) -> NDArray[np.uint8]:
    """Scale samples of any depth to 0..255.

    Unsigned 16 bits (and what `sixteen_bits` declares to be such) by the full range of the type, floats
    within 0..1 by 255, other floats and 32-bit integers by their own minimum and maximum. NaN becomes black.
    """
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    if samples.dtype == np.uint16 or sixteen_bits:
        levels: NDArray[np.uint32] = np.clip(samples, 0, 65535).astype(np.uint32)
        return ((levels + 128) // 257).astype(np.uint8)
    with np.errstate(invalid="ignore"):  # some that are no numbers say so when they are touched
        values = samples.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = float(values[finite].min()), float(values[finite].max())
    if samples.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    values[~finite] = low
    # Halves, for the difference between the largest doubles is no number.
    span = high / 2 - low / 2
    if span == 0:
        return np.zeros(values.shape, np.uint8)
    values /= 2
    values -= low / 2
    values /= span
    values *= 255
    return np.rint(values, out=values).astype(np.uint8)


def grey_to_rgb(grey: NDArray[np.uint8]) -> Pixels:
    """Repeat (H, W) grey values to (H, W, 3)."""
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
