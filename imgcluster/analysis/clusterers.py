"""The table of clusterers; one more is one more row."""

from __future__ import annotations

from functools import partial

from imgcluster.analysis.clusterer import DEFAULT_ALGORITHM, ClustererKind
from imgcluster.analysis.kmeans import KMeansClusterer, NearestCentroid
from imgcluster.analysis.kmeans_or_mixture import KMeansOrMixture
from imgcluster.analysis.levels import Levels
from imgcluster.analysis.members import MembersClusterer, NearestMember, average, hdbscan, ward
from imgcluster.errors import UsageError

CLUSTERERS: dict[str, ClustererKind] = {
    DEFAULT_ALGORITHM: ClustererKind(KMeansOrMixture, NearestCentroid.load),
    "minibatch-kmeans": ClustererKind(partial(KMeansClusterer, "MiniBatchKMeans"), NearestCentroid.load),
    "kmeans": ClustererKind(partial(KMeansClusterer, "KMeans"), NearestCentroid.load),
    "agglomerative": ClustererKind(partial(MembersClusterer, ward), NearestMember.load),
    "agglomerative-average": ClustererKind(partial(MembersClusterer, average), NearestMember.load),
    "levels": ClustererKind(Levels, NearestMember.load),
    "hdbscan": ClustererKind(partial(MembersClusterer, hdbscan), NearestMember.load, finds_k=True),
}


def find_clusterer(name: str) -> ClustererKind:
    """Find a clusterer by its name. Raises UsageError where there is none."""
    if name not in CLUSTERERS:
        raise UsageError(f"no algorithm {name!r}: choose one of {', '.join(CLUSTERERS)}")
    return CLUSTERERS[name]
