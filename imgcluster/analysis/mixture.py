"""A mixture of normal distributions of one common covariance, each with a weight of its own.

In the space that such clusters make round, a point belongs to the nearest mean, a large cluster reaching
further than a small one: a mixture need not cut a large class to have clusters of one size, as k-means does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import means_of
from imgcluster.analysis.clusterer import FoundIn
from imgcluster.analysis.fusion import whiten_within_clusters
from imgcluster.analysis.kmeans import NearestCentroid
from imgcluster.analysis.spaces import Spaces

_ITERATIONS = 20


def fit_mixture(spaces: Spaces, labels: NDArray[np.int32], iterations: int = _ITERATIONS) -> FoundIn | None:
    """Fit a mixture by classification EM (Celeux and Govaert 1992), from labels on.

    None where clusters are left without an image.
    """
    k = int(labels.max()) + 1
    for _ in range(iterations):
        space = spaces.narrowed(labels, unit=False)
        shares = np.bincount(labels, minlength=k) / len(labels)
        penalties = (-2 * np.log(shares)).astype(np.float32)
        model = NearestCentroid(means_of(space.points, labels, k), penalties)
        before, labels = labels, model.predict(space.points)
        if np.bincount(labels, minlength=k).min() == 0:
            return None
        if np.array_equal(labels, before):
            break
    return FoundIn(labels, model, space)


def scatter_criterion(spaces: Spaces, labels: NDArray[np.int32]) -> float:
    """Give -2 / N times the log of the likelihood of labels under such a mixture, but for a constant.

    Symons 1981: the log of the determinant of the covariance within clusters, plus twice the entropy of
    their sizes.
    """
    step = whiten_within_clusters(spaces.rows, labels, spaces.k, unit=False)
    shares = np.bincount(labels) / len(labels)
    shares = shares[shares > 0]
    return float(2 * np.log(step.scale, dtype=np.float64).sum() - 2 * (shares * np.log(shares)).sum())
