"""The default: k-means, or a mixture begun from small clusters that were merged, whichever explains more.

k-means likes clusters of one size, and is hard to surpass where classes are so. Small clusters of k-means,
merged by average linkage, follow classes of any size but are rough; a mixture begun from them is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.clusterer import ClusterSettings, Found, FoundIn
from imgcluster.analysis.fusion import pca_whiten
from imgcluster.analysis.kmeans import KMeansClusterer, merge_centroids
from imgcluster.analysis.mixture import fit_mixture, scatter_criterion
from imgcluster.analysis.neighbour_graph import neighbour_graph, normalised_cut
from imgcluster.analysis.spaces import Spaces

_TIMES = (4, 6, 8, 12, 16)
"""So many times more small clusters than clusters."""
_ONE = (8,)
"""Of one run only."""
_MOST_SMALL = 1024
_FEWEST_MEMBERS = 3
"""Of a small cluster, in the mean."""
_RESTARTS = 3
SAMPLE = 1 << 13
"""So many images settle the choice and, but for a few last passes, the mixture."""
_LAST_ITERATIONS = 4
_CLEARLY = 1e-5
"""Criteria that differ by less may do so by rounding."""
_FEWER_CUTS = 0.97
_MUCH_EXPLAINED = 0.4
"""A mixture takes the place of k-means for no trifle, which another seed would undo: it cuts apart so much
fewer neighbours, or explains so much more of each image (docs/analysis.md)."""


@dataclass(frozen=True)
class KMeansOrMixture:
    """A `SpacesClusterer`; in one space alone it is k-means by mini-batches."""

    settings: ClusterSettings

    def fit(self, points: NDArray[np.float32], weights: NDArray[np.int64]) -> Found:
        """Find clusters by k-means."""
        return self._kmeans.fit(points, weights)

    def fit_spaces(self, spaces: Spaces, weights: NDArray[np.int64]) -> FoundIn:
        """Find clusters in the space that they make narrow."""
        found = self._kmeans.fit_spaces(spaces, weights)
        mixture = self._better_mixture(spaces.sample(SAMPLE), found.labels[:SAMPLE])
        if mixture is not None and len(spaces.rows) > SAMPLE:
            labels = mixture.model.predict(spaces.made(mixture.space.step).points)
            mixture = fit_mixture(spaces, labels, _LAST_ITERATIONS)
        return mixture or found

    @property
    def _kmeans(self) -> KMeansClusterer:
        return KMeansClusterer("MiniBatchKMeans", self.settings)

    def _better_mixture(self, spaces: Spaces, labels: NDArray[np.int32]) -> FoundIn | None:
        """Give the mixture that explains most, if more than `labels`, and it cuts fewer neighbours apart."""
        k = int(labels.max()) + 1
        points = spaces.made(pca_whiten(spaces.rows, k, unit=True)).points
        best, begun = None, scatter_criterion(spaces, labels)
        least = begun
        graph = None
        for start in self._merged(points, k):
            mixture = fit_mixture(spaces, start)
            criterion = np.inf if mixture is None else scatter_criterion(spaces, mixture.labels)
            if mixture is None or criterion > least - _CLEARLY:
                continue
            graph = neighbour_graph(points) if graph is None else graph
            share = 1 if criterion < begun - _MUCH_EXPLAINED else _FEWER_CUTS
            if normalised_cut(graph, mixture.labels) < share * normalised_cut(graph, labels) - _CLEARLY:
                best, least = mixture, criterion
        return best

    def _merged(self, points: NDArray[np.float32], k: int) -> Iterator[NDArray[np.int32]]:
        """Yield the labels of small clusters merged to k."""
        most = min(_MOST_SMALL, len(points) // _FEWEST_MEMBERS)
        restarts = min(_RESTARTS, self.settings.restarts or _RESTARTS)
        several = _TIMES if restarts > 1 else _ONE
        for count in sorted({min(times * k, most) for times in several}) if 1 < k <= most // 2 else ():
            small = KMeansClusterer("MiniBatchKMeans", replace(self.settings, k=count, restarts=restarts))
            labels, model = small.fit(points, np.ones(len(points), np.int64))
            yield merge_centroids(model.centroids, k)[labels]
