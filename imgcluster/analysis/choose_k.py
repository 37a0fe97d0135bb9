"""How many clusters: one preparation, one clustering per k, three measures, a suggestion with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.joining import apply_join, join
from imgcluster.analysis.kmeans import check_count, common_keys, fit_points, load_points, prepare_each
from imgcluster.analysis.memory import affordable_rows
from imgcluster.analysis.nearest import find_nearest
from imgcluster.analysis.ordering import choose_rows, key_order
from imgcluster.analysis.scoring import adjusted_rand, contingency, silhouette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from imgcluster.analysis.kmeans import KMeansSettings
    from imgcluster.analysis.prepare import PrepareSettings
    from imgcluster.records import EmbeddingSource, Keys, Progress

STABILITY_ROWS = 10_000
_HALVINGS = 5
_HALF_RESTARTS = 15
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
        Sum of squared distances to the centroids; it falls with every k.
    silhouette
        Mean silhouette, sampled above 5,000 images.
    stability
        Adjusted Rand index of clusterings of two random halves, applied to all images; mean of five halvings.
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


def sweep(
    sources: Sequence[EmbeddingSource],
    spaces: Sequence[str],
    prepare: PrepareSettings,
    ks: Sequence[int],
    settings: KMeansSettings,
    progress: Progress,
) -> Sweep:
    """Cluster with each k, on features that are prepared once.

    Parameters
    ----------
    sources
        One per feature space; the same keys in the same order in each, embeddings finite.
    spaces
        Their names.
    prepare
        How embeddings become points.
    ks
        Numbers of clusters, at least one.
    settings
        How clusters are found; its k is not looked at. Where the points do not fit its memory, a sample is
        swept, chosen by key.
    progress
        Told about stages and each k; a sweep that is stopped suggests from the rows that it has.

    Raises
    ------
    ImgclusterError
        Where a k is larger than the number of images.
    """
    keys = common_keys(sources, spaces)
    for k in ks:
        check_count(k, len(keys))
    preparations = prepare_each(sources, prepare, settings.memory, progress)
    chosen = choose_rows(keys, affordable_rows(sources, preparations, settings.memory), settings.seed)
    if len(chosen) < len(keys):
        progress.note(f"the sweep looks at {len(chosen)} of {len(keys)} images, as many as fit in memory")
    rows = chosen[key_order(keys[chosen])]
    features = load_points(sources, preparations, rows, progress)
    points = apply_join(join(features, max(ks)), features) if prepare.automatic else features
    progress.begin("trying numbers of clusters", len(ks))
    measured = []
    for k in ks:
        measured.append(_measure(points, keys[rows], replace(settings, k=k)))
        progress.advance()
        if progress.stopping:
            break
    return Sweep(tuple(measured), *suggest(measured))


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


def _measure(points: NDArray[np.float32], keys: Keys, settings: KMeansSettings) -> SweepRow:
    centroids = fit_points(points, keys, settings)
    nearest = find_nearest(points, centroids)
    score = silhouette(points, nearest.labels, settings.seed)
    return SweepRow(settings.k, nearest.inertia, score, _stability(points, keys, settings))


def _stability(points: NDArray[np.float32], keys: Keys, settings: KMeansSettings) -> float:
    chosen = choose_rows(keys, STABILITY_ROWS, settings.seed)
    points, keys = points[chosen], keys[chosen]
    k = settings.k
    if not 2 <= k <= len(points) // 2:
        return float("nan")
    quick = replace(settings, restarts=_HALF_RESTARTS)
    agreements = []
    for halving in range(_HALVINGS):
        inside = np.zeros(len(points), np.bool_)
        inside[choose_rows(keys, len(points) // 2, settings.seed + 1 + halving)] = True
        one, other = (
            find_nearest(points, fit_points(points[half], keys[half], quick)).labels
            for half in (inside, ~inside)
        )
        agreements.append(adjusted_rand(contingency(one, other, k, k)))
    return float(np.mean(agreements))
