"""From the features of one or several networks to the points that are clustered.

Features of several networks meet before the dimensions are chosen: directions in which the networks agree
add up and come first, and those that only the weaker one sees fall behind. Once there are clusters, the
directions in which each of them is wide are made narrow, so that what sets clusters apart counts for more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from imgcluster.analysis.centroids import cluster_sums, count_distinct
from imgcluster.analysis.parallel import alone, on_all_cores
from imgcluster.analysis.pca import principal_components
from imgcluster.analysis.transforms import WHITENING, automatic_dimensions, transform
from imgcluster.records import FeatureTransform

OFF_DIAGONAL = 0.7
"""How far the covariance within clusters is trusted: it is estimated from labels that are not all right."""
FEWEST_FOR_UNIT_LENGTH = 3
"""Two clusters are told apart in one direction; unit length would give the other ones a say in it."""
_FLOOR = 1e-3
_BRIEF = 256
"""So many numbers a row have their axes in milliseconds."""
_CHUNK = 1 << 14
_SAMPLE = 1 << 16
"""Rows lie in the order of their keys, which are digests: the first ones are a random sample."""


def pca_whiten(features: NDArray[np.float32], clusters: int, *, unit: bool | None = None) -> FeatureTransform:
    """Fit the step to the points in which clusters are first looked for.

    Principal components, half whitening, and unit length.

    Parameters
    ----------
    features
        (N, w) float32, the features of each space side by side, in the order of their keys.
    clusters
        How many clusters are looked for.
    unit
        Whether the points have unit length; None: where there are three clusters and more.
    """
    found = principal_components(features[:_SAMPLE], automatic_dimensions(clusters))
    return _step(features, found.mean, found.axes, np.sqrt(found.variances) ** WHITENING, clusters, unit=unit)


def whiten_within_clusters(
    features: NDArray[np.float32],
    labels: NDArray[np.integer],
    clusters: int,
    *,
    unit: bool | None = None,
) -> FeatureTransform:
    """Fit the step to points in which the clusters that were found are round.

    Within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006): features are divided by a root
    of the covariance within clusters, its entries off the diagonal shrunk.

    Parameters
    ----------
    features
        (N, w) float32 in the order of their keys.
    labels
        (N,) ints from 0 on; rows with -1 are in no cluster.
    clusters
        How many clusters are looked for.
    unit
        Whether the points have unit length; None: where there are three clusters and more.
    """
    inside = labels >= 0
    rows, labels = (features, labels) if inside.all() else (features[inside], labels[inside])
    sizes = np.bincount(labels)
    means = cluster_sums(rows, labels, len(sizes)) / np.maximum(sizes, 1)[:, None]

    def products(start: int) -> NDArray[np.float64]:
        place = slice(start, start + _CHUNK)
        deviations = rows[place] - means[labels[place]]
        return np.asarray(deviations.T @ deviations, np.float64)

    parts = on_all_cores(products, range(0, len(rows), _CHUNK))
    within = sum(parts, np.zeros((rows.shape[1],) * 2)) / len(rows)
    floor = _FLOOR * within.trace() / len(within) or 1.0
    shrunk = (
        OFF_DIAGONAL * within + (1 - OFF_DIAGONAL) * np.diag(np.diag(within)) + floor * np.eye(len(within))
    )
    variances, axes = alone(lambda: eigh(shrunk), brief=len(shrunk) <= _BRIEF)
    return _step(
        features, features.mean(axis=0, dtype=np.float64), axes.T, np.sqrt(variances), clusters, unit=unit
    )


def _step(
    features: NDArray[np.float32],
    mean: NDArray[np.float64],
    axes: NDArray[np.float64],
    scale: NDArray[np.float64],
    clusters: int,
    *,
    unit: bool | None,
) -> FeatureTransform:
    step = FeatureTransform(
        normalise=False,
        mean=mean.astype(np.float32),
        components=axes.astype(np.float32),
        scale=scale.astype(np.float32),
        l2_after=clusters >= FEWEST_FOR_UNIT_LENGTH if unit is None else unit,
    )
    # Unit length may make one point of images that differ (on a line): then it is left out.
    few = features[:_SAMPLE]
    if step.l2_after and count_distinct(transform(step, few), clusters) < count_distinct(few, clusters):
        return replace(step, l2_after=False)
    return step
