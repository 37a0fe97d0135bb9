"""Rows of a feature space: written with a checksum each, never given out without looking at it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import StoreError
from imgcluster.store.damage import DAMAGE, damaged
from imgcluster.store.read_ahead import read_ahead
from imgcluster.store.schema import CHECKSUMS, EMBEDDINGS, KEYS, ROWS_PER_CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    from numpy.typing import NDArray

    from imgcluster.records import Embeddings, Keys


_SLAB_ROWS = 512
"""So few rows stay in the processor's cache between reading and checking them."""


def checksums(keys: Keys, embeddings: NDArray[np.floating]) -> NDArray[np.uint32]:
    """Return the crc32 of each key followed by its embedding, as stored: (N, 32), (N, D) to (N,)."""
    embeddings = np.ascontiguousarray(embeddings)
    pairs = zip(np.ascontiguousarray(keys), embeddings, strict=True)
    return np.fromiter((zlib.crc32(row, zlib.crc32(key)) for key, row in pairs), np.uint32, len(keys))


def append_rows(group: h5py.Group, keys: Keys, embeddings: Embeddings) -> None:
    """Add rows, none of whose keys the group has. Keys come last: a row without a key is no row."""
    columns = group[EMBEDDINGS]
    rows = np.asarray(embeddings, columns.dtype)
    start = len(columns)
    for name, values in ((EMBEDDINGS, rows), (CHECKSUMS, checksums(keys, rows)), (KEYS, keys)):
        dataset = group[name]
        dataset.resize(start + len(keys), axis=0)
        dataset[start:] = values


def read_slab(
    group: h5py.Group, start: int, stop: int
) -> tuple[Keys, NDArray[np.floating], NDArray[np.bool_]]:
    """Read consecutive rows as stored, and whether each one's checksum is right."""
    keys = group[KEYS][start:stop]
    embeddings = group[EMBEDDINGS][start:stop]
    return keys, embeddings, checksums(keys, embeddings) == group[CHECKSUMS][start:stop]


def slabs(rows: NDArray[np.int64], longest: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut ascending rows into stretches worth reading at once.

    Yields
    ------
    start, stop
        Rows to read, at most `longest` of them, without a whole unused chunk.
    first, last
        Which of `rows` lie in there: ``rows[first:last]``.
    """
    longest = max(1, longest // ROWS_PER_CHUNK) * ROWS_PER_CHUNK
    gaps = np.flatnonzero(np.diff(rows // ROWS_PER_CHUNK) > 1) + 1
    for left, right in zip([0, *gaps.tolist()], [*gaps.tolist(), len(rows)], strict=True):
        first = left
        while first < right:
            start = int(rows[first])
            last = int(np.searchsorted(rows[:right], start // ROWS_PER_CHUNK * ROWS_PER_CHUNK + longest))
            yield start, int(rows[last - 1]) + 1, first, last
            first = last


def sound_rows(
    group: h5py.Group, rows: NDArray[np.int64], longest: int, path: str
) -> Iterator[tuple[slice, Keys, NDArray[np.floating]]]:
    """Read ascending rows as stored, stretch by stretch: their place among `rows`, keys and embeddings.

    `path` is the store, for messages: HDF5 does not know it where it reads through the page log.

    Raises
    ------
    StoreError
        A checksum is wrong; the message names store and key.
    """
    for start, stop, first, last in slabs(rows, longest) if len(rows) else ():
        try:
            keys, embeddings, sound = read_slab(group, start, stop)
        except DAMAGE as error:
            raise damaged(path, error) from error
        wanted = rows[first:last] - start
        if not sound[wanted].all():
            bad = wanted[~sound[wanted]]
            raise StoreError(
                f"{path}: {len(bad)} embeddings are damaged, the first belongs to the image "
                f"{keys[bad[0]].tobytes().hex()}: run `imgcluster store repair`"
            )
        if len(wanted) < stop - start:
            keys, embeddings = keys[wanted], embeddings[wanted]
        yield slice(first, last), keys, embeddings


def read_rows(group: h5py.Group, rows: NDArray[np.int64], path: str) -> Embeddings:
    """Read ascending rows: (n,) to (n, D) float32. Raises StoreError as `sound_rows` does."""
    result = np.empty((len(rows), group[EMBEDDINGS].shape[1]), np.float32)
    for place, _, embeddings in sound_rows(group, rows, _SLAB_ROWS, path):
        result[place] = embeddings
    return result


@dataclass(frozen=True, eq=False)
class StoredEmbeddings:
    """Embeddings that are read from the store again each time (an `EmbeddingSource`)."""

    keys: Keys
    dimension: int
    group: h5py.Group = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)
    path: str
    block_rows: int = 1 << 13

    def blocks(self) -> Iterator[Embeddings]:
        """Yield (n, D) float32 blocks in the order of `keys`; the next ones are read meanwhile."""
        stretches = (
            self.rows[start : start + self.block_rows] for start in range(0, len(self.rows), self.block_rows)
        )
        return read_ahead(read_rows(self.group, rows, self.path) for rows in stretches)
