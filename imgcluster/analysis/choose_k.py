"""How many clusters: one clustering per k, three measures, the levels at which they hold, a suggestion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import distances_to, means_of
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clusterers import find_clusterer
from imgcluster.analysis.clustering import check_count, common_keys, fit, mean_silhouette
from imgcluster.analysis.features import Features, Spread, load_features
from imgcluster.analysis.neighbour_graph import eigengaps
from imgcluster.analysis.spaces import SmallClusters, Spaces
from imgcluster.analysis.transforms import PrepareSettings, transform
from imgcluster.records import EmbeddingSource, Keys, Progress

SAMPLE = 2_000
"""So many images, a random sample, are looked at; of very many clusters more."""
_IMAGES_PER_CLUSTER = 10
_SPLITS = 3
_STABLE = 0.83
"""Where no number of clusters reaches it, none stands out: of one kind of images it is 0.81 at most."""
_HOLDS = 0.65
"""What a level reaches; a third kind among cats and dogs does not."""
_VERY_STABLE, _PROMINENT = 0.9, 0.05
_MOST_LEVELS = 3
_LEAST_GAP = 0.2
"""Of a level, as a share of the largest."""
_BESIDE = 0.7
"""The gap of a k beside a level counts so much: what stands apart as seven groups nearly does so as eight."""
_AS_GOOD = 0.04
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
        Mean silhouette.
    stability
        Adjusted Rand index of the clustering and one of a random half, on the other half; mean of six.
    gap
        How far k groups stand apart and no more than k: the gap after the k-th eigenvalue of the neighbour
        graph's Laplacian.
    """

    k: int
    inertia: float
    silhouette: float
    stability: float
    gap: float = 0.0


@dataclass(frozen=True)
class Sweep:
    """Measures for each k in question, the k to take, why, and the levels that stand out."""

    rows: tuple[SweepRow, ...]
    suggestion: int
    reason: str
    levels: tuple[int, ...] = ()
    """Numbers of clusters that stand out from those beside them, the coarsest first: three at most."""
    labels: tuple[NDArray[np.int32], ...] = field(default=(), compare=False, repr=False)
    """(n,) for each row: the clusters of the first n images, a random sample."""

    @property
    def doubtful(self) -> bool:
        """Whether no number of clusters stands out: nothing holds in halves of the images."""
        return not any(row.stability >= _STABLE for row in self.rows)


def sweep(
    sources: Sequence[EmbeddingSource],
    spaces: Sequence[str],
    prepare: PrepareSettings,
    ks: Sequence[int],
    settings: ClusterSettings,
    progress: Progress,
    spread: Spread | None = None,
) -> tuple[Sweep, Keys]:
    """Cluster a sample with each k as `cluster` does, on features that are prepared once.

    Gives the (N, 32) keys of all images as well, in their order.

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
    few = replace(features, rows=features.rows[: max(SAMPLE, _IMAGES_PER_CLUSTER * max(ks))])
    weights = np.ones(len(few.rows), np.int64)
    space = few.rows
    if prepare.automatic:
        space = Spaces(space, max(ks)).plain.points
    if find_clusterer(settings.algorithm).finds_k:
        ks = ks[:1]
    progress.begin("trying numbers of clusters", len(ks))
    measured, labels = [], []
    small: SmallClusters = {}
    for k in ks:
        found = fit(few, weights, replace(settings, k=k), fuse=prepare.automatic, small=small)
        chosen = replace(settings, k=len(found.numbers))
        stability = _stability(few, found.labels, chosen, fuse=prepare.automatic)
        score = mean_silhouette(found, settings.seed)
        measured.append(SweepRow(chosen.k, _inertia(space, found.labels), score, stability))
        labels.append(found.labels)
        progress.advance()
        if progress.stopping:
            break
    gaps = eigengaps(few.rows[:SAMPLE], max(row.k for row in measured))
    measured = [replace(row, gap=float(gaps[row.k])) for row in measured]
    return Sweep(tuple(measured), *suggest(measured), tuple(labels)), keys[features.order]


def suggest(rows: Sequence[SweepRow]) -> tuple[int, str, tuple[int, ...]]:
    """Choose a k from its measures, say why, and give the levels that stand out.

    Of the levels, or of all k where there are none: among those whose stability is within 0.04 of the best,
    the one with the highest silhouette.
    """
    stable = [row for row in rows if not np.isnan(row.stability)]
    if not stable:
        return rows[0].k, "no measure is defined for these numbers of clusters", ()
    levels = _levels(stable)
    candidates = [row for row in stable if row.k in levels] or stable
    best = max(row.stability for row in candidates)
    equal = [row for row in candidates if row.stability >= best - _AS_GOOD]
    chosen = max(equal, key=lambda row: (-2.0 if np.isnan(row.silhouette) else row.silhouette, -row.k))
    reason = f"clusterings of random halves agree best (stability {chosen.stability:.3f})"
    if len(rows) == 1:
        how = "badly" if best < _HOLDS else "well"
        reason = f"one number of clusters alone: random halves agree {how} (stability {best:.3f})"
    elif levels:
        reason = f"so many groups stand apart, and {reason.removeprefix('clusterings of ')}"
    elif best < _STABLE:
        reason = f"no number of clusters stands out: {reason}, and not even here well"
    if len(equal) > 1:
        rivals = ", ".join(str(row.k) for row in equal if row is not chosen)
        reason += f"; as stable as {rivals}, with a higher silhouette ({chosen.silhouette:.3f})"
    if len(rows) > 1 and chosen.k == max(row.k for row in rows):
        reason += "; it is the largest k tried: try more"
    if others := [str(k) for k in levels if k != chosen.k]:
        reason += f"; other levels: {', '.join(others)}"
    return chosen.k, reason, levels


def _levels(rows: Sequence[SweepRow]) -> tuple[int, ...]:
    """Give the k with the largest gaps, if halves of the images agree there, and well at some k.

    Where these are few: the peaks at which halves are all but equal, too, for groups that do not touch at
    all have no gap before they are all apart. One k alone is no level.
    """
    from scipy.signal import find_peaks

    if len(rows) == 1 or max(row.stability for row in rows) < _STABLE:
        return ()
    least = _LEAST_GAP * max(row.gap for row in rows)
    gaps = {row.k: row.gap for row in rows}
    found: list[int] = []
    while gaps and len(found) < _MOST_LEVELS and max(gaps.values()) > least:
        found.append(max(gaps, key=lambda k: gaps[k]))
        del gaps[found[-1]]
        gaps |= {k: _BESIDE * gaps[k] for k in (found[-1] - 1, found[-1] + 1) if k in gaps}
    levels = [row.k for row in rows if row.k in found and row.stability >= _HOLDS]
    peaks, _ = find_peaks([0.0, *(row.stability for row in rows)], height=_VERY_STABLE, prominence=_PROMINENT)
    levels += [rows[peak - 1].k for peak in peaks if rows[peak - 1].k not in levels]
    return tuple(sorted(levels[:_MOST_LEVELS]))


def _inertia(points: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    points, labels = points[labels >= 0], labels[labels >= 0]
    distances = distances_to(points, means_of(points, labels, int(labels.max(initial=-1)) + 1), labels)
    return float(np.square(distances, dtype=np.float64).sum())


def _stability(
    features: Features, labels: NDArray[np.int32], settings: ClusterSettings, *, fuse: bool
) -> float:
    """Tell how well clusters of random halves, applied to the other half, agree with `labels`."""
    from sklearn.metrics import adjusted_rand_score

    count = len(labels)
    if not 2 <= settings.k <= count // 2:
        return float("nan")
    agreements = []
    for split in range(_SPLITS):
        order = np.random.default_rng((settings.seed + 1 + split) % 2**64).permutation(count)
        halves = np.sort(order[: count // 2]), np.sort(order[count // 2 :])
        for half, other in (halves, halves[::-1]):
            part = replace(features, rows=features.rows[half])
            weights = np.ones(len(half), np.int64)
            found = fit(part, weights, replace(settings, quick=True), fuse=fuse)
            points = features.rows[other]
            if found.fusion is not None:
                points = transform(found.fusion, points)
            agreements.append(adjusted_rand_score(labels[other], found.model.predict(points)))
    return float(np.mean(agreements))
