"""What fits nowhere: clusters that are small, set apart and sparse, and images far from their centroid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from imgcluster.analysis.centroids import distances_to, means_of
from imgcluster.analysis.clusterer import NOWHERE, ClustererModel
from imgcluster.analysis.neighbour_graph import cluster_cuts, neighbour_graph
from imgcluster.analysis.parallel import alone

EXTRA = (2, 1)
"""So many clusters of strangers are looked for, besides those that are asked for."""
LARGEST = {1: 1.0, 2: 0.6}
"""Where so many are looked for, none is larger than that part of a cluster's mean size."""
SAMPLE = 1 << 12
_SET_APART = 0.08
"""Of the edges to its images' neighbours, a stranger's cluster has at most that share to other clusters."""
_SPARSE = 1.08
_TINY = 0.4
_SPARSE_BEYOND_DOUBT = 1.3
_REACH = "reach"


def stray_clusters(
    rows: NDArray[np.float32], points: NDArray[np.float32], labels: NDArray[np.int32], extra: int
) -> NDArray[np.intp]:
    """Find `extra` clusters that no class is likely to be, or fewer.

    Strangers are of many kinds, few of each. So the distance from one to its n / 3k-th and n / 6k-th
    neighbour, the third and the sixth part of a cluster, is large, though its cluster may lie well apart.

    Parameters
    ----------
    rows
        (N, w) features.
    points
        (N, d), in whose neighbour graph clusters are apart.
    labels
        (N,) of more clusters, by `extra`, than there shall be.
    extra
        How many.
    """
    count, k = len(rows), int(labels.max()) + 1
    if count <= count // (3 * max(k - extra, 1)) + 1:
        return np.zeros(0, np.intp)
    radii = distances_to_neighbours(rows, max(k - extra, 1))
    sizes, cuts, sparse = _traits(radii, neighbour_graph(points), labels)
    found = np.flatnonzero(
        (sizes <= LARGEST[extra]) & (sizes > 0) & (cuts <= _SET_APART) & (sparse >= _SPARSE)
    )
    return found[np.argsort(-sparse[found], kind="stable")][:extra]


def count_strays(radii: NDArray[np.float64], graph: csr_array, labels: NDArray[np.int32]) -> int:
    """Count the clusters that are beyond doubt strangers', where there are as many as classes.

    Parameters
    ----------
    radii
        (2, N) `distances_to_neighbours`.
    graph
        (N, N) of the neighbours in the points of `stray_clusters`.
    labels
        (N,).
    """
    sizes, cuts, sparse = _traits(radii, graph, labels)
    strays = (sizes <= _TINY) & (sizes > 0) & (cuts <= _SET_APART) & (sparse >= _SPARSE_BEYOND_DOUBT)
    return int(strays.sum())


def distances_to_neighbours(rows: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
    """(2, N): how far each of N features is from its n / 3k-th and n / 6k-th neighbour, n of k classes."""
    from sklearn.neighbors import NearestNeighbors

    which = [max(len(rows) // (part * classes), 1) for part in (3, 6)]
    index = NearestNeighbors(n_neighbors=max(which)).fit(rows)
    distances, _ = alone(index.kneighbors)
    return np.asarray(distances[:, [number - 1 for number in which]].T, np.float64)


def _traits(
    radii: NDArray[np.float64], graph: csr_array, labels: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(k,) each: a cluster's size over the mean, the share of its edges that leave it, how sparse it is."""
    k = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=k)
    sparse = np.ones(k)
    for each in radii:
        sparse *= np.bincount(labels, each, k) / np.maximum(sizes, 1) / max(each.mean(), 1e-12)
    return sizes * k / len(labels), cluster_cuts(graph, labels), sparse


@dataclass(frozen=True)
class WithinReach:
    """A model whose clusters reach only so far (a `ClustererModel`).

    Attributes
    ----------
    model
        That predicts the cluster.
    centroids
        (c, d) float32, one for each label of the model.
    reach
        Points that are farther from their centroid fit nowhere.
    """

    model: ClustererModel
    centroids: NDArray[np.float32]
    reach: float

    @classmethod
    def of(
        cls, model: ClustererModel, points: NDArray[np.float32], labels: NDArray[np.int32], count: int
    ) -> WithinReach:
        """Choose the reach so that as many more points are outside as `count` says."""
        inside = labels >= 0
        points, labels = points[inside], labels[inside]
        centroids = means_of(points, labels, int(labels.max()) + 1)
        far = np.sort(distances_to(points, centroids, labels))[::-1]
        count = min(count, len(far) - 1)
        reach = float(far[count - 1] + far[count]) / 2 if count else np.inf  # rounding decides nothing
        return cls(model, centroids, reach)

    @classmethod
    def load(cls, model: ClustererModel, arrays: Mapping[str, NDArray[np.generic]]) -> ClustererModel:
        """Make it of the inner model and the arrays of both; without a reach in them, give the inner one."""
        if _REACH not in arrays:
            return model
        centroids = np.asarray(arrays[f"{_REACH}_centroids"], np.float32)
        return cls(model, centroids, float(arrays[_REACH]))

    def predict(self, points: NDArray[np.float32]) -> NDArray[np.int32]:
        """Give the model's label, or -1."""
        labels = self.model.predict(points)
        known = (labels >= 0) & (labels < len(self.centroids))
        far = np.ones(len(points), np.bool_)
        far[known] = distances_to(points[known], self.centroids, labels[known]) > self.reach
        return np.where(far, NOWHERE, labels).astype(np.int32)

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Give those of the model, and the reach."""
        own = {_REACH: np.array(self.reach), f"{_REACH}_centroids": self.centroids}
        return {**self.model.arrays(), **own}
