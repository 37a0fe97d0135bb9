"""The page of a sweep: all numbers of clusters at once, in a folder of its own."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

import numpy as np

from imgcluster.analysis.succession import follow, inherit
from imgcluster.errors import ImgclusterError
from imgcluster.options import as_arguments
from imgcluster.output.manifest import read_assignments, read_manifest
from imgcluster.output.report_names import ShownFile
from imgcluster.output.sweep_page import SweepStep, sweep_page
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress, json_number
from imgcluster.typed import DEFAULT_CLUSTERS
from imgcluster.workflows.known_images import permissions
from imgcluster.workflows.options import ClusterOptions, FitOptions, SweepOptions
from imgcluster.workflows.pages import make_thumbnails, write_pages
from imgcluster.workflows.sweep import SweepResult

_MOST_SHOWN = 2_000
_MEASURES = ("stability", "gap", "silhouette", "inertia")


def report_sweep(
    result: SweepResult,
    options: SweepOptions,
    paths: Sequence[str | os.PathLike[str]],
    *,
    thumbnails: str,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> str:
    """Write the page into the folder `options.out`, in place of that of an earlier run; return what to open.

    MissingExtra where the report's library is not installed; ImgclusterError where the folder is not ours to
    replace, or cannot be written.
    """
    looked_at = result.files[: len(result.sweep.labels[0])]
    # Keys are digests: those of the first rows, in their order, are a random sample.
    rows = np.argsort([key for key, _ in looked_at], kind="stable")[:_MOST_SHOWN]
    shown = {key: [path] for key, path in (looked_at[row] for row in rows)}
    kept, _ = make_thumbnails(thumbnails, shown, progress)
    old = _names_before(options.clusters or DEFAULT_CLUSTERS)
    steps = [
        SweepStep(
            row.k,
            {name: json_number(getattr(row, name)) for name in _MEASURES},
            groups[rows].tolist(),
            _names(old, looked_at, groups),
            _command(row.k, options, [os.fspath(path) for path in paths]),
        )
        for row, groups in zip(result.sweep.rows, follow(result.sweep.labels), strict=True)
    ]
    images = [ShownFile(key.hex(), path, path, mode=permissions(path)) for key, (path,) in shown.items()]
    files = sweep_page(images, steps, result.images, kept, result.sweep.levels)
    return write_pages(options.out, files, (path for _, path in result.files), progress, owner)


def _command(k: int, options: SweepOptions, paths: Sequence[str]) -> str:
    """Give what clusters with that k as the sweep did, in the folder where it did; from any folder."""
    chosen = {each.name: getattr(options, each.name) for each in FitOptions.declared}
    others = as_arguments(ClusterOptions, {**chosen, "out": DEFAULT_CLUSTERS})
    return shlex.join(["imgcluster", "cluster", *map(os.path.abspath, paths), "--k", str(k), *others])


def _names_before(clusters: str) -> tuple[dict[bytes, int], dict[int, str]]:
    """Give the clusters of images and the names of clusters in a folder; nothing where it is none."""
    try:
        names = read_manifest(clusters).names
        return {image.key: image.cluster for image in read_assignments(clusters)} if names else {}, names
    except ImgclusterError:
        return {}, {}


def _names(
    old: tuple[dict[bytes, int], dict[int, str]],
    files: Sequence[tuple[bytes, str]],
    groups: np.ndarray,
) -> dict[int, str]:
    clusters, names = old
    before = np.array([clusters.get(key, -1) for key, _ in files], np.int32)
    heritage = inherit(before, groups, int(groups.max(initial=-1)) + 1, names) if names else ()
    return {
        each.heir: names[each.number] for each in heritage if each.heir is not None and each.number in names
    }
