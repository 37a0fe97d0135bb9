"""Matrix products whose rows do not depend on their neighbours.

BLAS treats the rows at a matrix's edge differently from those inside, so that the last bits of a row's
product change with the number of rows beside it. In tiles of one fixed shape, held to one thread, every row
meets the same arithmetic: an image assigned alone gets exactly what it got among a million others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ROWS = 512
_NUMBERS = ROWS * 8192
"""Tiles of wider rows are lower: filled up with zeros, a few rows would take as long as hundreds."""
_COLUMNS = 8192


def tiles(rows: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the rows in tiles of one height, the last one filled up with zeros; each with the rows' place."""
    width = rows.shape[1]
    height = min(ROWS, max(_NUMBERS // max(width, 1), 1))
    for start in range(0, len(rows), height):
        tile = rows[start : start + height]
        place = slice(start, start + len(tile))
        if len(tile) < height:
            tile = np.concatenate([tile, np.zeros((height - len(tile), width), rows.dtype)])
        yield place, np.ascontiguousarray(tile)


def row_product(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply (N, D) `rows` by (D, d) `matrix`, each row independently of the others to the last bit."""
    product = np.empty((len(rows), matrix.shape[1]), np.float32)
    with one_thread():
        for place, tile in tiles(rows):
            product[place] = (tile @ matrix)[: place.stop - place.start]
    return product


def row_norms(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the Euclidean length of each row: (N, D) float32 to (N,) float32."""
    squares = np.zeros(len(rows), np.float32)
    for start in range(0, rows.shape[1], _COLUMNS):  # of longer rows, one alone is summed in another order
        part = rows[:, start : start + _COLUMNS]
        squares += np.einsum("ij,ij->i", part, part)
    return np.asarray(np.sqrt(squares), np.float32)
