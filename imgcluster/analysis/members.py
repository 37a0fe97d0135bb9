"""Clusterers that know images only: of many a sample is clustered, others join the most similar of these.

Agglomerative clustering merges images until k clusters are left. By Ward's criterion it does so along the
graph of their nearest neighbours; average linkage looks at all pairs, for along that graph it joins nearly
all into one cluster. HDBSCAN finds clusters where images lie close together; what lies apart fits nowhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import count_distinct, find_nearest
from imgcluster.analysis.clusterer import ClusterSettings, Found
from imgcluster.analysis.neighbour_graph import neighbour_graph
from imgcluster.analysis.parallel import alone

MOST_MEMBERS = 5_000
_SHARE = 50
_FEWEST = 5
"""A cluster of HDBSCAN has a fiftieth of the images, and five at least."""


@dataclass(frozen=True)
class NearestMember:
    """A `ClustererModel`.

    Attributes
    ----------
    members
        (n, d) float32: points.
    labels
        (n,) int32, -1 where one fits nowhere.
    """

    members: NDArray[np.float32]
    labels: NDArray[np.int32]

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[np.generic]]) -> NearestMember:
        """Make it of its arrays."""
        return cls(np.asarray(arrays["members"], np.float32), np.asarray(arrays["labels"], np.int32))

    def predict(self, points: NDArray[np.float32]) -> NDArray[np.int32]:
        """Give each point the label of the nearest member."""
        return self.labels[find_nearest(points, self.members).labels]

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Give the members and their labels."""
        return {"members": self.members, "labels": self.labels}


@dataclass(frozen=True)
class MembersClusterer:
    """A `Clusterer` by a function of at most 5,000 points, a random sample, and k."""

    find: Callable[[NDArray[np.float32], int], NDArray[np.integer]]
    settings: ClusterSettings

    def fit(self, points: NDArray[np.float32], weights: NDArray[np.int64]) -> Found:  # noqa: ARG002
        """Find clusters; equal points get equal labels."""
        members = np.array(points[:MOST_MEMBERS])
        labels = alone(lambda: self.find(members, self.settings.k))
        model = NearestMember(members, np.asarray(labels, np.int32))
        return model.predict(points), model


def ward(points: NDArray[np.float32], k: int) -> NDArray[np.integer]:
    """Merge (n, d) along the neighbour graph to k clusters, or as many as there are distinct points."""
    return _agglomerate(points, k, "ward")


def average(points: NDArray[np.float32], k: int) -> NDArray[np.integer]:
    """Merge (n, d) by average linkage to k clusters, or as many as there are distinct points."""
    return _agglomerate(points, k, "average")


def _agglomerate(points: NDArray[np.float32], k: int, linkage: str) -> NDArray[np.integer]:
    from sklearn.cluster import AgglomerativeClustering

    k = count_distinct(points, k)
    if k < 2:
        return np.zeros(len(points), np.int32)
    graph = neighbour_graph(points) if linkage == "ward" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the number of connected components", UserWarning)
        merge = AgglomerativeClustering(k, linkage=linkage, connectivity=graph)
        return np.asarray(merge.fit_predict(points), np.int32)


def hdbscan(points: NDArray[np.float32], k: int) -> NDArray[np.integer]:  # noqa: ARG001
    """Find clusters of (n, d), however many, and -1."""
    from sklearn.cluster import HDBSCAN

    size = min(max(_FEWEST, len(points) // _SHARE), len(points))
    if size < 2:
        return np.full(len(points), -1)
    search = HDBSCAN(min_cluster_size=size, min_samples=min(_FEWEST, size), copy=True)
    return np.asarray(search.fit_predict(points), np.int32)
