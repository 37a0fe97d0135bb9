"""How well clusters agree with classes that people gave, and how well they hold together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from imgcluster.analysis.parallel import alone
from imgcluster.records import Evaluation

SILHOUETTE_SAMPLE = 5000


def evaluate(clusters: NDArray[np.integer], classes: Sequence[str]) -> Evaluation:
    """Compare clusters with classes.

    Parameters
    ----------
    clusters
        (N,) ints, N at least 1; those below 0 are in no cluster, and right for no class.
    classes
        N class names, in the same order.

    Raises
    ------
    ValueError
        Where there is nothing to compare, or the lengths differ.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    if len(clusters) != len(classes) or not len(clusters):
        raise ValueError("as many classes as clusters are compared, and at least one")
    names = sorted(set(classes))
    place = {name: row for row, name in enumerate(names)}
    rows = np.fromiter((place[name] for name in classes), np.int64, len(classes))
    numbers = np.unique(clusters)
    counts = _contingency(rows, clusters)
    matching = _match(np.where(numbers >= 0, counts, 0))
    matching = {row: column for row, column in matching.items() if numbers[column] >= 0}
    right = sum(int(counts[row, column]) for row, column in matching.items())
    order = _column_order(matching, len(names), len(numbers))
    return Evaluation(
        images=len(classes),
        accuracy=right / len(classes),
        errors=len(classes) - right,
        ari=float(adjusted_rand_score(rows, clusters)),
        nmi=float(normalized_mutual_info_score(rows, clusters)),
        purity=float(counts.max(axis=0).sum() / len(classes)),
        labels=tuple(names),
        confusion=counts[:, order],
        matched=tuple(int(numbers[matching[row]]) if row in matching else None for row in range(len(names))),
        columns=tuple(int(numbers[column]) for column in order),
    )


def _contingency(rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.int64]:
    """Count how often row and column meet: (rows, columns) int64, both in the order of their numbers."""
    _, rows = np.unique(rows, return_inverse=True)
    numbers, columns = np.unique(columns, return_inverse=True)
    height, width = int(rows.max()) + 1, len(numbers)
    counts = np.bincount(rows * width + columns, minlength=height * width)
    return counts.reshape(height, width).astype(np.int64)


def silhouette(
    points: NDArray[np.float32], labels: NDArray[np.integer], seed: int = 0, sample: int = SILHOUETTE_SAMPLE
) -> float:
    """Give the mean silhouette (Rousseeuw 1987) over at most `sample` points, NaN where it is not defined.

    It is not defined for one cluster, nor where every point is its own cluster.

    Parameters
    ----------
    points
        (N, d) float32.
    labels
        (N,) ints.
    seed
        Chooses the sample where there are more points.
    sample
        How many points at most.
    """
    from sklearn.metrics import silhouette_score

    if len(points) > sample:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), sample, replace=False))
        points, labels = points[chosen], labels[chosen]
    if not 2 <= len(np.unique(labels)) < len(points):
        return float("nan")
    return float(alone(lambda: silhouette_score(points.astype(np.float64), labels)))


def _match(counts: NDArray[np.int64]) -> dict[int, int]:
    """Match rows to columns one to one so that as much as possible lies on the matches."""
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return dict(zip(map(int, rows), map(int, columns), strict=True))


def _column_order(matching: dict[int, int], classes: int, clusters: int) -> list[int]:
    matched = [matching[row] for row in range(classes) if row in matching]
    return matched + [column for column in range(clusters) if column not in set(matched)]
