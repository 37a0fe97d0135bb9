"""Sweep: one clustering per k, to choose a k by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcluster.analysis import choose_k
from imgcluster.analysis.choose_k import Sweep
from imgcluster.output.plots import PLOT_MARK, sweep_plot
from imgcluster.output.single_file import check_target, write_file
from imgcluster.records import Progress, SilentProgress
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.cluster import (
    ClusterOptions,
    collect_for,
    kmeans_settings,
    prepare_settings,
    refuse_contradictions,
)
from imgcluster.workflows.collection import choose_spaces, sources, with_finite

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence


@dataclass(frozen=True)
class SweepResult:
    """The table, with how many distinct images it is about."""

    images: int
    sweep: Sweep


def sweep(
    ks: Sequence[int],
    paths: Sequence[str | os.PathLike[str]] = (),
    options: ClusterOptions | None = None,
    *,
    plot: str | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Cluster with every k of `ks`; measure each; suggest one. Nothing is written but the plot.

    Parameters
    ----------
    ks
        Numbers of clusters, each from 1 on.
    paths, options
        As for `cluster`; what is about folders does not count.
    plot
        A PNG or SVG file to draw the measures into.

    Raises
    ------
    UsageError
        Where options contradict each other, or no plot is written in that way.
    ImgclusterError
        Where the store knows no image.
    MissingExtra
        Where a plot is asked for without Matplotlib.
    """
    options = options or ClusterOptions()
    progress = progress or SilentProgress()
    refuse_contradictions(options)
    if plot is not None:
        _plot(Sweep((), 0, ""), plot)  # an unknown kind, or Matplotlib missing, shows before the long work
        check_target(plot, PLOT_MARK)
    with FeatureStore(options.store, lock=options.lock, notify=progress.note) as store:
        spaces = choose_spaces(store, networks=options.network, space=options.space)
        collection = collect_for(store, spaces, paths, options, progress)
        collection, table = with_finite(
            store,
            collection,
            progress,
            lambda usable: choose_k.sweep(
                sources(store, usable),
                tuple(space.name for space in spaces),
                prepare_settings(options),
                ks,
                kmeans_settings(2, options),
                progress,
            ),
        )
    if plot is not None:
        write_file(plot, _plot(table, plot), PLOT_MARK)
    return SweepResult(len(collection.keys), table)


def _plot(table: Sweep, plot: str) -> bytes:
    return sweep_plot(
        [row.k for row in table.rows],
        [row.inertia for row in table.rows],
        [row.silhouette for row in table.rows],
        [row.stability for row in table.rows],
        table.suggestion,
        kind=Path(plot).suffix.lstrip(".").lower() or "png",
    )
