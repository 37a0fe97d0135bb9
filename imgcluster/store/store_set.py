"""A set of stores, such as the shards that many machines wrote, read where they lie as if they were one."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import StoreError
from imgcluster.files import lies_below
from imgcluster.records import (
    Embeddings,
    EmbeddingSource,
    Failure,
    Keys,
    Notify,
    PathEntry,
    Pictures,
    Run,
    StoredSpace,
)
from imgcluster.store.latest import Latest
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store import FeatureStore

_MEMBER = re.compile(r"(.*?)(\d{1,9})-of-(\d{1,9})(.*)", re.DOTALL)
_BESIDE_STORE = re.compile(r"\.(lock|wal[01]|inflight|damaged\d*)$")


class StoreSet(FeatureReader):
    """Several stores as one: of equal keys the first store's row counts, of a path what was read last.

    Rows are counted through all stores.

    Raises
    ------
    StoreError
        Two stores keep one feature space in different ways.
    """

    def __init__(self, path: str, stores: Sequence[FeatureReader]) -> None:
        super().__init__()
        self.path = path
        self._stores = tuple(stores)
        self._holders: dict[str, list[FeatureReader]] = defaultdict(list)
        kinds: dict[str, tuple[str, StoredSpace]] = {}
        for store in stores:
            for found in store.spaces:
                self._holders[found.name].append(store)
                where, first = kinds.setdefault(found.name, (store.path, found))
                if (found.dimension, found.dtype) != (first.dimension, first.dtype):
                    raise StoreError(
                        f"{store.path}: {found.name} has {found.dimension} numbers of {found.dtype}, in "
                        f"{where} {first.dimension} of {first.dtype}: such stores are no set"
                    )

    @property
    def schema(self) -> int:
        """The oldest version among the stores."""
        return min(store.schema for store in self._stores)

    @property
    def file_bytes(self) -> int:
        """How long the files are together."""
        return sum(store.file_bytes for store in self._stores)

    @cached_property
    def spaces(self) -> tuple[StoredSpace, ...]:
        """The feature spaces of all stores, sorted by name; a key that several hold is one row."""
        return tuple(
            replace(holders[0].find_space(name=name), rows=len(self.keys(name)))
            for name, holders in sorted(self._holders.items())
        )

    def paths(self) -> tuple[PathEntry, ...]:
        """Return the latest that any store knows of each path, sorted by the paths' bytes."""
        return self._latest.entries()

    def failures(self) -> tuple[Failure, ...]:
        """Return the latest failure of each path that no store has read since, sorted by the paths' bytes."""
        return self._latest.failures()

    @cached_property
    def _latest(self) -> Latest:
        latest = Latest()
        for store in self._stores:
            latest.learn(store.paths(), store.failures())
        return latest

    def scanned_folders(self) -> tuple[str, ...]:
        """Return the folders that were scanned for any of the stores, sorted."""
        folders = {folder for store in self._stores for folder in store.scanned_folders()}
        return tuple(sorted(folders, key=os.fsencode))

    def runs(self) -> tuple[Run, ...]:
        """Return the runs of all stores, oldest first."""
        runs = (run for store in self._stores for run in store.runs())
        return tuple(sorted(runs, key=lambda run: run.started))

    def pictures(self, keys: Keys) -> tuple[Pictures, NDArray[np.bool_]]:
        """Return how images look, as the first store says that knows, and of which of them that is known."""
        pictures, known = self._stores[0].pictures(keys)
        for store in self._stores[1:]:
            unknown = np.flatnonzero(~known)
            pictures[unknown], known[unknown] = store.pictures(keys[unknown])
        return pictures, known

    @cached_property
    def picture_keys(self) -> dict[bytes, bytes]:
        """The digest of what makes the picture, for each key of which any store knows it."""
        return {key: digest for store in self._stores[::-1] for key, digest in store.picture_keys.items()}

    def stored_keys(self, space: str) -> Keys:
        """Return the key of each row of each store."""
        self._require(space)
        return np.concatenate([store.stored_keys(space) for store in self._holders[space]])

    def keys(self, space: str) -> Keys:
        """Return the distinct keys of a space, store by store."""
        keys = self.stored_keys(space)
        distinct: Keys = keys[self._index(space).find(keys) == np.arange(len(keys))]
        return distinct

    def rows_at(self, space: str, rows: NDArray[np.int64]) -> Embeddings:
        """Read rows by their numbers, ascending: (n,) to (n, D) float32."""
        return np.concatenate([store.rows_at(space, own) for store, own in self._parts(space, rows)])

    def source_at(self, space: str, rows: NDArray[np.int64], block_rows: int) -> EmbeddingSource:
        """Return rows by their numbers, ascending, block by block."""
        parts = self._parts(space, rows)
        return _Joined(tuple(store.source_at(space, own, block_rows) for store, own in parts))

    def lying_at(self, space: str, rows: NDArray[np.int64]) -> list[tuple[str, NDArray[np.int64]]]:
        """Give for ascending rows the stores that they lie in, and their numbers there."""
        parts = self._parts(space, rows)
        return [part for store, own in parts if len(own) for part in store.lying_at(space, own)]

    def _parts(self, space: str, rows: NDArray[np.int64]) -> list[tuple[FeatureReader, NDArray[np.int64]]]:
        """Give the rows of each store, counted as the store does."""
        self._require(space)
        parts, start = [], 0
        for store in self._holders[space]:
            count = store.find_space(name=space).rows
            first, last = np.searchsorted(rows, (start, start + count))
            parts.append((store, rows[first:last] - start))
            start += count
        return parts

    def _require(self, space: str) -> None:
        if space not in self._holders:
            self.find_space(name=space)  # says which ones there are


@dataclass(frozen=True, eq=False)
class _Joined:
    """One source after the other (an `EmbeddingSource`)."""

    parts: tuple[EmbeddingSource, ...]

    @cached_property
    def keys(self) -> Keys:
        return np.concatenate([part.keys for part in self.parts])

    @property
    def dimension(self) -> int:
        return self.parts[0].dimension

    def blocks(self) -> Iterator[Embeddings]:
        for part in self.parts:
            yield from part.blocks()


@contextmanager
def open_features(
    *stores: str,
    lock: bool = True,
    partial: bool = False,
    wait: float = 0.0,
    notify: Notify | None = None,
) -> Iterator[FeatureReader]:
    """Open for reading what names and patterns stand for: one store, or a set of them.

    Raises
    ------
    StoreError
        A store is missing, damaged or cannot be read, or does not fit the others.
    """
    paths = find_stores(*stores, partial=partial)
    with ExitStack() as opened:
        found = [
            opened.enter_context(FeatureStore(path, lock=lock, wait=wait, notify=notify)) for path in paths
        ]
        yield found[0] if [*paths] == [*stores] and len(paths) == 1 else StoreSet(" ".join(stores), found)


def find_stores(*stores: str, partial: bool = False) -> tuple[str, ...]:
    """List the stores that names and patterns such as ``shards/*.h5`` stand for, each once.

    Raises
    ------
    StoreError
        A pattern stands for none; or, without `partial`, names say that they are some of a number of stores,
        and others of these are missing.
    """
    paths: dict[str, str] = {}
    for name in stores:
        found = [name]
        if is_pattern(name):
            found = _matches(name)
            if not partial:
                _refuse_gaps(name, found)
        for path in found:
            paths.setdefault(os.path.realpath(path), path)
    return tuple(paths.values())


def is_pattern(name: str) -> bool:
    """Whether a name stands for a set of stores: it has ``*``, ``?`` or ``[`` in it, and no file has it."""
    return glob.has_magic(name) and not os.path.lexists(name)


def _matches(pattern: str) -> list[str]:
    found = filter(os.path.isfile, glob.iglob(pattern, recursive=True))
    stores = sorted((path for path in found if not _BESIDE_STORE.search(path)), key=os.fsencode)
    if not stores:
        raise StoreError(
            f"no feature store matches {pattern}: run `imgcluster extract` first, or name others"
        )
    # Nobody typed these names: a link among them could make any store a part of the set.
    typed = os.path.realpath(os.path.dirname(re.split(r"[*?[]", pattern, maxsplit=1)[0]))
    for path in stores:
        if not lies_below(target := os.path.realpath(path), [typed]):
            raise StoreError(
                f"{path} leads out of {typed}, to {target}: name a pattern for that place, if it is meant"
            )
    return stores


def _refuse_gaps(pattern: str, paths: Iterable[str]) -> None:
    """Refuse a set whose names say, as ``features-3-of-16.h5`` does, that some of it are missing."""
    families: dict[tuple[str, int, str], list[tuple[str, int]]] = defaultdict(list)
    for path in paths:
        folder, name = os.path.split(path)
        member = _MEMBER.fullmatch(name)
        if member:
            families[member[1], int(member[3]), member[4]].append((folder, int(member[2])))
    for (head, count, tail), members in families.items():
        numbers = {number for _, number in members}
        # Each machine may have a folder of its own, or each folder a set of its own.
        folders = [None] if len(numbers) == len(members) else sorted({folder for folder, _ in members})
        for chosen in folders:
            there = {number for folder, number in members if chosen in (None, folder)}
            missing = next((number for number in range(1, count + 1) if number not in there), None)
            if missing is not None:
                name = os.path.join(chosen or members[0][0], f"{head}{missing}-of-{count}{tail}")
                raise StoreError(
                    f"{pattern} lacks {name}, and so a part of the images: make it with "
                    f"`imgcluster extract --shard {missing}/{count}`, or go on without it by --partial"
                )
