"""How many clusters: one clustering per k, three measures, a suggestion with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import distances_to, means_of
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clusterers import find_clusterer
from imgcluster.analysis.clustering import check_count, common_keys, fit, mean_silhouette
from imgcluster.analysis.features import Spread, load_features
from imgcluster.analysis.scoring import adjusted_rand, contingency
from imgcluster.analysis.spaces import Spaces
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import EmbeddingSource, Keys, Progress

STABILITY_ROWS = 10_000
_SPLITS = 5
_HALF_RESTARTS = 4
_STABLE = 0.5
_AS_GOOD = 0.02
"""Stabilities that differ by less are held to be equal: halves are chosen by chance."""


@dataclass(frozen=True)
class SweepRow:
    """One number of clusters and its measures; NaN where a measure is not defined.

    Attributes
    ----------
    k
        Number of clusters.
    inertia
        Sum of squared distances to the clusters' means, in one space for every k, so that they compare.
    silhouette
        Mean silhouette, sampled above 5,000 images.
    stability
        Adjusted Rand index of clusterings of two random halves, applied to all images; mean of five splits.
    """

    k: int
    inertia: float
    silhouette: float
    stability: float


@dataclass(frozen=True)
class Sweep:
    """Measures for each k in question, the k to take, and why."""

    rows: tuple[SweepRow, ...]
    suggestion: int
    reason: str
    labels: tuple[NDArray[np.int32], ...] = field(default=(), compare=False, repr=False)
    """(N,) for each row: the clusters of the images."""


def sweep(
    sources: Sequence[EmbeddingSource],
    spaces: Sequence[str],
    prepare: PrepareSettings,
    ks: Sequence[int],
    settings: ClusterSettings,
    progress: Progress,
    spread: Spread | None = None,
) -> tuple[Sweep, Keys]:
    """Cluster with each k as `cluster` does, on features that are prepared once.

    Gives the (N, 32) keys of the images as well.

    Parameters
    ----------
    sources
        One per feature space; the same keys in the same order in each. Images with an embedding that is not
        finite are left out.
    spaces
        Their names.
    prepare
        How embeddings become points.
    ks
        Numbers of clusters, at least one; of an algorithm that finds the number itself there is one row.
    settings
        How clusters are found; its k is not looked at.
    progress
        Told about stages and each k; a sweep that is stopped suggests from the rows that it has.
    spread
        Where embeddings are prepared; None: here.

    Raises
    ------
    ImgclusterError
        Where a k is larger than the number of images.
    """
    keys = common_keys(sources, spaces)
    for k in ks:
        check_count(k, len(keys))
    features = load_features(sources, prepare, settings.memory, progress, spread)
    weights = np.ones(len(features.rows), np.int64)
    space = features.rows
    if prepare.automatic:
        space = Spaces(space, max(ks), settings.memory).plain.points
    if find_clusterer(settings.algorithm).finds_k:
        ks = ks[:1]
    progress.begin("trying numbers of clusters", len(ks))
    measured, labels = [], []
    for k in ks:
        found = fit(features, weights, replace(settings, k=k), fuse=prepare.automatic)
        chosen = replace(settings, k=len(found.numbers))
        stability = _split_half_stability(found.plain, chosen)
        score = mean_silhouette(found, settings.seed)
        measured.append(SweepRow(chosen.k, _inertia(space, found.labels), score, stability))
        labels.append(found.labels)
        progress.advance()
        if progress.stopping:
            break
    return Sweep(tuple(measured), *suggest(measured), tuple(labels)), keys[features.order]


def suggest(rows: Sequence[SweepRow]) -> tuple[int, str]:
    """Choose a k from its measures, and say why.

    Among those whose stability is within 0.02 of the best, the one with the highest silhouette.
    """
    stable = [row for row in rows if not np.isnan(row.stability)]
    if not stable:
        return rows[0].k, "no measure is defined for these numbers of clusters"
    best = max(row.stability for row in stable)
    equal = [row for row in stable if row.stability >= best - _AS_GOOD]
    chosen = max(equal, key=lambda row: (-2.0 if np.isnan(row.silhouette) else row.silhouette, -row.k))
    reason = f"clusterings of random halves agree best (stability {chosen.stability:.3f})"
    if best < _STABLE:
        reason = f"no number of clusters stands out: {reason}, and not even here well"
    if len(equal) > 1:
        others = ", ".join(str(row.k) for row in equal if row is not chosen)
        reason += f"; as stable as {others}, with a higher silhouette ({chosen.silhouette:.3f})"
    if chosen.k == max(row.k for row in rows):
        reason += "; it is the largest k tried: try more"
    return chosen.k, reason


def _inertia(points: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    points, labels = points[labels >= 0], labels[labels >= 0]
    distances = distances_to(points, means_of(points, labels, int(labels.max(initial=-1)) + 1), labels)
    return float(np.square(distances, dtype=np.float64).sum())


def _split_half_stability(points: NDArray[np.float32], settings: ClusterSettings) -> float:
    points = points[:STABILITY_ROWS]  # in the order of keys, that is, chosen at random
    if not 2 <= settings.k <= len(points) // 2:
        return float("nan")
    clusterer = find_clusterer(settings.algorithm).make(replace(settings, restarts=_HALF_RESTARTS))
    agreements = []
    for split in range(_SPLITS):
        order = np.random.default_rng((settings.seed + 1 + split) % 2**64).permutation(len(points))
        halves = (np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :]))
        models = [clusterer.fit(points[half], np.ones(len(half), np.int64))[1] for half in halves]
        agreements.append(adjusted_rand(contingency(*(model.predict(points) for model in models))))
    return float(np.mean(agreements))
