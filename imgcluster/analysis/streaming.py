"""K-means over points that are never in memory together: one pass of the sources after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.fitting import cluster_sums
from imgcluster.analysis.nearest import Nearest, find_nearest, prepare_all, simplified_silhouettes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from imgcluster.records import Embeddings, EmbeddingSource, Preparation

    Blocks = Callable[[], Iterator[NDArray[np.float32]]]

_PASSES = 4
_SETTLED = 1e-4
"""Further passes are not worth their reading once fewer than this share of the points change cluster."""


def points_of(
    sources: Sequence[EmbeddingSource], preparations: Sequence[Preparation]
) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of points, the spaces side by side, in the order of the sources.

    Raises
    ------
    NotFinite
        Where an embedding is.
    """
    for embeddings in _aligned([source.blocks() for source in sources]):
        yield prepare_all(preparations, embeddings)


def lloyd_streamed(blocks: Blocks, centroids: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move centroids to the means of their points, in a few passes over all of them.

    Clusters that would become empty are given the points that lie farthest from their own centroids.
    """
    before: NDArray[np.int32] | None = None
    for _ in range(_PASSES):
        centroids, labels = _one_pass(blocks, centroids)
        if before is not None and float(np.mean(labels != before)) < _SETTLED:
            break
        before = labels
    return centroids


def fill_empty_streamed(
    blocks: Blocks, count: int, centroids: NDArray[np.float32]
) -> tuple[NDArray[np.float32], Nearest]:
    """Find the nearest centroid of each of `count` points, and move centroids without points to far ones.

    Every move lowers the inertia, so this ends. A centroid stays without points only where there are fewer
    distinct points than centroids.
    """
    before = np.inf
    while True:
        nearest, farthest = _nearest_streamed(blocks, count, centroids)
        empty = np.flatnonzero(np.bincount(nearest.labels, minlength=len(centroids)) == 0)
        if not len(empty) or not nearest.inertia < before:
            return centroids, nearest
        before = nearest.inertia
        centroids = _moved_to(farthest, empty, centroids)


def means_streamed(blocks: Blocks, labels: NDArray[np.int32], k: int) -> NDArray[np.float32]:
    """Give the mean of each cluster's points, no cluster being empty: (k, d) float32."""
    sums: NDArray[np.float64] = np.zeros((k, 1))
    start = 0
    for block in blocks():
        sums = sums + cluster_sums(block, labels[start : start + len(block)], k)
        start += len(block)
    return np.asarray(sums / np.bincount(labels, minlength=k)[:, None], np.float32)


def silhouettes_streamed(blocks: Blocks, labels: NDArray[np.int32], k: int) -> NDArray[np.float32]:
    """Give each point's simplified silhouette among k clusters, in two passes: (N,) float32."""
    means = means_streamed(blocks, labels, k)
    parts, start = [], 0
    for block in blocks():
        parts.append(simplified_silhouettes(block, labels[start : start + len(block)], means))
        start += len(block)
    return np.concatenate(parts)


class _Farthest:
    """Of the points that pass by, the `count` that lie farthest from their centroids, equal ones once."""

    def __init__(self, count: int, dimension: int) -> None:
        self._count = count
        self._distances = np.zeros(0, np.float32)
        self.points = np.zeros((0, dimension), np.float32)

    def look_at(self, block: NDArray[np.float32], distances: NDArray[np.float32]) -> None:
        rows = np.argsort(-distances, kind="stable")[: self._count]
        points = np.concatenate([self.points, block[rows]])
        distances = np.concatenate([self._distances, distances[rows]])
        _, distinct = np.unique(points, axis=0, return_index=True)
        order = distinct[np.argsort(-distances[distinct], kind="stable")][: self._count]
        self.points, self._distances = points[order], distances[order]


def _nearest_streamed(
    blocks: Blocks, count: int, centroids: NDArray[np.float32]
) -> tuple[Nearest, _Farthest]:
    answer = Nearest(np.empty(count, np.int32), np.empty(count, np.float32), np.empty(count, np.float32))
    farthest = _Farthest(*centroids.shape)
    start = 0
    for block in blocks():
        found = find_nearest(block, centroids)
        place = slice(start, start + len(block))
        answer.labels[place] = found.labels
        answer.distances[place] = found.distances
        answer.seconds[place] = found.seconds
        farthest.look_at(block, found.distances)
        start += len(block)
    return answer, farthest


def _one_pass(
    blocks: Blocks, centroids: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    k = len(centroids)
    sums, sizes = np.zeros(centroids.shape), np.zeros(k, np.int64)
    labels = []
    farthest = _Farthest(*centroids.shape)
    for block in blocks():
        found = find_nearest(block, centroids)
        labels.append(found.labels)
        sizes += np.bincount(found.labels, minlength=k)
        sums += cluster_sums(block, found.labels, k)
        farthest.look_at(block, found.distances)
    moved = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(sizes == 0)
    moved[empty] = centroids[empty]
    return _moved_to(farthest, empty, moved), np.concatenate(labels)


def _moved_to(
    farthest: _Farthest, empty: NDArray[np.intp], centroids: NDArray[np.float32]
) -> NDArray[np.float32]:
    points = farthest.points[: len(empty)]
    centroids = centroids.copy()
    centroids[empty[: len(points)]] = points
    return centroids


def _aligned(streams: Sequence[Iterator[Embeddings]]) -> Iterator[list[Embeddings]]:
    """Cut the streams' blocks so that all give the same rows at a time."""
    held: list[Embeddings] = [np.zeros((0, 0), np.float32)] * len(streams)
    while True:
        for place, stream in enumerate(streams):
            if not len(held[place]):
                following = next(stream, None)
                if following is None:
                    return
                held[place] = following
        count = min(len(block) for block in held)
        yield [block[:count] for block in held]
        held = [block[count:] for block in held]
