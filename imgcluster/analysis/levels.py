"""Levels: one tree of clusters, the same for every k, so that each of k + 1 clusters lies in one of k."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import count_distinct
from imgcluster.analysis.clusterer import ClusterSettings, Found, FoundIn
from imgcluster.analysis.fusion import pca_whiten
from imgcluster.analysis.kmeans import KMeansClusterer, merge_centroids
from imgcluster.analysis.members import NearestMember
from imgcluster.analysis.spaces import Spaces
from imgcluster.analysis.transforms import FEWEST_DIMENSIONS
from imgcluster.errors import UsageError

MOST_LEAVES = 128
_RESTARTS = 3


@dataclass(frozen=True)
class Levels:
    """A `SpacesClusterer`: small clusters of MiniBatchKMeans, merged by average linkage until k are left."""

    settings: ClusterSettings

    def fit(self, points: NDArray[np.float32], weights: NDArray[np.int64]) -> Found:
        """Cut the tree; UsageError where there are more clusters than leaves."""
        leaves = count_distinct(points, MOST_LEAVES)
        k = self.settings.k
        if k > MOST_LEAVES:
            raise UsageError(
                f"levels makes {MOST_LEAVES} clusters at most: choose a k below {k}, or another --algorithm"
            )
        settings = replace(self.settings, k=leaves, restarts=_RESTARTS)
        labels, small = KMeansClusterer("MiniBatchKMeans", settings).fit(points, weights)
        merged = merge_centroids(small.centroids, min(k, len(small.centroids)))
        return merged[labels], NearestMember(small.centroids, merged)

    def fit_spaces(self, spaces: Spaces, weights: NDArray[np.int64]) -> FoundIn:
        """Cut the tree in a space that does not depend on k."""
        space = spaces.made(pca_whiten(spaces.rows, FEWEST_DIMENSIONS, unit=True))
        return FoundIn(*self.fit(space.points, weights), space)
