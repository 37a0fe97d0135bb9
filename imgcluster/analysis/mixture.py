"""A mixture of normal distributions of one common covariance, each with a weight of its own.

In the space that such clusters make round, a point belongs to the nearest mean, a large cluster reaching
further than a small one: a mixture need not cut a large class to have clusters of one size, as k-means does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import find_nearest, means_of
from imgcluster.analysis.fusion import whiten_within_clusters
from imgcluster.analysis.spaces import Space, Spaces

_ITERATIONS = 20


@dataclass(frozen=True)
class WeightedCentroids:
    """The model of a mixture (a `ClustererModel`) in the space that it made round.

    Attributes
    ----------
    centroids
        (k, d) float32.
    penalties
        (k,) float32, added to squared distances: -2 log of each cluster's share.
    """

    centroids: NDArray[np.float32]
    penalties: NDArray[np.float32]

    @classmethod
    def of(cls, points: NDArray[np.float32], labels: NDArray[np.int32], k: int) -> WeightedCentroids:
        """Estimate it from labels, each of which is used."""
        shares = np.bincount(labels, minlength=k) / len(labels)
        return cls(means_of(points, labels, k), (-2 * np.log(shares)).astype(np.float32))

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[np.generic]]) -> WeightedCentroids:
        """Make it of its arrays."""
        return cls(*(np.asarray(arrays[name], np.float32) for name in ("centroids", "penalties")))

    def predict(self, points: NDArray[np.float32]) -> NDArray[np.int32]:
        """Give each point's most probable cluster."""
        return find_nearest(points, self.centroids, self.penalties).labels

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Give means and penalties."""
        return {"centroids": self.centroids, "penalties": self.penalties}


@dataclass(frozen=True)
class Mixture:
    """Labels (N,) that are what the model predicts in the space."""

    labels: NDArray[np.int32]
    model: WeightedCentroids
    space: Space


def fit_mixture(spaces: Spaces, labels: NDArray[np.int32], iterations: int = _ITERATIONS) -> Mixture | None:
    """Fit a mixture by classification EM (Celeux and Govaert 1992), from labels on.

    None where clusters are left without an image.
    """
    k = int(labels.max()) + 1
    for _ in range(iterations):
        space = spaces.narrowed(labels, unit=False)
        model = WeightedCentroids.of(space.points, labels, k)
        before, labels = labels, model.predict(space.points)
        if np.bincount(labels, minlength=k).min() == 0:
            return None
        if np.array_equal(labels, before):
            break
    return Mixture(labels, model, space)


def scatter_criterion(spaces: Spaces, labels: NDArray[np.int32]) -> float:
    """Give -2 / N times the log of the likelihood of labels under such a mixture, but for a constant.

    Symons 1981: the log of the determinant of the covariance within clusters, plus twice the entropy of
    their sizes.
    """
    step = whiten_within_clusters(spaces.rows, labels, spaces.k, unit=False)
    shares = np.bincount(labels) / len(labels)
    shares = shares[shares > 0]
    return float(2 * np.log(step.scale, dtype=np.float64).sum() - 2 * (shares * np.log(shares)).sum())
