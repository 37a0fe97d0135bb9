"""What the decoders hand to `decode`, and the arithmetic that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.memory import DecodeLimits, MemoryBudget
from imgcluster.images.opencv import cv2
from imgcluster.records import MOST, Pixels

# Pictures above the second size come at a reduced scale; conversions take one block of the first at a time.
BLOCK_PIXELS, LARGE_PIXELS = 4 << 20, 16 << 20
_MOST_SIDE = 10_000_000
_LONGEST_SIDE, _LARGEST_SCALE = 1 << 16, 256

Scale = tuple[int, int]
"""By how much the height and the width of a picture are divided."""
Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of a picture."""
WHOLE: Scale = (1, 1)


@dataclass(frozen=True)
class Decoded:
    """An image, ready to be looked at but for its orientation.

    Attributes
    ----------
    pixels
        (H, W, 3) uint8 RGB, alpha laid over white; at a reduced scale where that was allowed.
    width, height
        The full size.
    orientation
        1 to 8: what is still to be turned.
    note
        Empty, or what the user should know about this file.
    pages
        How many pictures a TIFF has one after the other; the first is looked at.
    kind
        The type by content, as in `header.EXTENSIONS`.
    """

    pixels: Pixels
    width: int
    height: int
    orientation: int = 1
    note: str = ""
    pages: int = 1
    kind: str = ""


@dataclass(frozen=True)
class Request:
    """What is wanted of a decoder; the attributes are the arguments of `decode`."""

    limits: DecodeLimits
    at_least: int | None
    budget: MemoryBudget

    def check_size(self, width: int, height: int) -> None:
        """Raise UnreadableImage for a picture whose header states a size above the limit."""
        if width * height > self.limits.max_pixels:
            raise UnreadableImage(
                f"{width} x {height} pixels are more than the limit of {self.limits.max_pixels:,} "
                "(`imgcluster extract --max-pixels` raises it)",
                FailureCode.TOO_LARGE,
                min(width * height, MOST),
            )

        if max(width, height) > _MOST_SIDE:
            raise UnreadableImage(
                f"{width} x {height} pixels: no side may have more than {_MOST_SIDE:,}",
                FailureCode.UNSUPPORTED,
            )

    def power_of_two(self, width: int, height: int) -> int:
        """Return the largest of 1, 2, 4, 8 by which both sides can be divided and be long enough."""
        shorter, at_least = min(width, height), self.at_least
        return 1 if at_least is None else next((n for n in (8, 4, 2) if shorter // n >= at_least), 1)

    def scale(self, width: int, height: int) -> Scale:
        """Return by how much a large picture may be divided and be long enough; ordinary ones stay as is.

        Both sides by the same, but where a thin picture would keep a side of hundreds of thousands of pixels.
        """
        if self.at_least is None or width * height <= LARGE_PIXELS:
            return WHOLE
        shorter, longer = sorted((width, height))
        short_scale = min(max(1, shorter // self.at_least), _LARGEST_SCALE)
        long_scale = max(short_scale, min(-(-longer // _LONGEST_SIDE), longer // self.at_least))
        return (long_scale, short_scale) if height > width else (short_scale, long_scale)


def damaged(reason: str) -> UnreadableImage:
    """Make the refusal of a file that is not as its format demands."""
    return UnreadableImage(reason, FailureCode.DAMAGED)


def rows_of_block(width: int, down: int) -> int:
    """Return how many rows of a picture are converted at a time, a multiple of `down`."""
    return max(1, BLOCK_PIXELS // width // down) * down


def scaled_size(width: int, height: int, scale: Scale) -> tuple[int, int]:
    """Return width and height at a reduced scale."""
    return -(-width // scale[1]), -(-height // scale[0])


def shrunk(pixels: Pixels, scale: Scale) -> Pixels:
    """Average rectangles of `scale` pixels."""
    if scale == WHOLE:
        return pixels
    size = scaled_size(pixels.shape[1], pixels.shape[0], scale)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def to_rgb(
    size: tuple[int, int],
    scale: Scale,
    part: Callable[[Box], NDArray[Any]],
    no_data: float | None = None,
) -> Pixels:
    """Bring a picture to RGB over white at a reduced scale, block by block.

    `part` gives the samples of a box, of any depth: (h, w), (h, w, 3) or, alpha last, (h, w, 4). Of those of
    more than 16 bits, `no_data` stands for nothing, as NaN does.
    """
    width, height = size
    down, across = scale
    boxes = list(_boxes(width, height, scale))
    blocks = map(part, boxes)
    levels = None
    if part((0, 0, 1, 1)).dtype not in (np.uint8, np.uint16):
        levels = _levels(map(part, boxes), no_data)
    if len(boxes) == 1:
        return shrunk(_rgb(next(blocks), levels, no_data), scale)
    result = np.empty((*scaled_size(width, height, scale)[::-1], 3), np.uint8)
    for (left, top, _, _), block in zip(boxes, blocks, strict=True):
        small = shrunk(_rgb(block, levels, no_data), scale)
        y, x = top // down, left // across
        result[y : y + small.shape[0], x : x + small.shape[1]] = small
    return result


def _boxes(width: int, height: int, scale: Scale) -> Iterator[Box]:
    down, across = scale
    rows = rows_of_block(width, down)
    columns = width if rows > down else max(1, BLOCK_PIXELS // down // across) * across
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield left, top, min(width, left + columns), min(height, top + rows)


def _tells(samples: NDArray[Any], no_data: float | None) -> NDArray[np.bool_]:
    """Whether each sample is a number, and not the one that stands for none."""
    tells: NDArray[np.bool_] = np.isfinite(samples)
    if no_data is not None:
        if samples.dtype.kind == "f":  # it was written with more digits than there are
            no_data = float(samples.dtype.type(no_data))
        tells &= samples != no_data
    return tells


def _levels(blocks: Iterable[NDArray[Any]], no_data: float | None) -> tuple[float, float]:
    """Return what is black and white: floats within 0 and 1 have those, others their minimum and maximum."""
    low, high, floats = np.inf, -np.inf, False
    for block in blocks:
        with np.errstate(invalid="ignore"):  # some that are no numbers say so when they are touched
            finite = block[_tells(block, no_data)]
        floats = block.dtype.kind == "f"
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        return 0.0, 0.0
    return (0.0, 1.0) if floats and low >= 0 and high <= 1 else (low, high)


def _rgb(samples: NDArray[Any], levels: tuple[float, float] | None, no_data: float | None = None) -> Pixels:
    """Bring samples to (H, W, 3) uint8: 16 bits by their full range, deeper ones by `levels`."""
    if samples.dtype == np.uint16:
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif levels is not None:
        samples = _to_8_bits(samples, levels, no_data)
    if samples.ndim == 2:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(samples), cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return over_white(samples) if samples.shape[2] == 4 else np.require(samples, requirements=["C", "W"])


def _to_8_bits(
    samples: NDArray[Any], levels: tuple[float, float], no_data: float | None
) -> NDArray[np.uint8]:
    """Scale to 0..255; what is no number becomes black."""
    low, high = levels
    # Halves, for the difference between the largest doubles is no number.
    span = high / 2 - low / 2
    if span == 0:
        return np.zeros(samples.shape, np.uint8)
    with np.errstate(invalid="ignore"):
        values = samples.astype(np.float64)
        values[~_tells(samples, no_data)] = low
    values /= 2
    values -= low / 2
    values /= span
    values *= 255
    return np.rint(values, out=values).astype(np.uint8)


def over_white(rgba: NDArray[np.uint8]) -> Pixels:
    """Lay (H, W, 4) pixels over white by their alpha."""
    alpha = rgba[..., 3:].astype(np.uint16)
    ink = (255 - rgba[..., :3]) * alpha
    return (255 - (ink + 127) // 255).astype(np.uint8)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn (H, W, 3) pixels as an EXIF orientation of 1 to 8 asks; from 5 on the sides are exchanged."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
