"""Work on rows that do not depend on one another, on all cores.

In tiles of one shape, each held to one thread, the same rows give the same bits on any number of cores.
Within a tile some processors' BLAS adds up a row's last bits in an order that depends on the row's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.threads import on_all_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_IN_CACHE = 1 << 19
"""Numbers of a tile that stays in a core's cache from one step of the work to the next."""
_TALLEST = 4096
_TALLEST_WIDE = 512
_WIDE_NUMBERS = 1 << 22
"""Tiles of very wide rows leave the cache anyway; this many numbers keep matrix products worth while."""
_COLUMNS = 8192


def each_tile(
    rows: NDArray[np.float32], work: Callable[[slice, NDArray[np.float32]], None], answers: int = 0
) -> None:
    """Call ``work(place, tile)`` for tiles of one height, on all cores.

    Parameters
    ----------
    rows
        (N, D).
    work
        Given where the tile's rows lie among `rows`, and the tile, (height, D); the last tile is filled up
        with zeros. Called from several threads at once.
    answers
        How many numbers the work makes of a row: where they are many, tiles are lower.
    """
    height = _height(max(rows.shape[1], answers))

    def run(start: int) -> None:
        tile = rows[start : start + height]
        place = slice(start, start + len(tile))
        if len(tile) < height:
            tile = np.concatenate([tile, np.zeros((height - len(tile), tile.shape[1]), rows.dtype)])
        work(place, np.ascontiguousarray(tile))

    on_all_cores(run, range(0, len(rows), height))


def row_product(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply (N, D) `rows` by (D, d) `matrix`, each row independently of the others but for rounding."""
    product = np.empty((len(rows), matrix.shape[1]), np.float32)

    def multiply(place: slice, tile: NDArray[np.float32]) -> None:
        product[place] = (tile @ matrix)[: place.stop - place.start]

    each_tile(rows, multiply)
    return product


def row_norms(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the Euclidean length of each row: (N, D) float32 to (N,) float32."""
    squares = np.zeros(len(rows), np.float32)
    for start in range(0, rows.shape[1], _COLUMNS):  # of longer rows, one alone is summed in another order
        part = rows[:, start : start + _COLUMNS]
        squares += np.einsum("ij,ij->i", part, part)
    return np.asarray(np.sqrt(squares), np.float32)


def _height(width: int) -> int:
    width = max(width, 1)
    return max(min(_TALLEST, _IN_CACHE // width), min(_TALLEST_WIDE, _WIDE_NUMBERS // width), 1)
