"""Several stores joined into one, such as those of several machines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import StoreError
from imgcluster.records import SILENT, Progress
from imgcluster.store import schema
from imgcluster.store.key_index import KeyIndex
from imgcluster.store.latest import Latest
from imgcluster.store.lock import WriterLock
from imgcluster.store.path_table import PathTables
from imgcluster.store.rows import Rows, all_rows, rows_like
from imgcluster.store.schema import PICTURES
from imgcluster.store.store_file import StoreFile, new_store
from imgcluster.tabular import Tabular

_TOLERANCE = 0.05
"""Relative difference between two embeddings of one image that other processors or precisions explain."""


@dataclass(frozen=True)
class Merged(Tabular):
    """How many rows the new store has, and how many were in more than one of the old ones."""

    rows: int
    shared: int


def merge(paths: Sequence[str], out: str, *, lock: bool = True, progress: Progress = SILENT) -> Merged:
    """Join stores: rows of the same space stand together, equal keys once; of a path the latest entry counts.

    Raises
    ------
    StoreError
        `out` exists; a store cannot be read; or two of them disagree about an image's embedding.
    """
    out = os.path.abspath(out)
    out = os.path.join(os.path.realpath(os.path.dirname(out)), os.path.basename(out))
    if os.path.lexists(out):
        raise StoreError(f"{out} exists already: name a new file")
    room = sum(os.path.getsize(path) for path in paths if os.path.exists(path))
    with closing(WriterLock(out)) if lock else nullcontext(), new_store(out, room=room) as target:
        tables, latest, shared = PathTables(target, out), Latest(), 0
        for path in paths:
            with StoreFile(path, write=False, lock=lock, notify=progress.note) as file:
                shared += _add_rows(file, out, target, progress)
                own_tables = PathTables(file.h5, file.path)
                latest.learn(own_tables.paths(), own_tables.failures())
                tables.copy_history(own_tables)
        tables.record_paths(latest.entries())
        tables.record_failures(latest.failures())
        rows = sum(space.rows for space in schema.read_spaces(target, out).values())
    return Merged(rows, shared)


def _add_rows(file: StoreFile, out: str, target: h5py.File, progress: Progress) -> int:
    """Copy the rows that the target lacks, and count the embeddings that it has."""
    rows = all_rows(file.h5, file.path)
    progress.begin(f"joining {os.path.basename(file.path)}", sum(map(len, rows.values())))
    shared = 0
    for name, mine in rows.items():
        theirs = rows_like(target, out, mine)
        found = KeyIndex(theirs.keys()).find(mine.keys())
        both = np.flatnonzero(found >= 0)
        if name != PICTURES:
            _check_fit(mine, theirs)
            _compare(mine, both, theirs, found[both])
            shared += len(both)
        progress.advance(len(both))
        mine.copy_to(theirs, np.flatnonzero(found < 0), progress)
    return shared


def _check_fit(mine: Rows, theirs: Rows) -> None:
    stored, before = (schema.read_columns(rows.group)[0] for rows in (mine, theirs))
    if (before.dimension, before.dtype) != (stored.dimension, stored.dtype):
        raise StoreError(
            f"{mine.path}: {mine.name} has {stored.dimension} numbers of {stored.dtype}, in a store before "
            f"it {before.dimension} of {before.dtype}: such stores cannot be joined"
        )


def _compare(mine: Rows, rows: NDArray[np.int64], theirs: Rows, others: NDArray[np.int64]) -> None:
    """Compare two stores about the same images, pair by pair."""
    for start in range(0, len(rows), 1024):
        mine_here, theirs_here = rows[start : start + 1024], others[start : start + 1024]
        order = np.argsort(theirs_here)
        a = mine.read(mine_here)[order].astype(np.float64)
        b = theirs.read(theirs_here[order]).astype(np.float64)
        apart = np.linalg.norm(a - b, axis=1)
        doubtful = np.flatnonzero(~(apart <= _TOLERANCE * np.linalg.norm(b, axis=1)))
        # Two that are both NaN or infinite agree as well.
        bad = [i for i in doubtful.tolist() if not np.array_equal(a[i], b[i], equal_nan=True)]
        if bad:
            key = mine.keys()[mine_here[order][bad[0]]].tobytes().hex()
            raise StoreError(
                f"{mine.path}: its embedding of the image {key} in {mine.name} differs from that of a store "
                "before it: extract that image again in one of them"
            )
