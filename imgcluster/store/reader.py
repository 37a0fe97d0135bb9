"""What a command that reads embeddings needs, be it one store or a set of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import overload

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import StoreError
from imgcluster.records import (
    Embeddings,
    EmbeddingSource,
    Failure,
    FeatureSpace,
    Keys,
    PathEntry,
    Pictures,
    Run,
    StoredSpace,
)
from imgcluster.store.key_index import KeyIndex
from imgcluster.typed import did_you_mean


class FeatureReader(ABC):
    """Embeddings by content, and what is known of the files that they came from, for reading.

    Attributes
    ----------
    path
        The store, absolute, or the pattern that stands for a set.
    """

    path: str

    def __init__(self) -> None:
        self._indices: dict[str, KeyIndex] = {}

    @property
    @abstractmethod
    def schema(self) -> int:
        """The version of the layout; of a set, the oldest."""

    @property
    @abstractmethod
    def file_bytes(self) -> int:
        """How long the files are."""

    @property
    @abstractmethod
    def spaces(self) -> tuple[StoredSpace, ...]:
        """The feature spaces, sorted by name."""

    @abstractmethod
    def paths(self) -> tuple[PathEntry, ...]:
        """Return the latest entry of each path, absolute, sorted by the paths' bytes."""

    @abstractmethod
    def failures(self) -> tuple[Failure, ...]:
        """Return the latest failure of each path that has not been read since, sorted by the paths' bytes."""

    @abstractmethod
    def scanned_folders(self) -> tuple[str, ...]:
        """Return the folders that were ever scanned, sorted."""

    @abstractmethod
    def runs(self) -> tuple[Run, ...]:
        """Return the runs, oldest first."""

    @abstractmethod
    def pictures(self, keys: Keys) -> tuple[Pictures, NDArray[np.bool_]]:
        """Return how the images of (N, 32) keys look, (N,), and of which of them that is known."""

    @property
    @abstractmethod
    def picture_keys(self) -> dict[bytes, bytes]:
        """The digest of what makes the picture, for each key of which it is known; empty: it has none."""

    @abstractmethod
    def stored_keys(self, space: str) -> Keys:
        """Return the key of each row: (rows, 32) uint8; a set of stores may hold one several times."""

    @abstractmethod
    def rows_at(self, space: str, rows: NDArray[np.int64]) -> Embeddings:
        """Read rows by their numbers, ascending: (n,) to (n, D) float32. StoreError where one is damaged."""

    @abstractmethod
    def source_at(self, space: str, rows: NDArray[np.int64], block_rows: int) -> EmbeddingSource:
        """Return rows by their numbers, ascending, block by block."""

    @abstractmethod
    def lying_at(self, space: str, rows: NDArray[np.int64]) -> list[tuple[str, NDArray[np.int64]]]:
        """Give for ascending rows the stores that they lie in, and their numbers there."""

    def find_space(
        self, *, name: str | None = None, network: str | None = None, space: FeatureSpace | None = None
    ) -> StoredSpace:
        """Return the one feature space that fits what is given; with nothing given, the only one there is.

        Raises
        ------
        StoreError
            None fits, or several; the message lists those that are there.
        """
        found = [
            stored
            for stored in self.spaces
            if name in (None, stored.name)
            and network in (None, stored.space.network)
            and space in (None, stored.space)
        ]
        if len(found) == 1:
            return found[0]
        wanted = name or network or (space.name if space else None)
        listed = ", ".join(f"{s.name} ({s.rows} rows)" for s in found or self.spaces)
        if found:
            raise StoreError(
                f"{self.path} has several feature spaces, name one with --space "
                f"(or --network, where several are joined): {listed}"
            )
        if not listed:
            raise StoreError(f"{self.path} holds no embeddings yet: run `imgcluster extract` first")
        named = sorted({known for each in self.spaces for known in (each.space.network, each.name)})
        raise StoreError(
            f"{self.path} has no feature space {wanted}{did_you_mean(str(wanted), named)}, only {listed}: "
            "choose one with --space, or run `imgcluster extract` for the missing one"
        )

    def keys(self, space: str) -> Keys:
        """Return the distinct keys of a space in file order: (rows, 32) uint8."""
        return self.stored_keys(space)

    def contains(self, space: str, keys: Keys) -> NDArray[np.bool_]:
        """Tell which keys have an embedding: (N, 32) uint8 to (N,) bool."""
        return self._index(space).find(keys) >= 0

    @overload
    def read(self, space: str, keys: Keys) -> Embeddings: ...
    @overload
    def read(
        self, space: str | None = None, keys: None = None
    ) -> tuple[tuple[str, ...], Keys, Embeddings]: ...
    def read(
        self, space: str | None = None, keys: Keys | None = None
    ) -> Embeddings | tuple[tuple[str, ...], Keys, Embeddings]:
        """Read embeddings: those of `keys`, else all of a space together with the files that they are of.

        Parameters
        ----------
        space
            A name; None: the only one.
        keys
            (N, 32) uint8.

        Returns
        -------
        (N, D) float32 in the order of `keys`; or, for the N known files sorted by their paths, (paths, keys,
        embeddings): a tuple of absolute paths, (N, 32) uint8 and (N, D) float32.

        Raises
        ------
        StoreError
            A key has no embedding, its checksum is wrong, or there is no such space.
        """
        if space is None or keys is None:
            return self._read_files(self.find_space(name=space).name)
        rows, places = np.unique(self.rows_of(space, keys), return_inverse=True)
        return self.rows_at(space, rows)[places.reshape(-1)]

    def _read_files(self, space: str) -> tuple[tuple[str, ...], Keys, Embeddings]:
        known = frozenset(map(bytes, self.keys(space)))
        files = [entry for entry in self.paths() if entry.key in known]
        keys = np.frombuffer(b"".join(entry.key for entry in files), np.uint8).reshape(-1, 32)
        return tuple(entry.path for entry in files), keys, self.read(space, keys)

    def source(self, space: str, keys: Keys, block_bytes: int = 16 << 20) -> EmbeddingSource:
        """Return the embeddings of distinct keys block by block, in file order (see the source's own keys).

        A block takes about `block_bytes` as float32.
        """
        rows = np.unique(self.rows_of(space, keys))
        return self.source_at(space, rows, max(1, block_bytes // (4 * self.find_space(name=space).dimension)))

    def rows_of(self, space: str, keys: Keys) -> NDArray[np.int64]:
        """Give the number of each key's row: (N, 32) uint8 to (N,). StoreError where one has none."""
        rows = self._index(space).find(keys)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            raise StoreError(
                f"{self.path}: {space} lacks the embeddings of {len(missing)} of {len(keys)} images, first "
                f"{keys[missing[0]].tobytes().hex()}: run `imgcluster extract` on them"
            )
        return rows

    def _index(self, space: str) -> KeyIndex:
        if space not in self._indices:
            self._indices[space] = KeyIndex(self.stored_keys(space))
        return self._indices[space]
