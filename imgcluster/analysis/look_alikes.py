"""Images whose embeddings are alike, each with another that it is like, without ever holding all pairs.

Of each embedding a few numbers are held: its principal components, and how long the rest of it is. Two
embeddings lie at least as far apart as these do, so they sort out nearly all pairs, and only what may be
alike is read. That is little where the rows of a cell are looked at together: all are like the same others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from imgcluster.analysis.centroids import nearest_labels
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.embeddings import key_order
from imgcluster.analysis.kmeans import KMeansClusterer
from imgcluster.analysis.neighbour_graph import neighbour_graph
from imgcluster.analysis.parallel import on_all_cores
from imgcluster.analysis.pca import principal_components
from imgcluster.analysis.transforms import unit_length
from imgcluster.records import Embeddings, EmbeddingSource, Progress

MOST_COMPARED = 1_000_000
"""Of so many rows all pairs are compared; of more, those of a cell and of the cells nearest to it."""

_COMPONENTS = 128
_SAMPLED_ROWS = 2048
_ROUNDING = 1e-4  # of a cosine: more than the few numbers lose in float32
_HELD_BYTES = 256 << 20
_ROWS, _COLUMNS = 1024, 8192
_CELL_ROWS = 512
_FEWEST_CELLS = 8
_SAMPLED_PER_CELL = 32
_CELLS_BESIDE = 64

Embed = Callable[[NDArray[np.intp]], Embeddings]
"""Gives the embeddings of some rows, of unit length: (n,) to (n, D)."""


class Pair(NamedTuple):
    """Two rows, the second like the first, and the cosine of their embeddings."""

    first: int
    second: int
    cosine: float


def look_alikes(
    source: EmbeddingSource, embed: Embed, threshold: float, taken: NDArray[np.bool_], progress: Progress
) -> list[Pair]:
    """Find rows that are like an earlier one: `first` is never the second of another pair.

    Parameters
    ----------
    source
        N embeddings, all of which are read once.
    embed
        Those of some of its rows.
    threshold
        Smallest cosine, above 0.
    taken
        (N,): rows that have no part in it.
    """
    if not len(taken):
        return []
    numbers = _few_numbers(source, embed, progress)
    rows = np.flatnonzero(~taken & (numbers[:, -1] > 0))
    numbers = numbers[rows]
    cells = _Cells.of(numbers[:, :-2])
    rows, numbers = rows[cells.order], numbers[cells.order]
    search = _Search(numbers, rows, embed, threshold)
    tiles = list(_tiles(cells, all_pairs=len(rows) <= MOST_COMPARED))
    progress.begin("comparing embeddings", sum(tile.pairs for tile in tiles))
    part = max(_HELD_BYTES // (4 * source.dimension), 1)
    return [
        pair
        for _, some in groupby(tiles, lambda tile: tile.rows.start // part)
        for pair in search.compare(list(some), progress)
    ]


class _Tile(NamedTuple):
    """Places whose rows are compared with one another, and with all those of later places."""

    rows: range
    later: Sequence[range]

    @property
    def pairs(self) -> int:
        here = len(self.rows)
        return here * (here + 1) // 2 + here * sum(map(len, self.later))


def _tiles(cells: _Cells, *, all_pairs: bool) -> Iterator[_Tile]:
    for number, cell in enumerate(cells.places):
        beside = () if all_pairs else cells.beside(number)
        others = [cells.places[other] for other in beside if other > number]
        for start in range(cell.start, cell.stop, _ROWS):
            rows = range(start, min(start + _ROWS, cell.stop))
            end = len(cells.order) if all_pairs else cell.stop
            yield _Tile(rows, [range(rows.stop, end), *others])


def _few_numbers(source: EmbeddingSource, embed: Embed, progress: Progress) -> NDArray[np.float32]:
    """Give for each row u, -|u|² / 2, and 1, or 0 for zeros; |u - v| never exceeds the rows' distance."""
    progress.begin("reading the embeddings", len(source.keys))
    sample = embed(np.sort(key_order(source.keys)[:_SAMPLED_ROWS]))
    found = principal_components(sample, _COMPONENTS)
    mean, axes = found.mean.astype(np.float32), found.axes.astype(np.float32)
    numbers = np.empty((len(source.keys), len(axes) + 3), np.float32)
    start = 0
    for block in source.blocks():
        part = numbers[start : start + len(block)]
        rows = unit_length(block) - mean
        part[:, :-3] = rows @ axes.T
        rest = np.einsum("ij,ij->i", rows, rows) - np.einsum("ij,ij->i", part[:, :-3], part[:, :-3])
        part[:, -3] = np.sqrt(np.maximum(rest, 0))
        part[:, -2] = np.einsum("ij,ij->i", part[:, :-2], part[:, :-2]) / -2
        part[:, -1] = block.any(axis=1)
        start += len(block)
        progress.advance(len(block))
    return numbers


@dataclass(frozen=True)
class _Cells:
    """Rows by the centroid that is nearest to them.

    Attributes
    ----------
    order
        (N,) an order in which those of a cell are side by side.
    places
        Of each cell in that order.
    centroids
        (c, d).
    """

    order: NDArray[np.intp]
    places: Sequence[range]
    centroids: NDArray[np.float32]

    @classmethod
    def of(cls, points: NDArray[np.float32]) -> _Cells:
        """Make cells of some hundred of (N, d) points."""
        count = len(points) // _CELL_ROWS
        if count < _FEWEST_CELLS:
            return cls(np.arange(len(points)), [range(len(points))], points[:1])
        sample = np.ascontiguousarray(points[:: max(len(points) // (_SAMPLED_PER_CELL * count), 1)])
        one_run = KMeansClusterer("MiniBatchKMeans", ClusterSettings(count, restarts=1))
        _, model = one_run.fit(sample, np.ones(len(sample), np.int64))
        labels = nearest_labels(points, model.centroids)
        sizes = np.bincount(labels, minlength=len(model.centroids)).tolist()
        ends = np.cumsum(sizes).tolist()
        places = [range(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        return cls(np.argsort(labels, kind="stable"), places, model.centroids)

    def beside(self, number: int) -> NDArray[np.intp]:
        """Give the cells beside one: those whose centroids are the nearest, of either to the other."""
        return np.asarray(self._graph.indices[slice(*self._graph.indptr[number : number + 2])])

    @cached_property
    def _graph(self) -> csr_array:
        return neighbour_graph(self.centroids, _CELLS_BESIDE)


class _Search:
    """Finds, place by place, the rows that are like a free one before them; those are free no longer."""

    def __init__(
        self, numbers: NDArray[np.float32], rows: NDArray[np.intp], embed: Embed, threshold: float
    ) -> None:
        self._numbers, self._rows, self._embed, self._threshold = numbers, rows, embed, threshold
        self._free = np.ones(len(rows), np.bool_)

    def compare(self, tiles: Sequence[_Tile], progress: Progress) -> Iterator[Pair]:
        """Compare tiles that lie side by side; their embeddings are held, all others come by and by."""
        start, stop = tiles[0].rows.start, tiles[-1].rows.stop
        held = _Held(start, self._embed(self._rows[start:stop]))
        beyond = np.zeros(len(self._rows), np.bool_)
        for tile in tiles:
            yield from self._within(tile.rows, held)
            for places in _pieces(tile.later, 0, stop):
                later = np.arange(places.start, places.stop)
                yield from self._take(tile.rows, later, held.of(later), held)
        for tile in tiles:
            for alike in self._may_be_alike(tile.rows, _pieces(tile.later, stop, len(beyond))):
                beyond[alike] = True
            progress.advance(tile.pairs)
        seconds = np.flatnonzero(beyond)
        seconds = seconds[np.argsort(self._rows[seconds])]  # as they lie in the store
        for at in range(0, len(seconds), _COLUMNS):
            some = seconds[at : at + _COLUMNS]
            rows = self._embed(self._rows[some])
            for tile in tiles:
                yield from self._take(tile.rows, some, rows, held)

    def _within(self, places: range, held: _Held) -> Iterator[Pair]:
        """Let each free row of a tile take the later ones that are like it."""
        free = self._left(places)
        near = np.triu(self._bounded(free) @ self._numbers[free].T >= 0, 1)
        free = free[near.any(axis=0) | near.any(axis=1)]
        rows = held.of(free)
        alike = np.triu(rows @ rows.T >= self._threshold, 1)
        for first in np.flatnonzero(alike.any(axis=1)):
            if self._free[free[first]]:
                for second in np.flatnonzero(alike[first] & self._free[free]):
                    yield self._pair(free[first], free[second], rows[first] @ rows[second])

    def _take(
        self, places: range, seconds: NDArray[np.intp], rows: Embeddings, held: _Held
    ) -> Iterator[Pair]:
        """Let the free ones of (n,) later places go to the free row of a tile that they are most like."""
        firsts, free = self._left(places), np.flatnonzero(self._free[seconds])
        near = self._bounded(firsts) @ self._numbers[seconds[free]].T >= 0
        firsts, free = firsts[near.any(axis=1)], free[near.any(axis=0)]
        if not len(free):
            return
        cosines = held.of(firsts) @ rows[free].T
        nearest = cosines.argmax(axis=0)
        highest = cosines[nearest, np.arange(len(free))]
        for second in np.flatnonzero(highest >= self._threshold):
            yield self._pair(firsts[nearest[second]], seconds[free[second]], highest[second])

    def _may_be_alike(self, places: range, later: Iterable[range]) -> list[NDArray[np.intp]]:
        firsts = self._left(places)
        bounded = self._bounded(firsts)

        def look(some: range) -> NDArray[np.intp]:
            free = self._left(some)
            return free[(bounded @ self._numbers[free].T >= 0).any(axis=0)]

        return on_all_cores(look, later) if len(firsts) else []

    def _left(self, places: range) -> NDArray[np.intp]:
        return np.asarray(places.start + np.flatnonzero(self._free[places.start : places.stop]))

    def _bounded(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """Give what makes a product with others' numbers 0 at least where the two may be alike."""
        numbers = self._numbers[places]
        half_square = 1 - self._threshold + _ROUNDING  # of the distance of unit vectors
        return np.column_stack([numbers[:, :-2], numbers[:, -1], numbers[:, -2] + np.float32(half_square)])

    def _pair(self, first: np.intp, second: np.intp, cosine: np.float32) -> Pair:
        self._free[second] = False
        return Pair(int(self._rows[first]), int(self._rows[second]), float(cosine))


class _Held(NamedTuple):
    """Embeddings of the places from `start` on."""

    start: int
    rows: Embeddings

    def of(self, places: NDArray[np.intp]) -> Embeddings:
        return np.asarray(self.rows[places - self.start])


def _pieces(later: Iterable[range], start: int, stop: int) -> Iterator[range]:
    """Cut what lies from `start` to `stop` into pieces."""
    for places in later:
        end = min(places.stop, stop)
        for at in range(max(places.start, start), end, _COLUMNS):
            yield range(at, min(at + _COLUMNS, end))
