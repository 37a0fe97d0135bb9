"""How sure it is that an image is in the cluster of its class: a probability measured on photographs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import simplified_silhouettes
from imgcluster.analysis.neighbour_graph import cluster_cuts, neighbour_graph

SAMPLE = 1 << 11
_LEAST_CUT = 0.02
COEFFICIENTS = (-2.98, 5.26, 1.68)
"""Of 1, the margin and the seclusion; `tests/benchmarks/certainty.py` fits and tries them."""


def certainty_features(
    points: NDArray[np.float32],
    plain: NDArray[np.float32],
    labels: NDArray[np.int32],
    centroids: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Give what tells how sure an image's cluster is: (N, 2), its margin and its cluster's seclusion.

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
    neighbours, that leave it. NaN for what fits nowhere.
    """
    found = np.full((len(points), 2), np.nan)
    inside = labels >= 0
    found[inside, 0] = simplified_silhouettes(points[inside], labels[inside], centroids)
    few = labels[:SAMPLE]
    cuts = np.full(len(centroids), np.nan)
    if (few >= 0).sum() > 1:
        known = cluster_cuts(neighbour_graph(plain[:SAMPLE][few >= 0]), few[few >= 0])
        cuts[: len(known)] = known
    cuts = np.where(np.isnan(cuts), 1, cuts)  # nobody of it in the sample: no more is known
    found[inside, 1] = -np.log(cuts[labels[inside]] + _LEAST_CUT)
    return found


def probabilities(features: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the probability that each image is right by its certainty features: (N,), NaN where they are."""
    constant, *slopes = COEFFICIENTS
    odds = np.exp(-(constant + features @ np.array(slopes)))
    return np.asarray(1 / (1 + odds), np.float32)
