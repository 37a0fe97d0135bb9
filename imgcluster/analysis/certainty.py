"""How sure it is that an image is in the cluster of its class: a probability measured on photographs."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from imgcluster.analysis.centroids import nearest_labels, simplified_silhouettes
from imgcluster.analysis.neighbour_graph import cluster_cuts, neighbour_graph
from imgcluster.analysis.parallel import alone

SAMPLE = 1 << 11
_LEAST_CUT = 0.02
_MOST_SPECTRAL, _FEWEST_MEMBERS = 64, 4
"""Spectral clusters: so many at most, which take time by their square, and of so many images in the mean."""
COEFFICIENTS = (-2.49, 3.58, 0.42, 3.74)
"""Of 1 and the three features; `tests/benchmarks/certainty.py` fits and tries them."""


def certainty_features(
    points: NDArray[np.float32],
    plain: NDArray[np.float32],
    labels: NDArray[np.int32],
    centroids: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Give what tells how sure an image's cluster is: (N, 3), margin, seclusion and agreement.

    Parameters
    ----------
    points
        (N, d) in which the clusters were found.
    plain
        (N, e) in which they were first looked for, in the order of their keys.
    labels
        (N,) from 0 to k - 1, or -1.
    centroids
        (k, d), k at least 2.

    Returns
    -------
    The margin is the difference of the distances to the next and to the own centroid over the larger of both.
    The seclusion is -log(c + 0.02), c being the share of the cluster's edges, in the graph of nearest
    neighbours, that leave it. The agreement is what the image's cluster has in common with that which it has
    in clusters found otherwise (by Ward's criterion, and in the graph), as the Jaccard index, in the mean of
    both. NaN for what fits nowhere.
    """
    found = np.full((len(points), 3), np.nan)
    inside = labels >= 0
    points, plain, labels = points[inside], plain[inside], labels[inside]
    few, own = plain[:SAMPLE], labels[:SAMPLE]
    cuts, agreements = np.ones(len(centroids)), [np.zeros(len(labels))]
    if len(few) > 1:
        graph = neighbour_graph(few)
        known = cluster_cuts(graph, own)
        # Of a cluster with nobody in the sample no more is known.
        cuts[: len(known)] = np.where(np.isnan(known), 1, known)
        nearest = np.concatenate([np.arange(len(few)), nearest_labels(plain[SAMPLE:], few)])
        agreements = [
            _jaccard(own, others, len(centroids))[labels, others[nearest]]
            for others in _otherwise(few, graph, len(np.unique(own)))
        ]
    margins = simplified_silhouettes(points, labels, centroids)
    seclusion = -np.log(cuts[labels] + _LEAST_CUT)
    found[inside] = np.column_stack([margins, seclusion, np.mean(agreements, axis=0)])
    return found


def probabilities(features: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the probability that each image is right by its certainty features: (N,), NaN where they are."""
    constant, *slopes = COEFFICIENTS
    odds = np.exp(-(constant + features @ np.array(slopes)))
    return np.asarray(1 / (1 + odds), np.float32)


def _otherwise(points: NDArray[np.float32], graph: csr_array, k: int) -> list[NDArray[np.integer]]:
    """Give the labels of k clusters found in other ways, (n,) each."""
    from sklearn.cluster import AgglomerativeClustering, spectral_clustering

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of equal points, and of graphs in parts: there any answer will do
        found = [alone(lambda: AgglomerativeClustering(k).fit_predict(points))]
        parts = connected_components(graph)[0]  # of more parts than clusters some would be joined at random
        if max(parts, 2) <= k <= min(_MOST_SPECTRAL, len(points) // _FEWEST_MEMBERS):
            narrow = csr_array(
                (graph.data, graph.indices.astype(np.int32), graph.indptr.astype(np.int32)), graph.shape
            )
            options = {"n_clusters": k, "assign_labels": "cluster_qr", "random_state": 0}
            found.append(alone(lambda: spectral_clustering(narrow, **options)))
    return found


def _jaccard(labels: NDArray[np.integer], others: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """(k, m): what each of k clusters has in common with each of m others, over what both have."""
    common = np.zeros((k, int(others.max()) + 1))
    np.add.at(common, (labels, others), 1)
    either = common.sum(axis=1, keepdims=True) + common.sum(axis=0) - common
    return np.asarray(common / either, np.float64)
