"""The page of a sweep: all numbers of clusters at once, in a folder of its own."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.succession import follow, inherit
from imgcluster.errors import ImgclusterError
from imgcluster.output.folders import FolderPlan, build_folders
from imgcluster.output.manifest import read_assignments, read_manifest
from imgcluster.output.sweep_page import SweepStep, sweep_page
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Progress, SilentProgress, json_number
from imgcluster.workflows.options import DEFAULT_CLUSTERS, DEFAULT_STORE, SweepOptions
from imgcluster.workflows.thumbnails import make_thumbnails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcluster.workflows.sweep import SweepResult

_MOST_SHOWN = 2_000
_MEASURES = ("stability", "silhouette", "inertia")


def report_sweep(
    result: SweepResult,
    options: SweepOptions,
    paths: Sequence[str],
    *,
    thumbnails: str,
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
) -> str:
    """Write the page into the folder `options.out`, in place of that of an earlier run; return what to open.

    Raises
    ------
    MissingExtra
        Where the report's library is not installed.
    ImgclusterError
        Where the folder is not ours to replace, or cannot be written.
    """
    progress = progress or SilentProgress()
    # Keys are digests: those of the first rows, in their order, are a random sample.
    rows = np.argsort([key for key, _ in result.files], kind="stable")[:_MOST_SHOWN]
    shown = [result.files[row] for row in rows]
    kept = make_thumbnails(thumbnails, {key: [path] for key, path in shown}, progress).folder
    old = _names_before(options.clusters or DEFAULT_CLUSTERS)
    steps = []
    for row, groups in zip(result.sweep.rows, follow(result.sweep.labels), strict=True):
        measures = {name: json_number(getattr(row, name)) for name in _MEASURES}
        names = _names(old, result.files, groups)
        steps.append(
            SweepStep(row.k, measures, groups[rows].tolist(), names, _command(row.k, options, paths))
        )
    images = [(key.hex(), path) for key, path in shown]
    files = dict(sweep_page(images, steps, len(result.files), kept))
    folder = os.path.realpath(options.out)
    if any(path.startswith(f"{folder}/") for _, path in result.files):
        raise ImgclusterError(f"{options.out} holds images: name another folder with --out")
    build_folders(FolderPlan(folder, "copy", (), ()), extra_files=files, progress=progress, owner=owner)
    return os.path.join(options.out, "report.html")


def _command(k: int, options: SweepOptions, paths: Sequence[str]) -> str:
    parts = ["imgcluster", "cluster", *paths, "--k", str(k)]
    if options.store != DEFAULT_STORE:
        parts += ["--store", options.store]
    for network in options.network:
        parts += ["--network", network]
    if options.seed:
        parts += ["--seed", str(options.seed)]
    return shlex.join(parts)


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
