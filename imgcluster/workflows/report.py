"""The report on a finished clustering: thumbnails, a map, pages."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from imgcluster.analysis.projection import Projection, project
from imgcluster.analysis.scoring import evaluate
from imgcluster.errors import ImgclusterError
from imgcluster.files import is_forbidden, path_filter
from imgcluster.output.folders import recover
from imgcluster.output.life import look
from imgcluster.output.manifest import ClusteringManifest, read_manifest
from imgcluster.output.model_file import read_model
from imgcluster.output.report import require_report_libraries, write_report
from imgcluster.output.report_summary import ReportImage, ReportSummary
from imgcluster.output.report_thumbnails import date_in_thumbnail
from imgcluster.output.trust import take_over
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import (
    SILENT,
    Evaluation,
    Keys,
    Notify,
    PathEntry,
    Placement,
    Progress,
    key_rows,
    row_of_key,
)
from imgcluster.store.store_set import open_features
from imgcluster.tabular import Tabular
from imgcluster.workflows.cluster_result import points_of
from imgcluster.workflows.clustering_folder import command_again, read_table
from imgcluster.workflows.known_images import permissions, status_of
from imgcluster.workflows.labels import labels_of
from imgcluster.workflows.options import ReportOptions
from imgcluster.workflows.pages import make_thumbnails

__all__ = ["ReportResult", "report", "require_report_libraries"]


@dataclass(frozen=True)
class ReportResult(Tabular):
    """The page to open, how many images it is about, and how many thumbnails had to be made."""

    page: str
    images: int
    thumbnails_made: int
    projection: str


def report(
    options: ReportOptions,
    *,
    thumbnails: str,
    wait: float = math.inf,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> ReportResult:
    """Write ``report.html`` and ``report/`` into the folder that `cluster` made.

    Parameters
    ----------
    thumbnails
        The folder that keeps thumbnails from one report to the next.
    wait
        Seconds for another process that writes there.

    Raises
    ------
    MissingExtra
        Where the report's libraries are not installed.
    ImgclusterError
        Where there is no clustering, its store is gone, or it was replaced meanwhile.
    """
    require_report_libraries()  # before the long work
    out = os.path.abspath(options.clusters)
    take_over(out, options.trust, owner, progress.note, wait=wait)
    recover(out, progress.note, owner, wait)
    found = look(os.path.realpath(out), owner).with_tables()
    found.refuse_foreign(found.out)
    manifest, placements = read_manifest(out), read_table(out)
    keys = key_rows(sorted({placement.key for placement in placements}))
    store, lock = options.store or manifest.store, not options.no_lock
    with open_features(store, lock=lock, partial=True, notify=progress.note) as features:
        points = points_of(features, read_model(out), keys)
        failures, missing = features.failures(), _missing(features.paths(), placements, manifest)
    progress.begin("drawing the map")
    projection = project(points, manifest.seed)
    paths: dict[bytes, list[str]] = {}
    for placement in placements:
        paths.setdefault(placement.key, []).extend(placement.places)
    folder, made = make_thumbnails(thumbnails, paths, progress)
    classes, labelled = _labelled(options.labels, placements, progress.note) if options.labels else ({}, None)
    page = write_report(
        out,
        ReportSummary(
            clusters=manifest.clusters,
            silhouettes=_silhouettes(manifest, placements),
            silhouette=manifest.silhouette,
            settings=_settings(manifest),
            failures=failures,
            missing=missing,
            projection=projection.method,
            labelled=labelled,
            unsorted=manifest.unsorted,
            command=command_again(out, manifest),
        ),
        list(_images(placements, keys, projection, classes, labelled, out, folder, manifest.names)),
        progress,
        thumbnail_folder=folder,
        seed=manifest.seed,
        expected_marker=found.marker,
        owner=owner,
        wait=wait,
    )
    return ReportResult(page, len(placements), made, projection.method)


def report_again(
    clusters: str,
    *,
    no_lock: bool = False,
    thumbnails: str,
    wait: float = math.inf,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> str | None:
    """Make the report of a changed clustering; its page, or None, and a line, where that cannot be."""
    options = ReportOptions(clusters=clusters, no_lock=no_lock)
    try:
        return report(options, thumbnails=thumbnails, wait=wait, owner=owner, progress=progress).page
    except ImgclusterError as error:
        progress.note(f"no report could be made of what has changed: {error}")
        return None


def _missing(
    known: Iterable[PathEntry], placements: Sequence[Placement], manifest: ClusteringManifest
) -> int:
    """Count the files that would have a part in the clustering, were they not gone."""
    clustered = {path for placement in placements for path in (placement.original, placement.path)}
    meant = filter(path_filter(manifest.paths or ("/",)), (entry.path for entry in known))
    return sum(
        path not in clustered and not os.path.lexists(path) and not is_forbidden(path) for path in meant
    )


def _labelled(
    labels: str, placements: Sequence[Placement], notify: Notify
) -> tuple[Mapping[str, str], Evaluation]:
    classes = labels_of(labels, [placement.original for placement in placements], notify)
    known = [placement for placement in placements if placement.original in classes]
    clusters = np.array([placement.cluster for placement in known], np.int32)
    return classes, evaluate(clusters, [classes[placement.original] for placement in known])


def _silhouettes(manifest: ClusteringManifest, placements: Sequence[Placement]) -> tuple[float, ...]:
    """Give the mean of each cluster."""
    members: dict[int, list[float]] = {}
    for placement in placements:
        members.setdefault(placement.cluster, []).append(placement.silhouette)
    return tuple(float(np.mean(members.get(cluster.number, [np.nan]))) for cluster in manifest.clusters)


def _settings(manifest: ClusteringManifest) -> tuple[tuple[str, str], ...]:
    return (
        ("clusters", str(manifest.k)),
        ("algorithm", manifest.algorithm),
        ("preparation", manifest.prepare),
        ("seed", str(manifest.seed)),
        ("feature space", ", ".join(manifest.spaces)),
        ("feature store", manifest.store),
        ("files", manifest.mode),
        ("images of", ", ".join(manifest.paths) or "the whole store"),
        *(
            (name.replace("_", " "), _in_words(value))
            for name, value in manifest.options.items()
            if value is not False and name != "memory"  # that is the machine's
        ),
        *manifest.versions.items(),
    )


def _in_words(value: str | float | Sequence[str]) -> str:
    return str(value) if isinstance(value, str | float | int) else ", ".join(value)


def _date(thumbnails: str, key: bytes, path: str) -> str:
    """Tell when a picture was taken or, where it does not say, when its file was changed last."""
    if taken := date_in_thumbnail(thumbnails, key.hex()):
        return taken
    status = status_of(path)
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(status.st_mtime)) if status else ""
    except (OSError, OverflowError, ValueError):  # a time that no calendar has
        return ""


def _images(
    placements: Sequence[Placement],
    keys: Keys,
    projection: Projection,
    classes: Mapping[str, str],
    labelled: Evaluation | None,
    out: str,
    thumbnails: str,
    names: Mapping[int, str],
) -> Iterator[ReportImage]:
    rows = row_of_key(keys)
    cluster_of = dict(zip(labelled.labels, labelled.matched, strict=True)) if labelled else {}
    for placement in placements:
        path, label = placement.seen_at, classes.get(placement.original)
        x, y = projection.xy[rows[placement.key]]
        yield ReportImage(
            key=placement.key.hex(),
            path=path,
            file=os.path.relpath(path, out),
            cluster=placement.cluster,
            distance=placement.distance,
            silhouette=placement.silhouette,
            probability=placement.probability,
            true_class=label,
            wrong=label is not None and cluster_of[label] != placement.cluster,
            x=float(x),
            y=float(y),
            cluster_name=names.get(placement.cluster, ""),
            mode=permissions(path),
            date=_date(thumbnails, placement.key, path),
        )
