"""How far two pictures differ in their pixels: by blocks, in the best of the eight orientations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imgcluster.records import Pictures

MOST_DIFFERENCE = 8.0
"""Up to here two pictures are one: the root mean square of what the pixels of a block differ by, of 255."""

_SHARE_OF_CONTRAST = 0.28
"""In a picture with little in it, it has to be less: this share of how far its pixels lie from their mean."""

_BLOCKS = 4  # across and down
_SLACK = 4.0  # in squares: more than what float32 loses of them

_Grey = NDArray[np.uint8]
_Vectors = NDArray[np.float32]


def differences(one: Pictures, others: Pictures) -> NDArray[np.float64]:
    """Compare one picture, (1,), with others, (n,): the largest difference of any block, (n,).

    The root mean square over each of 4 x 4 blocks of the grey picture, and of its colours.
    """
    best = np.full(len(others), np.inf)
    for grey, colour in zip(_turned(one["grey"]), _turned(one["colour"]), strict=True):
        worst = np.maximum(_worst_block(grey, others["grey"]), _worst_block(colour, others["colour"]))
        np.minimum(best, worst, out=best)
    return best


def allowed(pictures: Pictures) -> NDArray[np.float64]:
    """Give how far copies of each picture may differ from it: (n,) to (n,)."""
    grey = pictures["grey"].astype(np.float64)
    contrast = np.abs(grey - grey.mean((1, 2), keepdims=True)).mean((1, 2))
    return np.asarray(np.minimum(MOST_DIFFERENCE, _SHARE_OF_CONTRAST * contrast))


def may_be_alike(some: Pictures, others: Pictures, limits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of (n,) and (m,) pictures may differ by their `limits`, (n,), at most; the others do not.

    The means of the blocks differ by no more than the blocks do, so they sort out nearly all; where they do
    not, the blocks themselves are compared, as products of matrices.
    """
    alike = np.zeros((len(some), len(others)), np.bool_)
    squares = limits**2 + _SLACK
    means = _bounded(_block_means(others["grey"]), None)
    for turned in _turned(some["grey"]):
        near = _bounded(_block_means(turned), _BLOCKS**2 * squares) @ means.T >= 0
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if len(rows):
            there = np.ix_(rows, columns)
            alike[there] |= near[there] & _blocks_alike(turned[rows], others["grey"][columns], squares[rows])
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


def _block_means(grey: _Grey) -> _Vectors:
    return np.stack([block.mean(axis=1) for block in _blocks(grey)], axis=1)


def _blocks(grey: _Grey) -> Iterator[_Vectors]:
    """Yield each block of (n, side, side) as (n, pixels of a block), about a mean of 0."""
    side = grey.shape[1] // _BLOCKS
    for top in range(0, grey.shape[1], side):
        for left in range(0, grey.shape[1], side):
            block = grey[:, top : top + side, left : left + side].reshape(len(grey), -1)
            yield block.astype(np.float32) - 128


def _worst_block(one: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
    side = others.shape[1] // _BLOCKS
    apart = (others.astype(np.int32) - one) ** 2
    blocks = apart.reshape(len(others), _BLOCKS, side, _BLOCKS, side, *others.shape[3:]).mean(axis=(2, 4))
    return np.asarray(np.sqrt(blocks.max(axis=tuple(range(1, blocks.ndim)))))


def _turned(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield (n, side, side, …) in the eight orientations that a picture can have."""
    for seen in (pixels, pixels[:, :, ::-1]):
        for quarters in range(4):
            yield np.rot90(seen, quarters, axes=(1, 2))
