"""The parts of a k-means fit in memory: restarts on a sample, Lloyd passes, no cluster left empty."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array

from imgcluster.analysis.nearest import find_nearest
from imgcluster.analysis.ordering import choose_rows
from imgcluster.analysis.threads import on_all_cores, one_thread
from imgcluster.errors import UsageError
from imgcluster.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from imgcluster.analysis.kmeans import KMeansSettings
    from imgcluster.records import Keys

    Restarts = Callable[[NDArray[np.float32], int, int, np.random.RandomState], list[NDArray[np.float32]]]

SAMPLE = 16_384
SAMPLE_PER_CLUSTER = 256
MOST_RESTARTS = 300
FEWEST_RESTARTS = 12
WORK = 128_000_000
"""Multiplications that one step of all restarts may take together."""
_CHEAP_DIMENSIONS = 64
"""Fewer cost no less: other work prevails."""
BATCH = 8192
"""Points of a mini-batch, the same on every machine, for the clusters depend on it. 256 for each of 32 cores:
scikit-learn warns, and some systems leak memory, where a thread has fewer."""
_BATCH_PER_CLUSTER = 4
PASSES = 10
"""Over the sample, of each restart."""
FINALISTS = 3
"""So many of the best restarts are compared over all points: the best on a sample is not always the best."""
_SUMMED_ROWS = 1 << 14
_SUMMED_COLUMNS = 256


def restarts_for(shape: tuple[int, ...], k: int) -> int:
    """Give how many restarts (N, d) points and k clusters get: sizes alone decide, never a clock."""
    count, dimension = shape
    work = min(count, _sample_size(k)) * k * max(dimension, _CHEAP_DIMENSIONS)
    return int(np.clip(WORK // max(work, 1), FEWEST_RESTARTS, MOST_RESTARTS))


def fit_centroids(
    points: NDArray[np.float32], keys: Keys, settings: KMeansSettings, k: int
) -> NDArray[np.float32]:
    """Run restarts on a sample chosen by key, and give the centroids of the best over all points.

    Parameters
    ----------
    points
        (N, d) float32 with at least k distinct rows, in the order of their keys.
    keys
        (N, 32) uint8.
    settings
        Algorithm, seed, and restarts if they are not automatic.
    k
        How many centroids.

    Returns
    -------
    (k, d) float32.
    """
    run = _restarts_by(settings.algorithm)
    rows = choose_rows(keys, _sample_size(k), settings.seed)
    sample = points if len(rows) == len(points) else points[rows]
    count = settings.restarts or restarts_for(points.shape, k)
    with _duplicates_expected():
        finalists = run(sample, k, count, np.random.RandomState(settings.seed % 2**32))
    return best_of(finalists, points)


def best_of(candidates: Sequence[NDArray[np.float32]], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Choose the centroids with the smallest inertia over all points, of equal ones the first."""
    if len(candidates) == 1:
        return candidates[0]
    return min(candidates, key=lambda centroids: find_nearest(points, centroids).inertia)


def cluster_sums(points: NDArray[np.float32], labels: NDArray[np.int32], k: int) -> NDArray[np.float64]:
    """Add up each cluster's points, always in the same order: (N, d) and (N,) to (k, d) float64."""
    sums = np.zeros((k, points.shape[1]))
    width = max(min(_SUMMED_COLUMNS, -(-points.shape[1] // cores())), 1)

    def add(first: int) -> None:
        columns = slice(first, first + width)
        for start in range(0, len(points), _SUMMED_ROWS):
            rows = slice(start, start + _SUMMED_ROWS)
            part = points[rows, columns]
            members = csc_array((np.ones(len(part)), labels[rows], np.arange(len(part) + 1)), (k, len(part)))
            sums[:, columns] += members @ part.astype(np.float64)

    on_all_cores(add, range(0, points.shape[1], width))
    return sums


def means_of(points: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Give the mean of each cluster's points, no cluster being empty: (k, d) float32."""
    sizes = np.bincount(labels)
    return np.asarray(cluster_sums(points, labels, len(sizes)) / sizes[:, None], np.float32)


def lloyd(
    points: NDArray[np.float32], starts: Sequence[NDArray[np.float32]], passes: int = 300
) -> list[NDArray[np.float32]]:
    """Move each start's centroids to the means of their points until nothing changes, or so many times."""
    from sklearn.cluster import KMeans

    def moved(centroids: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(centroids) == 1:
            return np.asarray(points.mean(axis=0, dtype=np.float64, keepdims=True), np.float32)
        fit = KMeans(len(centroids), init=centroids, n_init=1, tol=0, max_iter=passes).fit(points)
        return np.asarray(fit.cluster_centers_, np.float32)

    with _duplicates_expected():
        return on_all_cores(moved, starts)


def fill_empty(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move each centroid without points to the point that lies farthest from its own.

    Every move lowers the inertia, so this ends; with at least k distinct points no centroid stays empty.
    """
    centroids = centroids.copy()
    while True:
        nearest = find_nearest(points, centroids)
        empty = np.flatnonzero(np.bincount(nearest.labels, minlength=len(centroids)) == 0)
        if not len(empty):
            return centroids
        centroids[empty[0]] = points[nearest.distances.argmax()]


def count_distinct(points: NDArray[np.float32], enough: int) -> int:
    """Count distinct rows, but no further than `enough`."""
    looked_at = 4 * enough
    while True:
        distinct = len(np.unique(points[:looked_at], axis=0))
        if distinct >= enough or looked_at >= len(points):
            return min(distinct, enough)
        looked_at *= 8


def _sample_size(k: int) -> int:
    return max(SAMPLE, SAMPLE_PER_CLUSTER * k)


def _restarts_by(algorithm: str) -> Restarts:
    if algorithm not in _RESTARTS:
        raise UsageError(f"there is no algorithm {algorithm!r}: choose one of {', '.join(_RESTARTS)}")
    return _RESTARTS[algorithm]


def _kmeans(
    points: NDArray[np.float32], k: int, count: int, random: np.random.RandomState
) -> list[NDArray[np.float32]]:
    from sklearn.cluster import KMeans

    with one_thread():
        fit = KMeans(k, n_init=count, random_state=random).fit(points)
    return [np.asarray(fit.cluster_centers_, np.float32)]


def _minibatch_kmeans(
    points: NDArray[np.float32], k: int, count: int, random: np.random.RandomState
) -> list[NDArray[np.float32]]:
    from sklearn.cluster import MiniBatchKMeans

    size = max(BATCH, _BATCH_PER_CLUSTER * k)
    if len(points) <= size:  # one batch holds everything: a step is a Lloyd step
        return _kmeans(points, k, count, random)
    batches = np.array_split(points[random.permutation(len(points))], len(points) // size)

    def restart(seed: int) -> NDArray[np.float32]:
        fit = MiniBatchKMeans(
            k,
            init_size=len(batches[0]),
            n_init=1,
            compute_labels=False,
            random_state=np.random.RandomState(seed),
        )
        for _ in range(PASSES):
            for batch in batches:
                fit.partial_fit(batch)
        return np.asarray(fit.cluster_centers_, np.float32)

    tried = on_all_cores(restart, random.randint(2**31, size=count))
    inertias = [find_nearest(points, centroids).inertia for centroids in tried]
    return [tried[place] for place in np.argsort(inertias, kind="stable")[:FINALISTS]]


@contextmanager
def _duplicates_expected() -> Iterator[None]:
    """Repeated points leave clusters empty: that is repaired afterwards, and no news to the user."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


_RESTARTS: dict[str, Restarts] = {"minibatch-kmeans": _minibatch_kmeans, "kmeans": _kmeans}

ALGORITHMS = tuple(_RESTARTS)
"""The names of the ways in which restarts run."""
