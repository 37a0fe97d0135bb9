"""From the prepared features of one or several networks to the points that are clustered.

Features of several networks meet before the dimensions are chosen: directions in which the networks agree
add up and come first, and those that only the weaker one sees fall behind. Once there are clusters, the
directions in which each of them is wide are made narrow, so that what sets clusters apart counts for more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

from imgcluster.analysis.covariance import chunk_rows, principal_components
from imgcluster.analysis.fitting import cluster_sums
from imgcluster.analysis.prepare import WHITENING, apply_preparation, automatic_dimensions
from imgcluster.analysis.threads import on_all_cores, one_thread
from imgcluster.records import Preparation

if TYPE_CHECKING:
    from numpy.typing import NDArray

OFF_DIAGONAL = 0.7
"""How far the covariance within clusters is trusted: it is estimated from labels that are not all right."""
FEWEST_FOR_UNIT_LENGTH = 3
"""Two clusters are told apart in one direction; unit length would give the other ones a say in it."""
_FLOOR = 1e-3
_CHUNK = 1 << 14


def join(features: NDArray[np.float32], clusters: int | None) -> Preparation:
    """Fit the step to the points in which clusters are first looked for.

    Principal components, half whitening, and unit length where there are three clusters and more.

    Parameters
    ----------
    features
        (N, w) float32, the principal components of each space side by side.
    clusters
        How many clusters are looked for, if it is known.
    """
    length = float(np.sqrt(np.einsum("ij,ij->i", features, features)).max(initial=0)) or 1.0
    rows = chunk_rows(features.shape[1])
    blocks = (features[start : start + rows] / np.float32(length) for start in range(0, len(features), rows))
    found = principal_components(blocks, len(features), automatic_dimensions(clusters))
    scale = (np.sqrt(found.variances) * length) ** WHITENING
    return _step(found.mean * length, found.axes, scale, clusters)


def sharpen(features: NDArray[np.float32], labels: NDArray[np.int32]) -> Preparation:
    """Fit the step to points in which the clusters that were found are round.

    Features are divided by a root of the covariance within clusters, its entries off the diagonal shrunk;
    unit length where there are three clusters and more.

    Parameters
    ----------
    features
        (N, w) float32 in the order of their keys.
    labels
        (N,) int32, each number from 0 to the largest at least once.
    """
    k = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=k)
    means = cluster_sums(features, labels, k) / sizes[:, None]

    def products(start: int) -> NDArray[np.float64]:
        place = slice(start, start + _CHUNK)
        deviations = features[place] - means[labels[place]]
        return deviations.T @ deviations

    parts = on_all_cores(products, range(0, len(features), _CHUNK))
    within = sum(parts, np.zeros((features.shape[1],) * 2))
    within /= len(features)
    variance = within.trace() / max(len(within), 1)
    shrunk = OFF_DIAGONAL * within + (1 - OFF_DIAGONAL) * np.diag(np.diag(within))
    shrunk += (_FLOOR * variance or 1.0) * np.eye(len(within))
    with one_thread():
        variances, axes = eigh(shrunk)
    return _step(features.mean(axis=0, dtype=np.float64), axes.T, np.sqrt(variances), k)


def apply_join(step: Preparation | None, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the points of features: (N, w) to (N, d) float32; without a step the features are the points."""
    return features if step is None else apply_preparation(step, features)


def _step(
    mean: NDArray[np.float64], axes: NDArray[np.float64], scale: NDArray[np.float64], clusters: int | None
) -> Preparation:
    return Preparation(
        normalise=False,
        mean=mean.astype(np.float32),
        components=axes.astype(np.float32),
        scale=scale.astype(np.float32),
        normalise_again=clusters is None or clusters >= FEWEST_FOR_UNIT_LENGTH,
    )
