"""Rows by key, embeddings or looks: written with a checksum each, never given out without looking at it."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
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
    EMBEDDINGS,
    KEYS,
    LOOKS,
    PICTURES,
    ROWS_PER_CHUNK,
    SPACES,
    corrupted,
    create_space,
    extend,
    open_pictures,
    read_columns,
    read_spaces,
)

_SLAB_ROWS = 512
"""So few rows stay in the processor's cache between reading and checking them."""

_COPIED_ROWS = 1024

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a feature space, or of what images look like.

    Attributes
    ----------
    group
        As HDF5 has them.
    path
        The store, for messages: HDF5 does not know it where it reads through the log.
    """

    group: h5py.Group = field(repr=False)
    path: str

    @property
    def name(self) -> str:
        """Of the feature space, or `PICTURES`."""
        return str(self.group.name).rpartition("/")[2]

    @property
    def _values(self) -> h5py.Dataset:
        return self.group[LOOKS if self.name == PICTURES else EMBEDDINGS]

    def __len__(self) -> int:
        return len(self.group[KEYS])

    def keys(self) -> Keys:
        """Read all keys: (rows, 32) uint8. StoreError where that cannot be."""
        try:
            keys: Keys = self.group[KEYS][:]
        except CORRUPTION as error:
            raise corrupted(self.path, error) from error
        return keys

    def append(self, keys: Keys, rows: NDArray[Any]) -> None:
        """Add rows, none of whose keys is there. Keys come last: a row without a key is no row."""
        with np.errstate(over="ignore"):  # float16: left out later, with advice
            rows = np.asarray(rows, self._values.dtype)
        extend(self._values, rows)
        extend(self.group[CHECKSUMS], _checksums(keys, rows))
        extend(self.group[KEYS], keys)

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read ascending rows: (n,) to (n, D) float32, or (n,) looks. StoreError as of `verified`."""
        column = self._values
        dtype = column.dtype if self.name == PICTURES else np.dtype(np.float32)
        result = np.empty((len(rows), *column.shape[1:]), dtype)
        for place, _, read in self.verified(rows, _SLAB_ROWS):
            result[place] = read
        return result

    def copy_to(self, target: Rows, rows: NDArray[np.int64], progress: Progress) -> None:
        """Copy ascending rows as they are, and count them. StoreError as of `verified`."""
        for _, keys, read in self.verified(rows, _COPIED_ROWS):
            target.append(keys, read)
            progress.advance(len(keys))

    def verified(self, rows: NDArray[np.int64], longest: int) -> Iterator[tuple[slice, Keys, NDArray[Any]]]:
        """Read ascending rows as stored, stretch by stretch: their place among `rows`, their keys, the rows.

        Raises
        ------
        StoreError
            A checksum is wrong; the message names store and key.
        """
        for start, stop, first, last in _stretches(rows, longest) if len(rows) else ():
            try:
                keys, read, sound = self.slab(start, stop)
            except CORRUPTION as error:
                raise corrupted(self.path, error) from error
            wanted = rows[first:last] - start
            if not sound[wanted].all():
                bad = wanted[~sound[wanted]]
                raise StoreError(
                    f"{self.path}: {len(bad)} rows of {self.group.name} are damaged, the first belongs to "
                    f"the image {keys[bad[0]].tobytes().hex()}: run `imgcluster store repair`"
                )
            if len(wanted) < stop - start:
                keys, read = keys[wanted], read[wanted]
            yield slice(first, last), keys, read

    def slab(self, start: int, stop: int) -> tuple[Keys, NDArray[Any], NDArray[np.bool_]]:
        """Read consecutive rows as stored, and whether each one's checksum is right."""
        keys, rows = self.group[KEYS][start:stop], self._values[start:stop]
        return keys, rows, _checksums(keys, rows) == self.group[CHECKSUMS][start:stop]


def all_rows(file: h5py.File, path: str) -> dict[str, Rows]:
    """Open the rows of each feature space, and of what images look like where that is kept, by name.

    StoreError where they are not as they are made here.
    """
    found = {name: Rows(file[SPACES][name], path) for name in read_spaces(file, path)}
    try:
        pictures = open_pictures(file)
    except CORRUPTION as error:
        raise corrupted(path, error) from error
    return found if pictures is None else found | {PICTURES: Rows(pictures, path)}


def rows_like(file: h5py.File, path: str, like: Rows) -> Rows:
    """Open the rows of the same name in another store; a new feature space is as that of `like`."""
    if like.name == PICTURES:
        return Rows(file[PICTURES], path)
    return Rows(create_space(file, read_columns(like.group)[0]), path)


def _checksums(keys: Keys, rows: NDArray[Any]) -> NDArray[np.uint32]:
    """Return the crc32 of each key followed by its row, as stored: (N, 32), (N, …) to (N,)."""
    pairs = zip(np.ascontiguousarray(keys), np.ascontiguousarray(rows), strict=True)
    return np.fromiter((zlib.crc32(row, zlib.crc32(key)) for key, row in pairs), np.uint32, len(keys))


def _stretches(rows: NDArray[np.int64], longest: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut ascending rows into stretches worth reading at once, without a whole unused chunk.

    Yields the rows to read, from `start` to `stop`, and that ``rows[first:last]`` lie in there.
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


@dataclass(frozen=True, eq=False)
class StoredEmbeddings:
    """Embeddings that are read from the store again each time (an `EmbeddingSource`)."""

    keys: Keys
    dimension: int
    _rows: Rows = field(repr=False)
    _numbers: NDArray[np.int64] = field(repr=False)
    _block_rows: int

    def blocks(self) -> Iterator[Embeddings]:
        """Yield (n, D) float32 blocks in the order of `keys`; the next ones are read meanwhile."""
        count, size = len(self._numbers), self._block_rows
        stretches = (self._numbers[start : start + size] for start in range(0, count, size))
        return prefetch(map(self._rows.read, stretches))


def prefetch(items: Iterator[Item], count: int = 4) -> Iterator[Item]:
    """Yield the items, none of them None; a thread makes up to `count` of them ahead."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "prefetch") as reader:
        coming = deque(reader.submit(next, items, None) for _ in range(count))
        try:
            while (item := coming.popleft().result()) is not None:
                coming.append(reader.submit(next, items, None))
                yield item
        finally:
            for unwanted in coming:
                unwanted.cancel()
