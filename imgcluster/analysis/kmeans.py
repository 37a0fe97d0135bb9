"""k-means: many short runs of scikit-learn's, the best of them finished properly, no cluster left empty."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from imgcluster.analysis.centroids import (
    count_distinct,
    distances_to,
    find_nearest,
    means_of,
    nearest_labels,
)
from imgcluster.analysis.clusterer import ClusterSettings, FoundIn
from imgcluster.analysis.parallel import alone, on_all_cores
from imgcluster.analysis.spaces import Spaces

Algorithm = Literal["MiniBatchKMeans", "KMeans"]

SAMPLE = 16_384
SAMPLE_PER_CLUSTER = 256
MOST_RESTARTS = {"MiniBatchKMeans": 32, "KMeans": 300}
"""After 32 runs of mini-batches no more is won: the best are finished by Lloyd's iteration anyway."""
FEWEST_RESTARTS = 12
_QUICK_RESTARTS = 2
WORK = 128_000_000
"""Multiplications that one step of all restarts may take together."""
CANDIDATES = 8
"""So many of the best restarts are finished on the sample, and compared over all points."""
_EXCHANGED_SAMPLE = 1 << 11
_MOST_EXCHANGED = 64
"""More clusters, and points of more numbers, would make exchanges take longer than all else."""
_EXCHANGES, _TRIES = 32, 8
"""Exchanges of centroids, for not too many clusters, on so many points; tries without success end them."""
_BETTER = 1e-6
_CHEAP_DIMENSIONS = 64
"""Fewer cost no less: other work prevails."""
_FEWER_RESTARTS = 4
"""In a refined space, where the clusters that refined it are seldom surpassed, so many times fewer."""
_TOGETHER = 16
"""Restarts of full passes for one call: by itself each would take as long again to set up."""
_PATIENCE = 10
"""scikit-learn's: so many mini-batches without improvement end a run."""
_PATIENCE_OF_MANY = 3
_MAX_ITER = 300
MOST_AT_ONCE = 4096
"""More clusters are found by two levels: the work of one grows with their number times that of the images."""
_LAST_PASSES = 4
"""Over all points, when two levels have found thousands of clusters: cells have hard borders."""
_REFINEMENTS = 3
_REFINING_ITER = 20
_ARRAYS = ("centroids", "penalties")
_SETTLED = 5e-5
"""Of many thousands of points, so many may still waver between two clusters."""


@dataclass(frozen=True)
class NearestCentroid:
    """The model of k-means, and of a mixture (a `ClustererModel`).

    Attributes
    ----------
    centroids
        (k, d) float32.
    penalties
        (k,) float32, added to squared distances: of a mixture, -2 log of each cluster's share.
    """

    centroids: NDArray[np.float32]
    penalties: NDArray[np.float32] | None = None

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[np.generic]]) -> NearestCentroid:
        """Make it of its arrays."""
        return cls(**{name: np.asarray(arrays[name], np.float32) for name in _ARRAYS if name in arrays})

    def predict(self, points: NDArray[np.float32]) -> NDArray[np.int32]:
        """Give each point's nearest centroid."""
        return find_nearest(points, self.centroids, self.penalties).labels

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Give the centroids, and penalties where there are some."""
        return {"centroids": self.centroids} | (
            {} if self.penalties is None else {"penalties": self.penalties}
        )


FoundCentroids = tuple[NDArray[np.int32], NearestCentroid]


@dataclass(frozen=True)
class KMeansClusterer:
    """A `SpacesClusterer`; every distinct image counts once, however many files show it.

    With one restart what scikit-learn gives is the answer. Else the best restarts on a sample (with exchanges
    of centroids where nobody says how many) are finished by Lloyd's iteration, and the one with the smallest
    inertia over all points is finished over all points.
    """

    algorithm: Algorithm
    settings: ClusterSettings

    def fit(self, points: NDArray[np.float32], weights: NDArray[np.int64]) -> FoundCentroids:  # noqa: ARG002
        """Find clusters: as many as asked for, or as there are distinct points."""
        k = count_distinct(points, self.settings.k)
        if k > MOST_AT_ONCE:
            return _filled(points, lloyd(points, self._in_two_levels(points, k), _LAST_PASSES))
        n_init = self._restarts(points, k)
        if n_init == 1:
            (centroids,) = self._inits(points, k, 1)
            return _filled(points, centroids)
        exchanges = self.settings.restarts is None and k > 1 and max(k, points.shape[1]) <= _MOST_EXCHANGED
        return self._best(points, self._candidates(points, k, n_init, exchanges=exchanges))

    def fit_spaces(self, spaces: Spaces, weights: NDArray[np.int64]) -> FoundIn:
        """Find clusters, and again in spaces that they make narrow; at the last, try restarts as well."""
        space = spaces.plain
        labels, model = self.fit(space.points, weights)
        for step in range(_REFINEMENTS if 0 < labels.max() < MOST_AT_ONCE else 0):
            space = spaces.narrowed(labels)
            start = means_of(space.points, labels, int(labels.max()) + 1)
            if step < _REFINEMENTS - 1:
                labels, model = _filled(space.points, lloyd(space.points, start, _REFINING_ITER))
            else:
                labels, model = self._finished(space.points, start)
        return FoundIn(labels, model, space)

    def _in_two_levels(self, points: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        """Give k centroids: cells of k-means, the root of k of them, are cut by k-means, by their sizes."""
        cells, _ = self._one_run(points, round(k**0.5))
        order = np.argsort(cells, kind="stable")
        members = [points[rows] for rows in np.split(order, np.cumsum(np.bincount(cells))[:-1])]
        most = np.array(on_all_cores(lambda cell: count_distinct(cell, min(len(cell), k)), members))

        def cut(task: tuple[NDArray[np.float32], int]) -> NDArray[np.float32]:
            cell, count = task
            return lloyd(cell, self._one_run(cell, count)[1].centroids, _REFINING_ITER)

        counts = share_out(k, np.array([len(cell) for cell in members]), most)
        return np.concatenate(on_all_cores(cut, zip(members, counts.tolist(), strict=True)))

    def _one_run(self, points: NDArray[np.float32], k: int) -> FoundCentroids:
        once = replace(self, settings=replace(self.settings, k=k, restarts=1))
        return once.fit(points, np.ones(len(points), np.int64))

    def _finished(self, points: NDArray[np.float32], start: NDArray[np.float32]) -> FoundCentroids:
        n_init = max(self._restarts(points, len(start)) // _FEWER_RESTARTS, 1)
        return self._best(points, [*self._candidates(points, len(start), n_init), lloyd(points, start)])

    def _restarts(self, points: NDArray[np.float32], k: int) -> int:
        """Give as many as were asked for, else as sizes alone decide, never a clock."""
        if self.settings.quick:
            return min(self.settings.restarts or _QUICK_RESTARTS, _QUICK_RESTARTS)
        count, dimension = points.shape
        work = min(count, max(SAMPLE, SAMPLE_PER_CLUSTER * k)) * k * max(dimension, _CHEAP_DIMENSIONS)
        most = MOST_RESTARTS[self.algorithm]
        return self.settings.restarts or int(np.clip(WORK // max(work, 1), FEWEST_RESTARTS, most))

    def _candidates(
        self, points: NDArray[np.float32], k: int, n_init: int, *, exchanges: bool = False
    ) -> list[NDArray[np.float32]]:
        count = max(SAMPLE, SAMPLE_PER_CLUSTER * k)
        if len(points) > count:
            random = np.random.default_rng(self.settings.seed % 2**64)
            points = points[np.sort(random.choice(len(points), count, replace=False))]
        best = self._inits(points, k, n_init)[:CANDIDATES]
        few = points[:_EXCHANGED_SAMPLE]

        def finish(centroids: NDArray[np.float32]) -> NDArray[np.float32]:
            return lloyd(points, exchange(few, lloyd(few, centroids)) if exchanges else centroids)

        finished = on_all_cores(finish, best)
        return [*finished, lloyd(points, best[0])] if exchanges else finished  # few points may mislead

    def _inits(self, points: NDArray[np.float32], k: int, n_init: int) -> list[NDArray[np.float32]]:
        """Run scikit-learn so many times: all centroids, those with the smallest inertia first."""
        from sklearn import config_context
        from sklearn.cluster import KMeans, MiniBatchKMeans

        random = np.random.RandomState(self.settings.seed % 2**32)
        each = 1 if self.algorithm == "MiniBatchKMeans" else _TOGETHER
        runs = [min(each, n_init - start) for start in range(0, n_init, each)]
        seeds = random.randint(2**31, size=len(runs)) if n_init > 1 else [self.settings.seed % 2**32]

        def run(task: tuple[int, int]) -> tuple[float, NDArray[np.float32]]:
            count, seed = task
            if self.algorithm == "MiniBatchKMeans":
                patience = _PATIENCE if n_init == 1 else _PATIENCE_OF_MANY
                model = MiniBatchKMeans(k, n_init=1, max_no_improvement=patience, random_state=seed)
            else:
                model = KMeans(k, n_init=count, random_state=seed)
            # Thousands of small steps would each look again at what is known to be sound.
            with config_context(assume_finite=True, skip_parameter_validation=True):
                fit = model.fit(points)
            return float(fit.inertia_), np.asarray(fit.cluster_centers_, np.float32)

        with _empty_clusters_expected():
            found = on_all_cores(run, zip(runs, seeds, strict=True))
        return [centroids for _, centroids in sorted(found, key=lambda each: each[0])]

    def _best(self, points: NDArray[np.float32], candidates: list[NDArray[np.float32]]) -> FoundCentroids:
        best = min(candidates, key=lambda centroids: find_nearest(points, centroids).inertia)
        return _filled(points, lloyd(points, best))


def share_out(k: int, sizes: NDArray[np.integer], most: NDArray[np.integer]) -> NDArray[np.int64]:
    """Share k out by sizes: one to each at least, and no more than `most`, whose sum is k or more."""
    shares = k * sizes / sizes.sum()
    counts: NDArray[np.int64] = np.clip(np.floor(shares).astype(np.int64), 1, most)
    while (missing := k - int(counts.sum())) > 0:
        wanting = np.where(counts < most, shares - counts, -np.inf)
        counts[np.argsort(-wanting, kind="stable")[: min(missing, int((counts < most).sum()))]] += 1
    for _ in range(-missing):
        counts[counts.argmax()] -= 1
    return counts


def merge_centroids(centroids: NDArray[np.float32], k: int) -> NDArray[np.int32]:
    """Merge small clusters by the average linkage of their centroids: for each of (n, d) one of k numbers."""
    from sklearn.cluster import AgglomerativeClustering

    if len(centroids) < 2:
        return np.zeros(len(centroids), np.int32)
    merging = AgglomerativeClustering(k, linkage="average")
    return np.asarray(alone(lambda: merging.fit_predict(centroids), brief=True), np.int32)


def lloyd(
    points: NDArray[np.float32], centroids: NDArray[np.float32], max_iter: int = _MAX_ITER
) -> NDArray[np.float32]:
    """Move centroids to the means of their points until nothing changes, or so many times."""
    before: NDArray[np.int32] | None = None
    for _ in range(max_iter):
        labels = nearest_labels(points, centroids)
        if before is not None and np.count_nonzero(labels != before) <= _SETTLED * len(points):
            break
        before = labels
        empty = np.bincount(labels, minlength=len(centroids)) == 0
        means = means_of(points, labels, len(centroids))
        means[empty] = centroids[empty]
        centroids = relocate_empty_clusters(points, means, labels)
    return centroids


def exchange(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove a centroid and cut another's cluster as long as that lessens the inertia.

    Restarts alone miss the best solution by one such exchange (split and merge: Kaukoranta, Fränti and
    Nevalainen 1998). Those that promise most are tried: what a cluster's two halves, on either side of its
    mean along its longest axis, are nearer to their means, less what its points lose with a centroid.
    """
    near, k = find_nearest(points, centroids), len(centroids)
    for _ in range(_EXCHANGES):
        nearer = np.square(near.second_distances, dtype=np.float64) - np.square(near.distances)
        loss = np.bincount(near.labels, nearer, k)
        gain, halves = np.zeros(k), np.repeat(centroids[:, None], 2, axis=1)
        for number in range(k):
            rows = points[near.labels == number] - centroids[number]
            side = rows @ eigh(rows.T @ rows)[1][:, -1] > 0
            for half, inside in enumerate((side, ~side)):
                if inside.any():
                    mean = rows[inside].mean(axis=0)
                    gain[number] += inside.sum() * (mean @ mean)
                    halves[number, half] += mean
        promises = gain - loss[:, None]
        np.fill_diagonal(promises, -np.inf)
        for place in np.argsort(-promises, axis=None, kind="stable")[: min(_TRIES, k * (k - 1))].tolist():
            removed, cut = divmod(place, k)
            moved = centroids.copy()
            moved[[removed, cut]] = halves[cut]
            moved = lloyd(points, moved)
            now = find_nearest(points, moved)
            if now.inertia < near.inertia * (1 - _BETTER):
                centroids, near = moved, now
                break
        else:
            break
    return centroids


def relocate_empty_clusters(
    points: NDArray[np.float32], centroids: NDArray[np.float32], labels: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Move centroids without points to the points that lie farthest from their own."""
    empty = np.flatnonzero(np.bincount(labels, minlength=len(centroids)) == 0)
    if not len(empty):
        return centroids
    far = np.argsort(-distances_to(points, centroids, labels), kind="stable")[: 64 * len(empty)]
    _, distinct = np.unique(points[far], axis=0, return_index=True)
    rows = far[np.sort(distinct)][: len(empty)]
    centroids = centroids.copy()
    centroids[empty[: len(rows)]] = points[rows]
    return centroids


def _filled(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> FoundCentroids:
    """Give the clusters of centroids, empty ones relocated as long as that makes them fewer."""
    fewest = len(centroids) + 1
    while True:
        labels = find_nearest(points, centroids).labels
        used = np.unique(labels)
        empty = len(centroids) - len(used)
        if not 0 < empty < fewest:
            break
        fewest = empty
        centroids = relocate_empty_clusters(points, centroids, labels)
    # Points that differ in the last bit only are distinct, but no centroid can tell them apart.
    return np.searchsorted(used, labels).astype(np.int32), NearestCentroid(centroids[used])


@contextmanager
def _empty_clusters_expected() -> Iterator[None]:
    """Repeated points leave clusters empty: that is repaired afterwards, and no news to the user."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
