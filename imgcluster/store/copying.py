"""Copying rows and tables from one store to another, as `prune` and `merge` do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcluster.store.rows import append_rows, sound_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import h5py
    import numpy as np
    from numpy.typing import NDArray

    from imgcluster.records import Progress
    from imgcluster.store.path_table import PathTables

_ROWS_AT_ONCE = 1024


def copy_rows(
    source: h5py.Group, target: h5py.Group, rows: NDArray[np.int64], path: str, progress: Progress
) -> None:
    """Copy ascending rows of the store at `path` as they are, and count them.

    Raises
    ------
    StoreError
        One of them is damaged.
    """
    for _, keys, embeddings in sound_rows(source, rows, _ROWS_AT_ONCE, path):
        append_rows(target, keys, embeddings)
        progress.advance(len(keys))


def copy_tables(source: PathTables, target: PathTables, keep: Callable[[str], bool] | None = None) -> None:
    """Copy what counts of each table, of paths those that `keep` likes: outdated entries stay behind."""
    target.record_paths(entry for entry in source.paths() if keep is None or keep(entry.path))
    target.record_failures(failure for failure in source.failures() if keep is None or keep(failure.path))
    copy_history(source, target)


def copy_history(source: PathTables, target: PathTables) -> None:
    """Copy which folders were scanned, and the runs."""
    target.record_folders(source.folders())
    for run in source.runs():
        target.record_run(run)
