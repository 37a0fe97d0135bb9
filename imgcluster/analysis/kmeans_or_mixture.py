"""The default: k-means, or a mixture begun from small clusters that were merged, whichever explains more.

k-means likes clusters of one size, and is hard to surpass where classes are so. Small clusters of k-means,
merged by average linkage, follow classes of any size but are rough; a mixture begun from them is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.clusterer import ClusterSettings, Found, FoundIn
from imgcluster.analysis.fusion import pca_whiten
from imgcluster.analysis.kmeans import KMeansClusterer, merge_centroids
from imgcluster.analysis.mixture import fit_mixture, scatter_criterion
from imgcluster.analysis.neighbour_graph import neighbour_graph, normalised_cut
from imgcluster.analysis.spaces import SmallClusters, Spaces
from imgcluster.analysis.strangers import count_strays, distances_to_neighbours

_TIMES = (4, 5, 6, 7, 8, 10, 12, 14, 16)
"""So many times more small clusters than clusters."""
_ONE = (8,)
"""Of one run only, and where it has to be quick."""
_FEWEST_MEMBERS = 3
"""Of a small cluster, in the mean."""
_RESTARTS = 2
SAMPLE = 1 << 11
"""So many images settle the choice and, but for a few last passes, the mixture."""
_LAST_ITERATIONS = 4
_CLEARLY, _MUCH = 0.1, 1.0
"""A mixture that takes the place of k-means explains each image by so much more (-2 log of the likelihood);
one that gives strangers a cluster, where they are not to be left out, by very much more."""
_EVEN = 0.01
"""k-means that cuts a large class hardly makes clusters of one size: where the entropy of their sizes is so
near to that of equal ones, its answer is taken (docs/analysis.md); what N images drawn from k equal shares
miss by chance, (k - 1) / 2N in the mean (Miller 1955), is not counted up to as much again."""
_HALVES, _FEW_CUTS = 2, 0.5
"""Two clusters of one size may be halves of one class: then a mixture cuts half as many neighbours apart."""


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
        k = int(found.labels.max()) + 1
        even = _entropy_missing(found.labels) < _EVEN + min(_EVEN, (k - 1) / (2 * len(found.labels)))
        if even and k != _HALVES:
            return found
        mixture = self._better_mixture(spaces.sample(SAMPLE), found.labels[:SAMPLE], k, even=even)
        if mixture is not None and len(spaces.rows) > SAMPLE:
            labels = mixture.model.predict(spaces.made(mixture.space.step).points)
            mixture = fit_mixture(spaces, labels, _LAST_ITERATIONS)
        return mixture or found

    @property
    def _kmeans(self) -> KMeansClusterer:
        """Begins alike whatever the seed, if nobody asks for restarts: near solutions can differ much."""
        seed = 0 if self.settings.restarts is None else self.settings.seed
        return KMeansClusterer("MiniBatchKMeans", replace(self.settings, seed=seed))

    def _better_mixture(
        self, spaces: Spaces, labels: NDArray[np.int32], k: int, *, even: bool
    ) -> FoundIn | None:
        """Give the mixture that explains most, if clearly more than `labels`, without strangers' clusters."""
        points = spaces.made(pca_whiten(spaces.rows, k, unit=True)).points
        mixtures = [
            mixture
            for start in self._merged(points, k, spaces.small)
            if (mixture := fit_mixture(spaces, start))
        ]
        criteria = [scatter_criterion(spaces, mixture.labels) for mixture in mixtures]
        begun = scatter_criterion(spaces, labels)
        graph, radii, strays = neighbour_graph(points), None, 0
        order: list[int] = np.argsort(criteria, kind="stable").tolist()
        for place in order:
            explained, mixture = begun - criteria[place], mixtures[place]
            if explained < _CLEARLY:
                break
            if even and normalised_cut(graph, mixture.labels) > _FEW_CUTS * normalised_cut(graph, labels):
                continue
            if explained > _MUCH or self.settings.leave_out:
                return mixture
            if radii is None:
                radii = distances_to_neighbours(spaces.rows, k)
                strays = count_strays(radii, graph, labels)
            if count_strays(radii, graph, mixture.labels) <= strays:
                return mixture
        return None

    def _merged(
        self, points: NDArray[np.float32], k: int, known: SmallClusters
    ) -> Iterator[NDArray[np.int32]]:
        """Yield the labels of small clusters merged to k; they begin alike whatever the seed."""
        most = len(points) // _FEWEST_MEMBERS
        restarts = 1 if self.settings.quick else min(_RESTARTS, self.settings.restarts or _RESTARTS)
        several = _TIMES if restarts > 1 else _ONE
        digest = hashlib.sha256(points.tobytes()).digest()
        for count in sorted({min(times * k, most) for times in several}) if 1 < k <= most // 2 else ():
            name = digest, count, restarts
            if name not in known:
                settings = ClusterSettings(count, restarts=restarts)
                labels, model = KMeansClusterer("MiniBatchKMeans", settings).fit(
                    points, np.ones(len(points), np.int64)
                )
                known[name] = labels, model.centroids
            labels, centroids = known[name]
            if len(centroids) >= k:  # else points are too alike for so many
                yield merge_centroids(centroids, k)[labels]


def _entropy_missing(labels: NDArray[np.int32]) -> float:
    """Tell by how much the entropy of the clusters' sizes is less than that of equal sizes."""
    shares = np.bincount(labels) / len(labels)
    return float(np.log(len(shares)) + (shares * np.log(shares)).sum())
