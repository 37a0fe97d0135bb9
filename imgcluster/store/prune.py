"""Giving back the space of what is gone; never by itself, and never for a drive that is only unplugged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np

from imgcluster.errors import StoreError
from imgcluster.store import migrations, schema
from imgcluster.store.copying import copy_rows, copy_tables
from imgcluster.store.key_index import KeyIndex
from imgcluster.store.opening import StoreFile, replacement
from imgcluster.store.path_table import PathTables, home
from imgcluster.store.schema import KEYS, SPACES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from imgcluster.records import Notify


@dataclass(frozen=True)
class Pruned:
    """How many rows and paths went, and the store's size before and after."""

    rows: int
    paths: int
    bytes_before: int
    bytes_after: int


def prune(
    path: str,
    *,
    moved: Sequence[tuple[str, bytes]] = (),
    force: bool = False,
    lock: bool = True,
    notify: Notify | None = None,
) -> Pruned:
    """Remove paths that are gone and rows that no path leads to; the file is rewritten and shrinks.

    Parameters
    ----------
    moved
        Path and key of images that lie elsewhere now: paths and rows are kept.

    Raises
    ------
    StoreError
        A scanned folder is missing or most rows would go, and there is no `force`; or the store is being read
        or written.
    """
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise StoreError(f"no feature store at {path}: run `imgcluster extract` first")
    file = StoreFile(path, write=True, lock=lock, notify=notify)
    try:
        tables = PathTables(file.h5, home(path))
        elsewhere = {path for path, _ in moved}
        kept = [entry for entry in tables.paths() if entry.path in elsewhere or os.path.lexists(entry.path)]
        keys = {key for _, key in moved} | {entry.key for entry in kept}
        rows = _rows_to_keep(file.h5, keys)
        total = sum(len(group[KEYS]) for group in file.h5[SPACES].values())
        going = total - sum(map(len, rows.values()))
        if not force:
            _refuse_doubtful(path, tables, going, total)
        names = {entry.path for entry in kept}
        gone = [entry.path for entry in tables.paths() if entry.path not in names]
        before = os.path.getsize(file.target)
        with (
            replacement(file.target, file.replace_by, room=before) as new,
            h5py.File(new, "w", libver="earliest") as target,
        ):
            _write(file.h5, target, rows)
            copy_tables(
                tables,
                PathTables(target, home(path)),
                keep=lambda name: name in names or os.path.lexists(name),
            )
        if gone and notify is not None:
            notify(f"{len(gone)} paths are forgotten, for nothing is there any more; the first: {gone[0]}")
        return Pruned(going, len(gone), before, os.path.getsize(file.target))
    finally:
        file.close(keep=False)


def _rows_to_keep(h5: h5py.File, keys: Collection[bytes]) -> dict[str, NDArray[np.int64]]:
    index = KeyIndex(np.frombuffer(b"".join(keys), np.uint8).reshape(-1, schema.KEY_BYTES))
    return {
        name: np.flatnonzero(index.find(group[KEYS][:]) >= 0).astype(np.int64)
        for name, group in h5[SPACES].items()
    }


def _refuse_doubtful(path: str, tables: PathTables, going: int, total: int) -> None:
    missing = [folder for folder in tables.folders() if not os.path.exists(folder)]
    if missing:
        raise StoreError(
            f"{path}: the scanned folder {missing[0]} is missing, perhaps on a drive that is not connected: "
            "connect it, or add --force if it is gone for good"
        )
    if 2 * going > total:
        raise StoreError(
            f"{path}: {going} of {total} embeddings would go: if `cluster --mode move` put their images "
            "elsewhere, name that folder with --clusters; if they are really gone, add --force"
        )


def _write(old: h5py.File, new: h5py.File, rows: dict[str, NDArray[np.int64]]) -> None:
    migrations.migrate(new)
    for name, kept in rows.items():
        if len(kept):
            stored = schema.read_space(old[SPACES][name])
            schema.create_space(new[SPACES], stored.space, stored.dimension, stored.dtype)
            copy_rows(old[SPACES][name], new[SPACES][name], kept)
