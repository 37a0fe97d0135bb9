"""The feature store: embeddings by content, and what is known of the files they came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import StoreError
from imgcluster.records import (
    PICTURE,
    Embeddings,
    EmbeddingSource,
    FeatureSpace,
    Keys,
    Notify,
    Pictures,
    StoredSpace,
)
from imgcluster.store import schema
from imgcluster.store.key_index import KeyIndex
from imgcluster.store.migrations import schema_version
from imgcluster.store.path_table import PathTables
from imgcluster.store.reader import FeatureReader
from imgcluster.store.rows import Rows, StoredEmbeddings, all_rows
from imgcluster.store.schema import PICTURES, SPACES
from imgcluster.store.store_file import StoreFile


class FeatureStore(StoreFile, PathTables, FeatureReader):
    """A feature store, open for reading or as the one writer; a context manager.

    Embeddings by content, and with `PathTables` what is known of the files that they came from.

    Changes become permanent with `commit` and when the store is closed; after an exception in its ``with``
    block, what was not committed is gone. May be used from any one thread at a time.

    Parameters
    ----------
    path
        The file, usually ``features.h5``.
    mode
        ``r`` reads an existing store and writes nothing; ``a`` writes, and creates it.
    lock
        Whether to lock; only to be given up on file systems without locks.
    wait
        How many seconds to wait for another process that writes; a reader waits as well, for all of it.
    notify
        Takes one line that the user should read.

    Raises
    ------
    StoreLocked
        Another process writes this store.
    StoreError
        There is no store, or the file is not one, is damaged, or comes from a newer version.
    """

    def __init__(
        self,
        path: str | Path,
        mode: Literal["r", "a"] = "r",
        *,
        lock: bool = True,
        wait: float = 0.0,
        notify: Notify | None = None,
    ) -> None:
        StoreFile.__init__(self, path, write=mode == "a", lock=lock, wait=wait, notify=notify)
        PathTables.__init__(self, self.h5, self.path, self.transaction)
        FeatureReader.__init__(self)
        try:
            self._spaces = schema.read_spaces(self.h5, self.path)
        except BaseException:
            self.close(keep=False)
            raise

    @property
    def schema(self) -> int:
        """The version of the file's layout."""
        return schema_version(self.h5)

    @property
    def file_bytes(self) -> int:
        """How long the file is."""
        return os.path.getsize(self.path)

    # Feature spaces.

    @property
    def spaces(self) -> tuple[StoredSpace, ...]:
        """The feature spaces in the store, sorted by name."""
        return tuple(self._spaces[name] for name in sorted(self._spaces))

    def add_space(self, space: FeatureSpace, dimension: int, dtype: str = "float32") -> StoredSpace:
        """Return the feature space, making it if it is new; an existing one keeps its dtype.

        Raises
        ------
        StoreError
            It exists with another dimension.
        """
        stored = self._spaces.get(space.name)
        if stored is None:
            if dtype not in schema.EMBEDDING_DTYPES:
                raise StoreError(
                    f"embeddings are stored as {' or '.join(schema.EMBEDDING_DTYPES)}, not {dtype}"
                )
            stored = StoredSpace(space, 0, dimension, dtype)
            with self.transaction():
                schema.create_space(self.h5, stored)
            self._spaces[space.name] = stored
        if stored.dimension != dimension:
            raise StoreError(
                f"{self.path}: {space.name} has embeddings of {stored.dimension} numbers, not {dimension}: "
                "use another store"
            )
        return stored

    # Rows.

    def stored_keys(self, space: str) -> Keys:
        """Return all keys of a space in file order: (rows, 32) uint8."""
        return self._rows(space).keys()

    def append(self, space: str, keys: Keys, embeddings: Embeddings) -> None:
        """Add rows; they are durable after the next `commit`. Rows whose key is there already are left out.

        Parameters
        ----------
        space
            Name of a space in the store.
        keys
            (N, 32) uint8.
        embeddings
            (N, D) float32.
        """
        stored = self.find_space(name=space)
        if keys.dtype != np.uint8 or keys.shape != (len(keys), schema.KEY_BYTES):
            raise ValueError(f"keys are (N, 32) uint8, not {keys.shape} {keys.dtype}")
        if embeddings.shape != (len(keys), stored.dimension):
            raise ValueError(f"embeddings are ({len(keys)}, {stored.dimension}), not {embeddings.shape}")
        new = self._append(self._rows(space), self._index(space), keys, embeddings)
        self._spaces[space] = replace(stored, rows=stored.rows + new)

    def _append(self, rows: Rows, index: KeyIndex, keys: Keys, values: NDArray[Any]) -> int:
        """Add the rows whose keys are new, the first of each, and count them."""
        first = np.sort(np.unique(keys, axis=0, return_index=True)[1])
        new = first[index.find(keys[first]) < 0]
        if len(new):
            with self.transaction():
                rows.append(keys[new], values[new])
            index.add(keys[new])
        return len(new)

    def rows_at(self, space: str, rows: NDArray[np.int64]) -> Embeddings:
        """Read rows by their numbers, ascending: (n,) to (n, D) float32."""
        return self._rows(space).read(rows)

    def lying_at(self, space: str, rows: NDArray[np.int64]) -> list[tuple[str, NDArray[np.int64]]]:
        """Give this store, and the rows as they are."""
        self.find_space(name=space)
        return [(self.path, rows)]

    def source_at(self, space: str, rows: NDArray[np.int64], block_rows: int) -> EmbeddingSource:
        """Return rows by their numbers, ascending, block by block."""
        own = self._rows(space)
        return StoredEmbeddings(own.keys()[rows], self._spaces[space].dimension, own, rows, block_rows)

    # What images look like.

    def pictures(self, keys: Keys) -> tuple[Pictures, NDArray[np.bool_]]:
        """Return how the images of (N, 32) keys look, (N,), and of which of them that is known."""
        pictures, known = np.zeros(len(keys), PICTURE), np.zeros(len(keys), np.bool_)
        kept = all_rows(self.h5, self.path).get(PICTURES)
        if kept is not None:  # a store of an earlier version has none
            rows = KeyIndex(kept.keys()).find(keys)
            known = np.asarray(rows >= 0)
            wanted, places = np.unique(rows[known], return_inverse=True)
            pictures[known] = kept.read(wanted)[places]
        return pictures, known

    def record_pictures(self, pictures: Mapping[bytes, Pictures]) -> None:
        """Keep how images look, by their keys; those that are known stay as they are."""
        if not pictures:
            return
        rows = Rows(self.h5[PICTURES], self.path)
        if PICTURES not in self._indices:
            self._indices[PICTURES] = KeyIndex(rows.keys())
        keys = np.frombuffer(b"".join(pictures), np.uint8).reshape(-1, schema.KEY_BYTES)
        self._append(rows, self._indices[PICTURES], keys, np.stack([*pictures.values()]))

    def _rows(self, space: str) -> Rows:
        return Rows(self.h5[SPACES][self.find_space(name=space).name], self.path)
