"""Principal components of rows in memory: by their covariance, or, where they are few, by their Gram matrix.

Matrices are multiplied in bands, one thread for each: the threads of BLAS wait for one another by turning
round, and on a busy machine take ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from imgcluster.analysis.parallel import alone, on_all_cores

_BAND = 256
_COLUMNS = 2048


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


def principal_components(rows: NDArray[np.float32], count: int) -> Components:
    """Fit the `count` largest principal components (fewer where the rows span fewer).

    Parameters
    ----------
    rows
        (n, D) float32, n at least 1, in the order of their keys: the last bits depend on the order.
    count
        How many components at most.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    count = min(count, len(rows) - 1)
    if rows.shape[1] > len(rows):
        variances, axes = _by_gram_matrix(rows, mean, count)
    else:
        variances, vectors = _largest_eigenvectors(_products((rows - mean).T) / len(rows), count)
        axes = vectors.T
    # Either way an axis is as good: its largest entry shall be positive.
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return Components(mean, axes * signs[:, None], variances)


def _largest_eigenvectors(
    matrix: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the `count` largest eigenvalues of (n, n), the largest first, and their vectors: (c,) and (n, c).

    Of the symmetric matrix only the lower half is looked at.
    Those of directions without variance are left out.
    """
    count = min(count, len(matrix))
    if count < 1:
        return np.zeros(0), np.zeros((len(matrix), 0))
    largest = len(matrix) - count, len(matrix) - 1
    values, vectors = alone(lambda: eigh(matrix, subset_by_index=largest))
    values, vectors = values[::-1], vectors[:, ::-1]
    # Directions without variance carry nothing but rounding, and whitening would magnify it.
    kept = values > 1e-9 * max(values[0], 1e-12)
    return values[kept], vectors[:, kept]


def _by_gram_matrix(
    rows: NDArray[np.float32], mean: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the products of rows with one another: they have the same eigenvalues, and lead to the axes."""
    variances, vectors = _largest_eigenvectors(_gram_matrix(rows, mean) / len(rows), count)
    axes = np.empty((len(variances), rows.shape[1]))
    for place in _slices(rows.shape[1]):
        axes[:, place] = vectors.T @ (rows[:, place] - mean[place])
    return variances, axes / np.sqrt(len(rows) * variances)[:, None]


def _gram_matrix(rows: NDArray[np.float32], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    products = np.zeros((len(rows),) * 2)
    for place in _slices(rows.shape[1]):
        products += _products(rows[:, place] - mean[place])
    return products


def _products(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the lower half of ``rows @ rows.T``."""
    products = np.zeros((len(rows),) * 2)

    def multiply(start: int) -> None:
        end = start + _BAND
        products[start:end, :end] = rows[start:end] @ rows[:end].T

    on_all_cores(multiply, reversed(range(0, len(rows), _BAND)))
    return products


def _slices(dimension: int) -> Iterator[slice]:
    return (slice(start, start + _COLUMNS) for start in range(0, dimension, _COLUMNS))
