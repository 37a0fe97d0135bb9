"""Sweep: one clustering per k, to choose a k by."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imgcluster.analysis import choose_k
from imgcluster.analysis.choose_k import Sweep, SweepRow
from imgcluster.output.plots import PLOT_MARK, sweep_plot
from imgcluster.output.single_file import check_target, write_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress
from imgcluster.tabular import Tabular
from imgcluster.typed import DEFAULT_CLUSTERS
from imgcluster.workflows.cluster import cluster_settings, prepare_settings
from imgcluster.workflows.embedded_images import choose_spaces, clusterings_of, collect, open_store
from imgcluster.workflows.options import SweepOptions
from imgcluster.workflows.pages import prepare_pages


@dataclass(frozen=True)
class SweepResult(Tabular, rows="sweep.rows", of=SweepRow):
    """The table, with how many distinct images it is about."""

    images: int
    sweep: Sweep
    files: tuple[tuple[bytes, str], ...] = field(default=(), repr=False)
    """Key and one path of each image; the labels are those of the first ones."""


def sweep(
    paths: Sequence[str | os.PathLike[str]] = (),
    options: SweepOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> SweepResult:
    """Cluster with every k of the options; measure each; suggest one. Nothing is written but the plot.

    Raises
    ------
    UsageError
        Where no plot is written in that way.
    ImgclusterError
        Where the store knows no image.
    MissingExtra
        Where a plot or a report is asked for without its library.
    """
    options = options or SweepOptions()
    plot = options.plot
    if options.report:
        prepare_pages(options.out)
    if plot is not None:
        _plot(Sweep((), 0, ""), plot)  # so does an unknown kind, or Matplotlib
        check_target(plot, PLOT_MARK)
    with open_store(options, progress) as store:
        spaces = choose_spaces(store, options)
        clusterings = clusterings_of(options, DEFAULT_CLUSTERS)
        collection = collect(store, spaces, paths, clusterings, progress, owner=owner)
        ks = options.k
        if ks == SweepOptions.k:  # nobody asked for more clusters than there are images
            ks = tuple(k for k in ks if k <= len(collection.keys)) or (1,)
        table, keys = choose_k.sweep(
            collection.sources(),
            tuple(space.name for space in spaces),
            prepare_settings(options),
            ks,
            cluster_settings(2, options),
            progress,
        )
        collection = collection.finite(keys, progress)
    if plot is not None:
        write_file(plot, _plot(table, plot), PLOT_MARK)
    path_of = {image.key: image.path for image in reversed(collection.images)}
    files = tuple((key, path_of[key]) for key in map(bytes, keys))
    return SweepResult(len(collection.keys), table, files)


def _plot(table: Sweep, plot: str) -> bytes:
    return sweep_plot(
        [row.k for row in table.rows],
        [row.inertia for row in table.rows],
        [row.silhouette for row in table.rows],
        [row.stability for row in table.rows],
        None if table.doubtful else table.suggestion,
        kind=Path(plot).suffix.lstrip(".").lower() or "png",
    )
