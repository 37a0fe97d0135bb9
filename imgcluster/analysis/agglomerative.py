"""Agglomerative clustering: images merge until k clusters are left.

By Ward's criterion they do so along the graph of their nearest neighbours. Average linkage looks at all
pairs: along that graph it joins nearly all images into one cluster.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import count_distinct
from imgcluster.analysis.clusterer import ClusterSettings, Found
from imgcluster.analysis.members import MOST_MEMBERS, found_among
from imgcluster.analysis.neighbour_graph import neighbour_graph
from imgcluster.analysis.parallel import alone


@dataclass(frozen=True)
class Agglomerative:
    """A `Clusterer`: scikit-learn's. Of many images a sample is merged, the others join their nearest."""

    linkage: Literal["ward", "average"]
    settings: ClusterSettings

    def fit(self, points: NDArray[np.float32], weights: NDArray[np.int64]) -> Found:  # noqa: ARG002
        """Find clusters: as many as asked for, or as there are distinct points."""
        from sklearn.cluster import AgglomerativeClustering

        members = points[:MOST_MEMBERS]
        k = count_distinct(members, self.settings.k)
        if k < 2:
            return found_among(points, members, np.zeros(len(members), np.int32))
        graph = neighbour_graph(members) if self.linkage == "ward" else None
        merge = AgglomerativeClustering(k, linkage=self.linkage, connectivity=graph)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the number of connected components", UserWarning)
            return found_among(points, members, alone(lambda: merge.fit_predict(members)))
