"""K-means over points that are never in memory together: one pass of the sources after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.nearest import Nearest, find_nearest, prepare_all

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
    """Yield blocks of points, the spaces side by side, in the order of the sources."""
    streams = [source.blocks() for source in sources]
    if len(streams) == 1:
        for block in streams[0]:
            yield prepare_all(preparations, [block])
        return
    for blocks in _aligned(streams):
        yield prepare_all(preparations, blocks)


def lloyd_streamed(blocks: Blocks, centroids: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move centroids to the means of their points, in a few passes over all of them.

    A cluster that would become empty is given the point that lies farthest from its own centroid.
    """
    before: NDArray[np.int32] | None = None
    for _ in range(_PASSES):
        centroids, labels = _one_pass(blocks, centroids)
        if before is not None and float(np.mean(labels != before)) < _SETTLED:
            break
        before = labels
    return centroids


def nearest_streamed(blocks: Blocks, count: int, centroids: NDArray[np.float32]) -> Nearest:
    """Find the nearest centroid of each of `count` points."""
    answer = Nearest(np.empty(count, np.int32), np.empty(count, np.float32), np.empty(count, np.float32))
    start = 0
    for block in blocks():
        found = find_nearest(block, centroids)
        place = slice(start, start + len(block))
        answer.labels[place] = found.labels
        answer.distances[place] = found.distances
        answer.seconds[place] = found.seconds
        start += len(block)
    return answer


def _one_pass(
    blocks: Blocks, centroids: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    k = len(centroids)
    sums, sizes = np.zeros(centroids.shape), np.zeros(k, np.int64)
    labels = []
    farthest, distance = centroids[0], -1.0
    for block in blocks():
        found = find_nearest(block, centroids)
        labels.append(found.labels)
        sizes += np.bincount(found.labels, minlength=k)
        member = np.zeros((k, len(block)), np.float32)
        member[found.labels, np.arange(len(block))] = 1
        sums += member @ block
        worst = int(found.distances.argmax())
        if found.distances[worst] > distance:
            farthest, distance = block[worst], float(found.distances[worst])
    moved = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(sizes == 0)
    moved[empty] = centroids[empty]
    moved[empty[:1]] = farthest
    return moved, np.concatenate(labels)


def _aligned(streams: Sequence[Iterator[Embeddings]]) -> Iterator[list[Embeddings]]:
    """Cut the streams' blocks so that all give the same rows at a time."""
    held: list[Embeddings] = [next(stream) for stream in streams]
    while True:
        count = min(len(block) for block in held)
        yield [block[:count] for block in held]
        held = [block[count:] for block in held]
        for place, stream in enumerate(streams):
            if not len(held[place]):
                following = next(stream, None)
                if following is None:
                    return
                held[place] = following
