"""Principal components from one pass over rows that need not fit in memory.

The sums are taken over rows rounded to a grid so fine that the rounding is lost in the noise, and so coarse
that double precision holds every partial sum exactly. Exact sums have no order: the components do not depend
on the order of the rows, the sizes of the blocks or the number of threads, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

from imgcluster.analysis.threads import on_all_cores, one_thread
from imgcluster.analysis.tiles import each_tile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_CHUNK = 1 << 22
"""Numbers of the rows whose products are taken at once."""
_BAND = 256
_EXACT_BITS = 51  # double precision holds integers of 53 bits; rounding may lengthen a row a little


@dataclass(frozen=True)
class Components:
    """Principal components, the largest first.

    Attributes
    ----------
    mean
        (D,) float64.
    axes
        (d, D) float64, orthonormal rows, each with its largest entry positive.
    variances
        (d,) float64.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    variances: NDArray[np.float64]


def principal_components(blocks: Iterable[NDArray[np.float32]], rows: int, count: int) -> Components:
    """Fit the `count` largest principal components (fewer where the rows span fewer).

    Parameters
    ----------
    blocks
        (n, D) float32, no row longer than 1, `rows` rows in all.
    rows
        Their number, at least 1.
    count
        How many components at most.
    """
    # Only the lower half of the products is filled, and only that is looked at.
    grid = 2.0 ** ((_EXACT_BITS - int(rows).bit_length()) // 2)
    total, products = _sums(blocks, grid)
    mean = total / (rows * grid)
    covariance = products / (rows * grid**2) - np.outer(mean, mean)
    return _largest(covariance, mean, min(count, rows - 1))


def chunk_rows(dimension: int) -> int:
    """Give how many rows are worth being given at once."""
    return max(_CHUNK // max(dimension, 1), 1)


def _sums(
    blocks: Iterable[NDArray[np.float32]], grid: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total = np.zeros(0)
    products = np.zeros((0, 0))
    for block in blocks:
        if not len(products):
            total, products = np.zeros(block.shape[1]), np.zeros((block.shape[1],) * 2)
        rows = chunk_rows(block.shape[1])
        for start in range(0, len(block), rows):
            points = _on_grid(block[start : start + rows], grid)
            total += points.sum(axis=0)
            _add_products(points, products)
    return total, products


def _add_products(points: NDArray[np.float64], products: NDArray[np.float64]) -> None:
    """Add the lower half of ``points.T @ points``."""

    def add(start: int) -> None:
        band = points[:, start : start + _BAND]
        width = start + band.shape[1]
        products[start:width, :width] += band.T @ points[:, :width]

    on_all_cores(add, reversed(range(0, len(products), _BAND)))


def _on_grid(rows: NDArray[np.float32], grid: float) -> NDArray[np.float64]:
    points = np.empty(rows.shape)

    def place_on_grid(place: slice, tile: NDArray[np.float32]) -> None:
        points[place] = np.rint(tile * np.float32(grid))[: place.stop - place.start]

    each_tile(rows, place_on_grid)
    return points


def _largest(covariance: NDArray[np.float64], mean: NDArray[np.float64], count: int) -> Components:
    variances, vectors = largest_eigenvectors(covariance, count)
    return Components(mean, with_signs(vectors.T), variances)


def largest_eigenvectors(
    matrix: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the `count` largest eigenvalues of (n, n), the largest first, and their vectors: (c,) and (n, c).

    Of the symmetric matrix only the lower half is looked at.
    Those of directions without variance are left out.
    """
    count = min(count, len(matrix))
    if count < 1:
        return np.zeros(0), np.zeros((len(matrix), 0))
    with one_thread():
        values, vectors = eigh(matrix, subset_by_index=(len(matrix) - count, len(matrix) - 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    # Directions without variance carry nothing but rounding, and whitening would magnify it.
    kept = values > 1e-9 * max(values[0], 1e-12)
    return values[kept], vectors[:, kept]


def with_signs(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn each of (c, D) axes so that its largest entry is positive: either way is as good."""
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return np.asarray(axes * signs[:, None], np.float64)
