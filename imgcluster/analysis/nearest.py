"""Points and the centroids nearest to them: the one place that decides where an image belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.prepare import apply_preparation
from imgcluster.analysis.tiles import each_tile
from imgcluster.errors import NotFinite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from imgcluster.records import Embeddings, Preparation


@dataclass(frozen=True)
class Nearest:
    """For each point its nearest centroid, and how far that and the second nearest are.

    Attributes
    ----------
    labels
        (N,) int32; of two equally near centroids the one with the smaller number.
    distances
        (N,) float32, Euclidean.
    seconds
        (N,) float32: distance to the second nearest, infinite where there is one centroid only.
    """

    labels: NDArray[np.int32]
    distances: NDArray[np.float32]
    seconds: NDArray[np.float32]

    @property
    def inertia(self) -> float:
        """Sum of squared distances."""
        return float(np.square(self.distances, dtype=np.float64).sum())

    def renumbered(self, labels: NDArray[np.intp]) -> Nearest:
        """Give the same answers with other numbers of the centroids."""
        return Nearest(labels.astype(np.int32), self.distances, self.seconds)

    def in_order(self, rows: NDArray[np.intp]) -> Nearest:
        """Give the answers of some rows, in their order."""
        return Nearest(self.labels[rows], self.distances[rows], self.seconds[rows])


def prepare_all(preparations: Sequence[Preparation], embeddings: Sequence[Embeddings]) -> NDArray[np.float32]:
    """Prepare the same images' embeddings of each space, and put them side by side: (N, sum of d) float32.

    Raises
    ------
    NotFinite
        Where an embedding is.
    """
    parts = [apply_preparation(*pair) for pair in zip(preparations, embeddings, strict=True)]
    points = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    if not np.isfinite(points).all():
        raise NotFinite
    return points


def find_nearest(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> Nearest:
    """Find each point's nearest centroid; a point's answer does not depend on the points beside it.

    Parameters
    ----------
    points
        (N, d) float32.
    centroids
        (k, d) float32, k at least 1.
    """
    count = len(points)
    answer = Nearest(
        np.empty(count, np.int32), np.empty(count, np.float32), np.full(count, np.inf, np.float32)
    )
    # Differences of squares lose digits, so they are taken in double precision.
    wide = centroids.astype(np.float64)
    squares = np.einsum("ij,ij->i", wide, wide)

    def compare(place: slice, tile: NDArray[np.float32]) -> None:
        rows = tile.astype(np.float64)
        gaps = squares - 2 * (rows @ wide.T) + np.einsum("ij,ij->i", rows, rows)[:, None]
        _enter(answer, place, np.sqrt(np.maximum(gaps[: place.stop - place.start], 0)))

    each_tile(points, compare, len(centroids))
    return answer


def simplified_silhouettes(
    points: NDArray[np.float32], labels: NDArray[np.int32], centroids: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Compare each point's distance to its own centroid with that to the nearest other one: (N,) float32.

    The distances' difference over the larger of them (Vendramin et al. 2010); negative where another centroid
    is nearer, NaN where there is one cluster.
    """
    near = find_nearest(points, centroids)
    own = np.linalg.norm(points - centroids[labels], axis=1)
    other = np.where(near.labels == labels, near.seconds, near.distances)
    larger = np.maximum(np.maximum(own, other), np.finfo(np.float32).tiny)
    with np.errstate(invalid="ignore"):
        values = (other - own) / larger
    return np.asarray(values, np.float32)


def _enter(answer: Nearest, place: slice, distances: NDArray[np.float64]) -> None:
    labels = distances.argmin(axis=1)
    own = np.arange(len(labels)), labels
    answer.labels[place] = labels
    answer.distances[place] = distances[own]
    if distances.shape[1] > 1:
        distances[own] = np.inf
        answer.seconds[place] = distances.min(axis=1)
