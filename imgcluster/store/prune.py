"""Giving back the space of what is gone; never by itself, and never for a drive that is only unplugged."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from imgcluster.errors import StoreError, quantity
from imgcluster.files import is_forbidden
from imgcluster.records import SILENT, Progress
from imgcluster.store import schema
from imgcluster.store.key_index import KeyIndex
from imgcluster.store.path_table import PathTables
from imgcluster.store.rows import all_rows, rows_like
from imgcluster.store.schema import PICTURES
from imgcluster.store.store_file import StoreFile, new_store, require_store
from imgcluster.tabular import Tabular


@dataclass(frozen=True)
class Pruned(Tabular):
    """How many rows and paths went, or would go, and the store's size before and after."""

    rows: int
    paths: int
    bytes_before: int
    bytes_after: int
    dry_run: bool = False


def prune(
    path: str,
    *,
    moved: Sequence[tuple[str, bytes]] = (),
    force: bool = False,
    dry_run: bool = False,
    lock: bool = True,
    progress: Progress = SILENT,
) -> Pruned:
    """Remove paths that are gone and rows that no path leads to; the file is rewritten and shrinks.

    Parameters
    ----------
    moved
        Path and key of images that lie elsewhere now: paths and rows are kept.
    dry_run
        Only tell what would go.

    Raises
    ------
    StoreError
        There is no `force`, and all is gone that a scanned folder held, or most rows would go; or the store
        is being read or written.
    """
    given, path = path, os.path.abspath(path)
    require_store(path)
    with StoreFile(given, write=not dry_run, lock=lock, notify=progress.note) as file:
        groups, tables = all_rows(file.h5, path), PathTables(file.h5, path)
        known = tables.paths()
        progress.begin("looking for the images", len(known))
        elsewhere, present = {name for name, _ in moved}, set()
        for entry in known:
            if entry.path in elsewhere or _is_there(entry.path):
                present.add(entry.path)
            progress.advance()
        gone = [entry for entry in known if entry.path not in present]
        keys = {key for _, key in moved} | {entry.key for entry in known if entry.path in present}
        wanted = KeyIndex(np.frombuffer(b"".join(keys), np.uint8).reshape(-1, schema.KEY_BYTES))
        rows = {name: np.flatnonzero(wanted.find(group.keys()) >= 0) for name, group in groups.items()}
        spaces = groups.keys() - {PICTURES}
        total = sum(len(groups[name]) for name in spaces)
        going = total - sum(len(rows[name]) for name in spaces)
        if going and not force:
            lost = [entry.path for entry in gone if entry.key not in keys]
            _refuse_folders(path, tables.scanned_folders(), present, lost)
            _refuse_most(path, going, total)
        if gone:
            verb = "would forget" if dry_run else "forgetting"
            progress.note(
                f"{verb} {quantity(len(gone), 'path')} that lead nowhere, the first: {gone[0].path}"
            )
        before = os.path.getsize(file.target)
        if dry_run:
            return Pruned(going, len(gone), before, before, dry_run)
        progress.begin("copying the embeddings", sum(map(len, rows.values())))
        with new_store(file.target, file.replace_by, room=before) as new:
            for name, kept in rows.items():
                if len(kept):
                    groups[name].copy_to(rows_like(new, path, groups[name]), kept, progress)
            target = PathTables(new, path)
            target.record_paths(entry for entry in known if entry.path in present)
            target.record_failures(f for f in tables.failures() if f.path in present or _is_there(f.path))
            target.copy_history(tables)
        return Pruned(going, len(gone), before, os.path.getsize(file.target))


def _is_there(path: str) -> bool:
    """Whether something is there, or this user may not know."""
    return os.path.lexists(path) or is_forbidden(path)


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
