"""Giving back the space of what is gone; never by itself, and never for a drive that is only unplugged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np

from imgcluster.errors import StoreError
from imgcluster.records import Progress, SilentProgress
from imgcluster.store import migrations, schema
from imgcluster.store.copying import copy_rows, copy_tables
from imgcluster.store.key_index import KeyIndex
from imgcluster.store.opening import StoreFile, replacement
from imgcluster.store.path_table import PathTables
from imgcluster.store.schema import KEYS, SPACES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from imgcluster.records import PathEntry


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
    progress: Progress | None = None,
) -> Pruned:
    """Remove paths that are gone and rows that no path leads to; the file is rewritten and shrinks.

    Parameters
    ----------
    moved
        Path and key of images that lie elsewhere now: paths and rows are kept.

    Raises
    ------
    StoreError
        There is no `force`, and all is gone that a scanned folder held, or most rows would go; or the store
        is being read or written.
    """
    progress = progress or SilentProgress()
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise StoreError(f"no feature store at {path}: run `imgcluster extract` first")
    file = StoreFile(path, write=True, lock=lock, notify=progress.note)
    try:
        tables = PathTables(file.h5, path)
        elsewhere = {path for path, _ in moved}
        known = tables.paths()
        progress.begin("looking for the images", len(known))
        kept = [
            entry
            for entry in _counted(known, progress)
            if entry.path in elsewhere or os.path.lexists(entry.path)
        ]
        names = {entry.path for entry in kept}
        gone = [entry for entry in known if entry.path not in names]
        keys = {key for _, key in moved} | {entry.key for entry in kept}
        rows = _rows_to_keep(file.h5, keys)
        total = sum(len(group[KEYS]) for group in file.h5[SPACES].values())
        going = total - sum(map(len, rows.values()))
        if going and not force:
            lost = [entry.path for entry in gone if entry.key not in keys]
            _refuse_folders(path, tables.folders(), names, lost)
            _refuse_most(path, going, total)
        progress.begin("copying the embeddings", total - going)
        before = os.path.getsize(file.target)
        with (
            replacement(file.target, file.replace_by, room=before) as new,
            h5py.File(new, "w", libver="earliest") as target,
        ):
            _write(path, file.h5, target, rows, progress)
            copy_tables(
                tables,
                PathTables(target, path),
                keep=lambda name: name in names or os.path.lexists(name),
            )
        if gone:
            progress.note(
                f"{len(gone)} paths are forgotten, for nothing is there any more; the first: {gone[0].path}"
            )
        return Pruned(going, len(gone), before, os.path.getsize(file.target))
    finally:
        file.close(keep=False)


def _rows_to_keep(h5: h5py.File, keys: Collection[bytes]) -> dict[str, NDArray[np.int64]]:
    index = KeyIndex(np.frombuffer(b"".join(keys), np.uint8).reshape(-1, schema.KEY_BYTES))
    return {
        name: np.flatnonzero(index.find(group[KEYS][:]) >= 0).astype(np.int64)
        for name, group in h5[SPACES].items()
    }


def _counted(entries: Sequence[PathEntry], progress: Progress) -> Iterator[PathEntry]:
    for entry in entries:
        yield entry
        progress.advance()


def _refuse_folders(path: str, folders: Sequence[str], kept: Collection[str], lost: Sequence[str]) -> None:
    """Refuse to take a drive that is not connected for files that were deleted.

    Where it was mounted there may be nothing, or an empty folder.
    """
    for folder in folders:
        below = os.path.join(folder, "")
        there = os.path.exists(folder) and any(name.startswith(below) for name in kept)
        if not there and any(name.startswith(below) for name in lost):
            raise StoreError(
                f"{path}: of the scanned folder {folder} nothing is there any more, perhaps it is on a drive "
                "that is not connected: connect it; if `cluster --mode move` put the images elsewhere, name "
                "that folder with --clusters; if they are gone for good, add --force"
            )


def _refuse_most(path: str, going: int, total: int) -> None:
    if 2 * going > total:
        raise StoreError(
            f"{path}: {going} of {total} embeddings would go: if `cluster --mode move` put their images "
            "elsewhere, name that folder with --clusters; if they are really gone, add --force"
        )


def _write(
    path: str, old: h5py.File, new: h5py.File, rows: dict[str, NDArray[np.int64]], progress: Progress
) -> None:
    migrations.migrate(new)
    for name, kept in rows.items():
        if len(kept):
            stored = schema.read_space(old[SPACES][name])
            schema.create_space(new[SPACES], stored.space, stored.dimension, stored.dtype)
            copy_rows(old[SPACES][name], new[SPACES][name], kept, path, progress)
