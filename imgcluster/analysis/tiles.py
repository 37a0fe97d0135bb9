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


def tiles(rows: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the rows in tiles of `ROWS`, the last one filled up with zeros; each with the rows' place."""
    for start in range(0, len(rows), ROWS):
        tile = rows[start : start + ROWS]
        place = slice(start, start + len(tile))
        if len(tile) < ROWS:
            tile = np.concatenate([tile, np.zeros((ROWS - len(tile), rows.shape[1]), rows.dtype)])
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
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows)), np.float32)
