"""Images whose embeddings are alike, by exact cosines, without ever holding all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.embeddings import key_order
from imgcluster.analysis.transforms import unit_length
from imgcluster.records import Embeddings, EmbeddingSource, Progress

_HELD_BYTES = 256 << 20
_ROWS = 1024


class Pair(NamedTuple):
    """Two rows, `first` before `second`, and the cosine of their embeddings."""

    first: int
    second: int
    cosine: float


def most_similar(
    query: NDArray[np.float32], source: EmbeddingSource, top: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Find the rows most similar to a query.

    Parameters
    ----------
    query
        (D,) float32.
    source
        N embeddings.
    top
        How many at most.

    Returns
    -------
    indices
        (min(top, N),) rows of the source, the most similar first; equally similar ones by their key.
    cosines
        (min(top, N),) float32. A row of zeros is similar to nothing: 0.
    """
    wanted = unit_length(query[None])[0]
    # Row by row, for equal rows are to be equally similar to the last bit.
    parts = [np.einsum("ij,j->i", unit_length(block), wanted) for block in source.blocks()]
    cosines = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    rank = np.empty(len(cosines), np.intp)
    rank[key_order(source.keys)] = np.arange(len(cosines))
    best = np.lexsort((rank, -cosines))[: max(top, 0)]
    return best, cosines[best]


def look_alikes(
    source: EmbeddingSource, threshold: float, taken: NDArray[np.bool_], progress: Progress
) -> list[Pair]:
    """Find rows that are like an earlier one: `first` is never the second of another pair.

    Memory grows with the number of rows alone: the source is read once for each 256 MB of it, and compared in
    small tiles.

    Parameters
    ----------
    source
        N embeddings.
    threshold
        Smallest cosine, above 0.
    taken
        (N,): rows that have no part in it.
    """
    progress.begin("comparing embeddings", len(taken) * (len(taken) + 1) // 2)
    free = ~taken
    found: list[Pair] = []
    for start, held in _held(source):
        for offset in range(0, len(held), _ROWS):
            tile = held[offset : offset + _ROWS]
            found += _alike_within(start + offset, tile, threshold, free)
            for after in range(offset + _ROWS, len(held), _ROWS):
                block = held[after : after + _ROWS]
                found += _alike_after(start + offset, tile, start + after, block, threshold, free)
            later = len(held) - offset - len(tile)
            progress.advance(len(tile) * (len(tile) + 1) // 2 + len(tile) * later)
        for after, block in _starting_at(source, start + len(held)):
            for offset in range(0, len(held), _ROWS):
                tile = held[offset : offset + _ROWS]
                found += _alike_after(start + offset, tile, after, block, threshold, free)
            progress.advance(len(held) * len(block))
    return found


def _held(source: EmbeddingSource) -> Iterator[tuple[int, Embeddings]]:
    """Yield unit rows in parts of about `_HELD_BYTES`, each with its first row's number."""
    limit = max(_HELD_BYTES // (4 * source.dimension), 1)
    held: list[Embeddings] = []
    start = size = 0
    for block in source.blocks():
        for offset in range(0, len(block), limit):
            part = block[offset : offset + limit]
            if held and size + len(part) > limit:
                yield start, np.concatenate(held)
                start, size, held = start + size, 0, []
            held.append(unit_length(part))
            size += len(part)
    if held:
        yield start, np.concatenate(held)


def _starting_at(source: EmbeddingSource, first: int) -> Iterator[tuple[int, Embeddings]]:
    """Yield unit rows from row `first` on, in small blocks."""
    start = 0
    for block in source.blocks():
        for offset in range(max(first - start, 0), len(block), _ROWS):
            yield start + offset, unit_length(block[offset : offset + _ROWS])
        start += len(block)


def _alike_within(start: int, tile: Embeddings, threshold: float, free: NDArray[np.bool_]) -> Iterator[Pair]:
    """Let each free row of a tile take the later ones that are like it."""
    alike = np.triu(tile @ tile.T, 1) if free[start : start + len(tile)].any() else np.zeros((0, 0))
    for row in np.flatnonzero((alike >= threshold).any(axis=1)):
        if free[start + row]:
            for other in np.flatnonzero((alike[row] >= threshold) & free[start : start + len(tile)]):
                free[start + other] = False
                yield Pair(start + int(row), start + int(other), float(alike[row, other]))


def _alike_after(
    start: int,
    tile: Embeddings,
    after: int,
    block: Embeddings,
    threshold: float,
    free: NDArray[np.bool_],
) -> Iterator[Pair]:
    """Let the free rows of a later block go to the free row of the tile that they are most like."""
    firsts, others = (
        np.flatnonzero(free[start : start + len(tile)]),
        np.flatnonzero(free[after : after + len(block)]),
    )
    if not len(firsts) or not len(others):
        return
    tile = tile if len(firsts) == len(tile) else tile[firsts]
    block = block if len(others) == len(block) else block[others]
    cosines = tile @ block.T
    nearest = cosines.argmax(axis=0)
    highest = cosines[nearest, np.arange(len(others))]
    for other in np.flatnonzero(highest >= threshold):
        free[after + others[other]] = False
        yield Pair(start + int(firsts[nearest[other]]), after + int(others[other]), float(highest[other]))
