"""The report on a finished clustering: thumbnails, a map, pages."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.projection import Projection, project
from imgcluster.analysis.scoring import evaluate
from imgcluster.files import path_filter
from imgcluster.output.folders import recover
from imgcluster.output.life import look
from imgcluster.output.manifest import ClusteringManifest, read_assignments, read_manifest
from imgcluster.output.model_file import read_model
from imgcluster.output.report import (
    ConfusionTable,
    ReportImage,
    ReportSummary,
    require_report_libraries,
    write_report,
)
from imgcluster.output.trust import is_foreign, take_over
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Progress, SilentProgress
from imgcluster.store.store_set import open_features
from imgcluster.tabular import Tabular
from imgcluster.workflows.clustered import points_of
from imgcluster.workflows.labels import read_labels
from imgcluster.workflows.reading import candidate_paths, permissions, present_path
from imgcluster.workflows.thumbnails import make_thumbnails

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from imgcluster.records import Failure, Keys, Notify, PathEntry, Placement

__all__ = ["ReportResult", "report", "require_report_libraries"]


@dataclass(frozen=True)
class ReportResult(Tabular):
    """The page to open, how many images it is about, and how many thumbnails had to be made."""

    page: str
    images: int
    thumbnails_made: int
    projection: str


@dataclass(frozen=True)
class _Labelled:
    classes: Mapping[str, str]
    table: ConfusionTable

    def is_wrong(self, placement: Placement) -> bool:
        label = self.classes.get(placement.original)
        if label is None:
            return False
        return self.table.matched[self.table.classes.index(label)] != placement.cluster


def report(  # noqa: PLR0913
    clusters: str | os.PathLike[str] = "clusters",
    *,
    store: str | None = None,
    thumbnails: str,
    labels: str | None = None,
    lock: bool = True,
    trust: Sequence[str] = (),
    wait: float = math.inf,
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
) -> ReportResult:
    """Write ``report.html`` and ``report/`` into the folder that `cluster` made.

    Parameters
    ----------
    store
        The feature store, where it is not that of the clustering any more.
    thumbnails
        The folder that keeps thumbnails from one report to the next.
    labels
        ``folders`` or a CSV file: adds a confusion table and marks the wrong images.
    wait
        Seconds for another process that writes there.
    trust
        Folders that images may go back to from a clustering that `owner` does not know.

    Raises
    ------
    MissingExtra
        Where the report's libraries are not installed.
    ImgclusterError
        Where there is no clustering, its store is gone, or it was replaced meanwhile.
    """
    progress = progress or SilentProgress()
    require_report_libraries()  # before the long work
    out = os.path.abspath(os.fspath(clusters))
    take_over(out, trust, owner, progress.note, wait=wait)
    recover(out, progress.note, owner, wait)
    found = look(os.path.realpath(out), owner)
    if found.marker is None and is_foreign(out, owner):
        found = replace(found, foreign=(found.out,))
    found.refuse_foreign(found.out)
    manifest, placements = read_manifest(out), read_assignments(out)
    by_key = {placement.key: placement for placement in reversed(placements)}
    keys = np.frombuffer(b"".join(sorted(by_key)), np.uint8).reshape(-1, 32)
    where = store or manifest.store
    with open_features(where, lock=lock, partial=True, notify=progress.note) as features:
        points = points_of(features, read_model(out), keys)
        failures, missing = features.failures(), _missing(features.paths(), placements, manifest)
    progress.begin("drawing the map")
    projection = project(points, manifest.seed)
    paths: dict[bytes, list[str]] = {}
    for placement in placements:
        paths.setdefault(placement.key, []).extend(candidate_paths(placement))
    made = make_thumbnails(thumbnails, paths, progress)
    labelled = _labelled(labels, placements, progress.note) if labels else None
    names = manifest.names
    summary = _summary(manifest, placements, failures, missing, projection, labelled)
    page = write_report(
        out,
        summary,
        _images(placements, keys, projection, labelled, out, names),
        progress,
        thumbnail_folder=made.folder,
        seed=manifest.seed,
        expected_marker=found.marker,
        owner=owner,
        wait=wait,
    )
    return ReportResult(page, len(placements), made.made, projection.method)


def _missing(
    known: Iterable[PathEntry], placements: Sequence[Placement], manifest: ClusteringManifest
) -> int:
    """Count the files that would have a part in the clustering, were they not gone."""
    clustered = {path for placement in placements for path in (placement.original, placement.path)}
    meant = filter(path_filter(manifest.paths or ("/",)), (entry.path for entry in known))
    return sum(path not in clustered and not os.path.lexists(path) for path in meant)


def _labelled(labels: str, placements: Sequence[Placement], notify: Notify) -> _Labelled:
    classes = read_labels(labels, (placement.original for placement in placements), notify)
    known = [placement for placement in placements if placement.original in classes]
    clusters = np.array([placement.cluster for placement in known], np.int32)
    evaluation = evaluate(clusters, [classes[placement.original] for placement in known])
    table = ConfusionTable(
        classes=evaluation.labels,
        clusters=evaluation.columns,
        counts=tuple(tuple(int(count) for count in row) for row in evaluation.confusion),
        matched=evaluation.matched,
        accuracy=evaluation.accuracy,
    )
    return _Labelled(classes, table)


def _summary(
    manifest: ClusteringManifest,
    placements: Sequence[Placement],
    failures: tuple[Failure, ...],
    missing: int,
    projection: Projection,
    labelled: _Labelled | None,
) -> ReportSummary:
    members: dict[int, list[float]] = {}
    for placement in placements:
        members.setdefault(placement.cluster, []).append(placement.silhouette)
    settings = (
        ("clusters", str(manifest.k)),
        ("algorithm", manifest.algorithm),
        ("preparation", manifest.prepare),
        ("seed", str(manifest.seed)),
        ("feature space", ", ".join(manifest.spaces)),
        ("feature store", manifest.store),
        ("files", manifest.mode),
        ("images of", ", ".join(manifest.paths) or "the whole store"),
        *((name, _in_words(value)) for name, value in manifest.options.items()),
        *manifest.versions.items(),
    )
    return ReportSummary(
        clusters=manifest.clusters,
        silhouettes=tuple(
            float(np.mean(members.get(cluster.number, [np.nan]))) for cluster in manifest.clusters
        ),
        silhouette=manifest.silhouette,
        settings=settings,
        failures=failures,
        missing=missing,
        projection=projection.method,
        confusion=labelled.table if labelled else None,
        unsorted=manifest.unsorted,
    )


def _in_words(value: str | float | Sequence[str]) -> str:
    return str(value) if isinstance(value, str | float | int) else ", ".join(value)


def _date(path: str) -> str:
    try:
        changed = time.localtime(os.stat(path).st_mtime)
    except (OSError, OverflowError, ValueError):  # gone, or a time that no calendar has
        return ""
    return time.strftime("%Y-%m-%d %H:%M", changed)


def _images(
    placements: Sequence[Placement],
    keys: Keys,
    projection: Projection,
    labelled: _Labelled | None,
    out: str,
    names: Mapping[int, str],
) -> list[ReportImage]:
    places = {bytes(key): xy for key, xy in zip(keys, projection.xy, strict=True)}
    return [
        ReportImage(
            key=placement.key.hex(),
            path=path,
            file=os.path.relpath(path, out),
            cluster=placement.cluster,
            distance=placement.distance,
            silhouette=placement.silhouette,
            probability=placement.probability,
            true_class=labelled.classes.get(placement.original) if labelled else None,
            wrong=labelled.is_wrong(placement) if labelled else False,
            x=float(places[placement.key][0]),
            y=float(places[placement.key][1]),
            cluster_name=names.get(placement.cluster, ""),
            mode=permissions(path),
            date=_date(path),
        )
        for placement in placements
        for path in (present_path(placement) or placement.path,)
    ]
