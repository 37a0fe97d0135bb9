"""Principal components of rows so wide that a matrix of dimensions by dimensions would fill the memory.

The products of n rows with one another, n by n, have the same eigenvalues, and lead to the same axes. Rows
are rounded to a grid on which every product and every sum of them is exact, and come in the order of their
keys: so the components depend neither on the order in which images lie nor on the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.covariance import Components, largest_eigenvectors, with_signs
from imgcluster.analysis.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

WIDE = 4096
"""Rows of more dimensions are wide: a covariance of so many takes 128 MiB, its decomposition more."""
_MOST_ROWS = 2048
_FEWEST_ROWS = 256
_ROWS_PER_COMPONENT = 4
_COLUMNS = 2048
_GRID = 2.0**25


def affordable_wide_rows(dimension: int, count: int, memory: int | None) -> int:
    """Give how many rows of so many dimensions are enough for `count` components, and fit half the memory."""
    fitting = _MOST_ROWS if memory is None else memory // (2 * 4 * dimension)
    return max(_FEWEST_ROWS, _ROWS_PER_COMPONENT * count, min(fitting, _MOST_ROWS))


def wide_components(rows: NDArray[np.float32], count: int) -> Components:
    """Fit the `count` largest principal components (fewer where the rows span fewer).

    Parameters
    ----------
    rows
        (n, D) float32, none longer than 1, in the order of their keys.
    count
        How many components at most.
    """
    images, dimension = rows.shape
    total, products = np.zeros(dimension), np.zeros((images, images))
    for place, part in _on_grid(rows):
        total[place] = part.sum(axis=0)
        products += part @ part.T
    covariance = doubly_centred(products) / (images * _GRID**2)
    variances, vectors = largest_eigenvectors(covariance, min(count, images - 1))
    axes = np.empty((len(variances), dimension))
    mean = total / images
    with one_thread():
        for place, part in _on_grid(rows):
            axes[:, place] = vectors.T @ (part - mean[place])
    axes /= np.sqrt(images * _GRID**2 * variances)[:, None]
    return Components(mean / _GRID, with_signs(axes), variances)


def plane_of_wide(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the two largest principal components' coordinates of (n, D) points: (n, 2), or fewer columns."""
    products = np.zeros((len(points),) * 2)
    with one_thread():
        for place in _slices(points.shape[1]):
            part = points[:, place].astype(np.float64)
            products += part @ part.T
    values, vectors = largest_eigenvectors(doubly_centred(products), 2)
    return np.asarray(vectors * np.sqrt(values), np.float64)


def doubly_centred(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn the products of rows with one another into those of the rows less their mean."""
    means = products.mean(axis=0)
    return np.asarray(products - means - means[:, None] + means.mean(), np.float64)


def _on_grid(rows: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    for place in _slices(rows.shape[1]):
        yield place, np.rint(rows[:, place] * np.float32(_GRID)).astype(np.float64)


def _slices(dimension: int) -> Iterator[slice]:
    return (slice(start, start + _COLUMNS) for start in range(0, dimension, _COLUMNS))
