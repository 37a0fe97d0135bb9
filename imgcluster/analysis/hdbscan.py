"""HDBSCAN: clusters are where images lie close together; what lies apart fits nowhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.clusterer import ClusterSettings, Found
from imgcluster.analysis.members import MOST_MEMBERS, found_among
from imgcluster.analysis.parallel import alone

_SHARE = 50
_FEWEST = 5
"""A cluster has a fiftieth of the images, and five at least."""


@dataclass(frozen=True)
class Hdbscan:
    """A `Clusterer`: scikit-learn's. Of many images a sample is looked at, the others join their nearest."""

    settings: ClusterSettings

    def fit(self, points: NDArray[np.float32], weights: NDArray[np.int64]) -> Found:  # noqa: ARG002
        """Find clusters; k is not looked at."""
        from sklearn.cluster import HDBSCAN

        members = points[:MOST_MEMBERS]
        size = min(max(_FEWEST, len(members) // _SHARE), len(members))
        if size < 2:
            return found_among(points, members, np.full(len(members), -1))
        search = HDBSCAN(min_cluster_size=size, min_samples=min(_FEWEST, size), copy=True)
        return found_among(points, members, alone(lambda: search.fit_predict(members)))
