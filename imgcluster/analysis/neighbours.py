"""Images that look alike, by exact cosines, without ever holding all pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.embeddings import key_order
from imgcluster.analysis.transforms import unit_length
from imgcluster.records import Embeddings, EmbeddingSource

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


def near_duplicates(source: EmbeddingSource, threshold: float) -> tuple[Pair, ...]:
    """Find all pairs of rows whose cosine reaches `threshold`, the most similar first.

    Memory grows with the number of pairs found, not with the number of pairs there are: the source is read
    once for each 256 MB of it, and compared in small tiles.

    Parameters
    ----------
    source
        N embeddings.
    threshold
        Smallest cosine, above 0.
    """
    pairs = [
        pair
        for start, held in _held(source)
        for after, block in _starting_at(source, start)
        for pair in _pairs_between(start, held, after, block, threshold)
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair.cosine, pair.first, pair.second)))


def groups(
    pairs: Iterable[Pair], count: int, cannot_link: Collection[tuple[int, int]] = ()
) -> tuple[tuple[int, ...], ...]:
    """Join pairs into groups, the most similar pairs first.

    Parameters
    ----------
    pairs
        Of rows that look alike.
    count
        How many rows there are.
    cannot_link
        Pairs of rows (in either order) that are never in one group, not even through a third.

    Returns
    -------
    Groups of two and more rows, rows rising, groups in the order of their first row.
    """
    excluded: dict[int, set[int]] = {}
    for one, other in cannot_link:
        excluded.setdefault(one, set()).add(other)
        excluded.setdefault(other, set()).add(one)
    group = {row: {row} for row in range(count)}
    for pair in sorted(pairs, key=lambda pair: (-pair.cosine, pair.first, pair.second)):
        mine, theirs = group[pair.first], group[pair.second]
        if mine is theirs or any(excluded.get(row, set()) & theirs for row in mine):
            continue
        mine |= theirs
        for row in theirs:
            group[row] = mine
    return tuple(tuple(sorted(rows)) for row, rows in group.items() if len(rows) > 1 and row == min(rows))


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


def _pairs_between(
    start: int, held: Embeddings, after: int, block: Embeddings, threshold: float
) -> Iterator[Pair]:
    """Yield pairs of a held row and a later row of the block."""
    reach = min(len(held), after + len(block) - start)  # what lies behind the block met its rows already
    for offset in range(0, reach, _ROWS):
        cosines = held[offset : min(offset + _ROWS, reach)] @ block.T
        for row, column in zip(*np.nonzero(cosines >= threshold), strict=True):
            first, second = start + offset + int(row), after + int(column)
            if first < second:
                yield Pair(first, second, float(cosines[row, column]))
