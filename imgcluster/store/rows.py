"""Rows by key, embeddings or looks: written with a checksum each, never given out without looking at it."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import StoreError
from imgcluster.records import Embeddings, Keys, Progress
from imgcluster.store.schema import (
    CHECKSUMS,
    CORRUPTION,
    KEYS,
    ROWS_PER_CHUNK,
    corrupted,
    extend,
    values,
)

_SLAB_ROWS = 512
"""So few rows stay in the processor's cache between reading and checking them."""

_COPIED_ROWS = 1024

Item = TypeVar("Item")


def checksums(keys: Keys, embeddings: NDArray[Any]) -> NDArray[np.uint32]:
    """Return the crc32 of each key followed by its embedding, as stored: (N, 32), (N, D) to (N,)."""
    embeddings = np.ascontiguousarray(embeddings)
    pairs = zip(np.ascontiguousarray(keys), embeddings, strict=True)
    return np.fromiter((zlib.crc32(row, zlib.crc32(key)) for key, row in pairs), np.uint32, len(keys))


def append_rows(group: h5py.Group, keys: Keys, embeddings: NDArray[Any]) -> None:
    """Add rows, none of whose keys the group has. Keys come last: a row without a key is no row."""
    column = values(group)
    rows = np.asarray(embeddings, column.dtype)
    extend(column, rows)
    extend(group[CHECKSUMS], checksums(keys, rows))
    extend(group[KEYS], keys)


def copy_rows(
    source: h5py.Group, target: h5py.Group, rows: NDArray[np.int64], path: str, progress: Progress
) -> None:
    """Copy ascending rows of the store at `path` as they are, and count them.

    Raises
    ------
    StoreError
        One of them is damaged.
    """
    for _, keys, embeddings in verified_rows(source, rows, _COPIED_ROWS, path):
        append_rows(target, keys, embeddings)
        progress.advance(len(keys))


def read_slab(group: h5py.Group, start: int, stop: int) -> tuple[Keys, NDArray[Any], NDArray[np.bool_]]:
    """Read consecutive rows as stored, and whether each one's checksum is right."""
    keys = group[KEYS][start:stop]
    embeddings = values(group)[start:stop]
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


def verified_rows(
    group: h5py.Group, rows: NDArray[np.int64], longest: int, path: str
) -> Iterator[tuple[slice, Keys, NDArray[Any]]]:
    """Read ascending rows as stored, stretch by stretch: their place among `rows`, keys and embeddings.

    `path` is the store, for messages: HDF5 does not know it where it reads through the log.

    Raises
    ------
    StoreError
        A checksum is wrong; the message names store and key.
    """
    for start, stop, first, last in slabs(rows, longest) if len(rows) else ():
        try:
            keys, embeddings, sound = read_slab(group, start, stop)
        except CORRUPTION as error:
            raise corrupted(path, error) from error
        wanted = rows[first:last] - start
        if not sound[wanted].all():
            bad = wanted[~sound[wanted]]
            raise StoreError(
                f"{path}: {len(bad)} rows of {group.name} are damaged, the first belongs to the image "
                f"{keys[bad[0]].tobytes().hex()}: run `imgcluster store repair`"
            )
        if len(wanted) < stop - start:
            keys, embeddings = keys[wanted], embeddings[wanted]
        yield slice(first, last), keys, embeddings


def read_rows(group: h5py.Group, rows: NDArray[np.int64], path: str) -> NDArray[Any]:
    """Read ascending rows: (n,) to (n, D) float32, or (n,) looks. StoreError as of `verified_rows`."""
    column = values(group)
    result = np.empty((len(rows), *column.shape[1:]), column.dtype if column.dtype.names else np.float32)
    for place, _, embeddings in verified_rows(group, rows, _SLAB_ROWS, path):
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
    block_rows: int

    def blocks(self) -> Iterator[Embeddings]:
        """Yield (n, D) float32 blocks in the order of `keys`; the next ones are read meanwhile."""
        stretches = (
            self.rows[start : start + self.block_rows] for start in range(0, len(self.rows), self.block_rows)
        )
        return prefetch(read_rows(self.group, rows, self.path) for rows in stretches)


def prefetch(items: Iterator[Item], count: int = 4) -> Iterator[Item]:
    """Yield the items, none of them None; a thread makes up to `count` of them ahead."""
    with ThreadPoolExecutor(1, "prefetch") as reader:
        coming = deque(reader.submit(next, items, None) for _ in range(count))
        try:
            while (item := coming.popleft().result()) is not None:
                coming.append(reader.submit(next, items, None))
                yield item
        finally:
            for unwanted in coming:
                unwanted.cancel()
