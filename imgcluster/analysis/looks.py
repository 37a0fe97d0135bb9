"""How far two pictures differ in their pixels: by blocks, in the best of the eight orientations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.records import Pictures

MOST_DIFFERENCE = 8.0
"""Up to here two pictures are one: the root mean square of what the pixels of a block differ by, of 255."""

_SHARE_OF_CONTRAST = 0.28
"""In a picture with little in it, it has to be less: this share of how far its pixels lie from their mean."""

_OTHER_SHAPE = 0.05  # in the logarithm of width over height
_BLOCKS = 4  # across and down
_SLACK = 0.1  # in squares: more than what float32 loses of them
_AT_ONCE = 4096

_Grey = NDArray[np.uint8]
_Vectors = NDArray[np.float32]


class Looks:
    """What (N,) pictures look like, to be compared.

    Attributes
    ----------
    limits
        (N,): how far copies of each may differ from it.
    brightness
        (N,) float32: copies differ in it by no more than that, in whatever orientation.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self.limits = np.zeros(len(pictures))
        self._means = np.zeros((len(pictures), _BLOCKS, _BLOCKS), np.float32)
        for start in range(0, len(pictures), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            grey = pictures["grey"][part].astype(np.float32)
            contrast = np.abs(grey - grey.mean((1, 2), keepdims=True)).mean((1, 2))
            self.limits[part] = np.minimum(MOST_DIFFERENCE, _SHARE_OF_CONTRAST * contrast)
            self._means[part] = _in_blocks(grey).mean(axis=(2, 4)) - 128
        self.brightness = self._means.mean(axis=(1, 2))

    def differences(self, one: int, others: NDArray[np.intp]) -> NDArray[np.float64]:
        """Compare one picture with (n,) others: the largest difference of any block, (n,).

        The root mean square over each of 4 x 4 blocks of the grey picture, and of its colours.
        """
        mine, theirs = self._pictures[[one]], self._pictures[others]
        best = np.full(len(others), np.inf)
        for grey, colour in zip(_turned(mine["grey"]), _turned(mine["colour"]), strict=True):
            worst = np.maximum(_worst_block(grey, theirs["grey"]), _worst_block(colour, theirs["colour"]))
            np.minimum(best, worst, out=best)
        return best

    def shaped_alike(self, one: int, others: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which of (n,) others have the shape of one picture, upright or turned: (n,)."""
        mine, theirs = (
            np.maximum([self._pictures[side][rows] for side in ("width", "height")], 1.0)
            for rows in ([one], others)
        )
        shapes = [np.log(wide / high) for wide, high in (mine, theirs)]
        rounding = 1 / mine.min(axis=0) + 1 / theirs.min(axis=0)
        apart = np.abs(np.abs(shapes[0]) - np.abs(shapes[1]))
        return np.asarray(apart <= _OTHER_SHAPE + rounding)

    def may_be_alike(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which of (n,) and (m,) pictures may differ by the limit of the first at most; others do not.

        The means of the blocks differ by no more than the blocks do, so they sort out nearly all; where they
        do not, the blocks themselves are compared, as products of matrices.
        """
        alike = np.zeros((len(rows), len(columns)), np.bool_)
        squares = self.limits[rows] ** 2 + _SLACK
        means = _bounded(self._means[columns].reshape(-1, _BLOCKS**2), None).T
        for turned, grey in zip(
            _turned(self._means[rows]), _turned(self._pictures["grey"][rows]), strict=True
        ):
            near = _bounded(turned.reshape(-1, _BLOCKS**2), _BLOCKS**2 * squares) @ means >= 0
            some = np.flatnonzero(near.any(axis=1))
            if len(some):
                others = np.flatnonzero(near[some].any(axis=0))
                there = np.ix_(some, others)
                theirs = self._pictures["grey"][columns[others]]
                alike[there] |= near[there] & _blocks_alike(grey[some], theirs, squares[some])
        return alike


def _blocks_alike(some: _Grey, others: _Grey, squares: NDArray[np.float64]) -> NDArray[np.bool_]:
    alike = np.ones((len(some), len(others)), np.bool_)
    for one, other in zip(_blocks(some), _blocks(others), strict=True):
        alike &= _bounded(one, one.shape[1] * squares) @ _bounded(other, None).T >= 0
    return alike


def _bounded(vectors: _Vectors, bound: NDArray[np.float64] | None) -> _Vectors:
    """Add two numbers to each vector: a product from 0 on then tells a squared distance of `bound` at most.

    Those with a bound are multiplied with those without.
    """
    half = (vectors.astype(np.float64) ** 2).sum(axis=1) / 2
    one = np.ones(len(vectors))
    added = (-half, one) if bound is None else (one, bound / 2 - half)
    return np.column_stack([vectors, *added]).astype(np.float32)


def _blocks(grey: _Grey) -> Iterator[_Vectors]:
    """Yield each block of (n, side, side) as (n, pixels of a block), about a mean of 0."""
    blocks = _in_blocks(grey.astype(np.float32) - 128)
    for down in range(_BLOCKS):
        for across in range(_BLOCKS):
            yield blocks[:, down, :, across].reshape(len(grey), -1)


def _in_blocks(pixels: NDArray[Any]) -> NDArray[Any]:
    """(n, side, side, …) as (n, blocks, pixels of a block, blocks, pixels of a block, …)."""
    side = pixels.shape[1] // _BLOCKS
    return pixels.reshape(len(pixels), _BLOCKS, side, _BLOCKS, side, *pixels.shape[3:])


def _worst_block(one: _Grey, others: _Grey) -> NDArray[np.float64]:
    blocks = _in_blocks((others.astype(np.int32) - one) ** 2).mean(axis=(2, 4))
    return np.asarray(np.sqrt(blocks.max(axis=tuple(range(1, blocks.ndim)))))


def _turned(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield (n, side, side, …) in the eight orientations that a picture can have."""
    for seen in (pixels, pixels[:, :, ::-1]):
        for quarters in range(4):
            yield np.rot90(seen, quarters, axes=(1, 2))
