"""Points and the centroids nearest to them: arithmetic on points and labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from imgcluster.analysis.parallel import each_tile, on_all_cores
from imgcluster.machine import cores

_SUMMED_ROWS = 1 << 14
_SUMMED_COLUMNS = 256
_WORTH_A_THREAD = 1 << 17
"""Numbers: fewer are added up sooner than another thread hears of them."""


@dataclass(frozen=True)
class Nearest:
    """For each point its nearest centroid, and how far that and the second nearest are.

    Attributes
    ----------
    labels
        (N,) int32; of two equally near centroids the one with the smaller number.
    distances
        (N,) float32, Euclidean.
    second_distances
        (N,) float32: distance to the second nearest, infinite where there is one centroid only.
    """

    labels: NDArray[np.int32]
    distances: NDArray[np.float32]
    second_distances: NDArray[np.float32]

    @property
    def inertia(self) -> float:
        """Sum of squared distances."""
        return float(np.square(self.distances, dtype=np.float64).sum())


def find_nearest(
    points: NDArray[np.float32],
    centroids: NDArray[np.float32],
    penalties: NDArray[np.floating] | None = None,
) -> Nearest:
    """Find each point's nearest centroid; a point's answer does not depend on the points beside it.

    Parameters
    ----------
    points
        (N, d) float32.
    centroids
        (k, d) float32, k at least 1.
    penalties
        (k,) that are added to the squared distances from each centroid; not below 0.
    """
    count = len(points)
    answer = Nearest(
        np.empty(count, np.int32), np.empty(count, np.float32), np.full(count, np.inf, np.float32)
    )
    # Differences of squares lose digits, so they are taken in double precision.
    wide = centroids.astype(np.float64)
    squares = np.einsum("ij,ij->i", wide, wide)
    if penalties is not None:
        squares = squares + penalties

    def compare(place: slice, tile: NDArray[np.float32]) -> None:
        rows = tile.astype(np.float64)
        gaps = squares - 2 * (rows @ wide.T) + np.einsum("ij,ij->i", rows, rows)[:, None]
        distances = np.sqrt(np.maximum(gaps[: place.stop - place.start], 0))
        labels = distances.argmin(axis=1)
        own = np.arange(len(labels)), labels
        answer.labels[place] = labels
        answer.distances[place] = distances[own]
        if len(wide) > 1:
            distances[own] = np.inf
            answer.second_distances[place] = distances.min(axis=1)

    each_tile(points, compare, len(centroids))
    return answer


def nearest_labels(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int32]:
    """Find each point's nearest centroid, quickly: of two that are near to a rounding, either."""
    labels = np.empty(len(points), np.int32)
    half_squares = np.einsum("ij,ij->i", centroids, centroids) / 2
    matrix = np.ascontiguousarray(centroids.T)

    def compare(place: slice, tile: NDArray[np.float32]) -> None:
        labels[place] = (tile @ matrix - half_squares)[: place.stop - place.start].argmax(axis=1)

    each_tile(points, compare, len(centroids))
    return labels


def distances_to(
    points: NDArray[np.float32], centroids: NDArray[np.float32], labels: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Give each point's Euclidean distance to the centroid of its label: (N,) float32."""
    distances = np.empty(len(points), np.float32)

    def measure(place: slice, tile: NDArray[np.float32]) -> None:
        deviations = tile[: place.stop - place.start] - centroids[labels[place]]
        distances[place] = np.sqrt(np.einsum("ij,ij->i", deviations, deviations))

    each_tile(points, measure)
    return distances


def simplified_silhouettes(
    points: NDArray[np.float32], labels: NDArray[np.integer], centroids: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Compare each point's distance to its own centroid with that to the nearest other one: (N,) float32.

    The distances' difference over the larger of them (Vendramin et al. 2010); negative where another centroid
    is nearer, NaN where there is one cluster.
    """
    near = find_nearest(points, centroids)
    own = distances_to(points, centroids, labels)
    other = np.where(near.labels == labels, near.second_distances, near.distances)
    larger = np.maximum(np.maximum(own, other), np.finfo(np.float32).tiny)
    with np.errstate(invalid="ignore"):
        return np.asarray((other - own) / larger, np.float32)


def cluster_sums(points: NDArray[np.float32], labels: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Add up each cluster's points, always in the same order: (N, d) and (N,) to (k, d) float64.

    Points with the label -1 are in no sum.
    """
    counted, labels = (labels >= 0).astype(np.float64), np.maximum(labels, 0)
    sums = np.zeros((k, points.shape[1]))
    width = max(-(-points.shape[1] // cores()), _WORTH_A_THREAD // max(len(points), 1), 1)
    width = min(width, _SUMMED_COLUMNS)

    def add(first: int) -> None:
        columns = slice(first, first + width)
        for start in range(0, len(points), _SUMMED_ROWS):
            rows = slice(start, start + _SUMMED_ROWS)
            part = points[rows, columns]
            members = csc_array((counted[rows], labels[rows], np.arange(len(part) + 1)), (k, len(part)))
            sums[:, columns] += members @ part.astype(np.float64)

    on_all_cores(add, range(0, points.shape[1], width))
    return sums


def means_of(points: NDArray[np.float32], labels: NDArray[np.integer], k: int) -> NDArray[np.float32]:
    """Give the mean of each cluster's points: (k, d) float32; zeros for a cluster without points."""
    sizes = np.bincount(labels[labels >= 0], minlength=k)
    return np.asarray(cluster_sums(points, labels, k) / np.maximum(sizes, 1)[:, None], np.float32)


def count_distinct(points: NDArray[np.float32], enough: int) -> int:
    """Count distinct rows, but no further than `enough`."""
    looked_at = 4 * enough
    while True:
        distinct = len(np.unique(points[:looked_at], axis=0))
        if distinct >= enough or looked_at >= len(points):
            return min(distinct, enough)
        looked_at *= 8
