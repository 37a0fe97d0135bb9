"""The report on a finished clustering: thumbnails, a map, pages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.assigning import model_points
from imgcluster.analysis.projection import Projection, project
from imgcluster.analysis.scoring import evaluate
from imgcluster.output.adoption import adopted
from imgcluster.output.manifest import ClusteringManifest, read_assignments, read_manifest
from imgcluster.output.model_file import read_model
from imgcluster.output.report import ConfusionTable, ReportFacts, ReportImage, write_report
from imgcluster.records import Progress, SilentProgress
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.labels import read_labels
from imgcluster.workflows.thumbnails import make_thumbnails

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from imgcluster.records import ClusterModel, Failure, Keys, Placement

_FILES = ("report.html", "report")
_ROWS = 8192


@dataclass(frozen=True)
class ReportResult:
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


def report(
    clusters: str | os.PathLike[str] = "clusters",
    *,
    store: str | None = None,
    thumbnails: str,
    labels: str | None = None,
    lock: bool = True,
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

    Raises
    ------
    MissingExtra
        Where the report's libraries are not installed.
    ImgclusterError
        Where there is no clustering, or its store is gone.
    """
    progress = progress or SilentProgress()
    out = os.path.abspath(os.fspath(clusters))
    manifest, placements = read_manifest(out), read_assignments(out)
    by_key = {placement.key: placement for placement in reversed(placements)}
    keys = np.frombuffer(b"".join(sorted(by_key)), np.uint8).reshape(-1, 32)
    with FeatureStore(store or manifest.store, lock=lock, notify=progress.note) as features:
        points = _points(features, read_model(out), keys)
        failures = features.failures()
    progress.begin("drawing the map")
    projection = project(points, manifest.seed)
    paths = {placement.key.hex(): placement.path for placement in placements}
    made = make_thumbnails(thumbnails, paths, progress)
    labelled = _labelled(labels, placements) if labels else None
    facts = _facts(manifest, placements, failures, projection, labelled)
    with adopted(out, _FILES):
        page = write_report(
            out,
            facts,
            _images(placements, keys, projection, labelled, out),
            progress,
            thumbnail_folder=thumbnails,
            seed=manifest.seed,
        )
    return ReportResult(page, len(placements), made, projection.method)


def _points(store: FeatureStore, model: ClusterModel, keys: Keys) -> NDArray[np.float32]:
    """(N, d) float32: where the clustering has each image, computed block by block."""
    blocks = [
        model_points(model, [store.read(space, keys[start : start + _ROWS]) for space in model.spaces])
        for start in range(0, len(keys), _ROWS)
    ]
    return np.concatenate(blocks)


def _labelled(labels: str, placements: Sequence[Placement]) -> _Labelled:
    classes = read_labels(labels, (placement.original for placement in placements))
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


def _facts(
    manifest: ClusteringManifest,
    placements: Sequence[Placement],
    failures: tuple[Failure, ...],
    projection: Projection,
    labelled: _Labelled | None,
) -> ReportFacts:
    members: dict[int, list[float]] = {}
    for placement in placements:
        members.setdefault(placement.cluster, []).append(placement.silhouette)
    made = (
        ("clusters", str(manifest.k)),
        ("algorithm", manifest.algorithm),
        ("preparation", manifest.prepare),
        ("seed", str(manifest.seed)),
        ("feature space", ", ".join(manifest.spaces)),
        ("feature store", manifest.store),
        ("files", manifest.mode),
        *((name, value) for name, value in manifest.versions.items()),
    )
    return ReportFacts(
        sizes=manifest.sizes,
        silhouettes=tuple(float(np.mean(members.get(cluster, [np.nan]))) for cluster in range(manifest.k)),
        silhouette=manifest.silhouette,
        made=made,
        failures=failures,
        projection=projection.method,
        confusion=labelled.table if labelled else None,
    )


def _images(
    placements: Sequence[Placement],
    keys: Keys,
    projection: Projection,
    labelled: _Labelled | None,
    out: str,
) -> list[ReportImage]:
    places = {bytes(key): xy for key, xy in zip(keys, projection.xy, strict=True)}
    return [
        ReportImage(
            key=placement.key.hex(),
            path=placement.path,
            file=os.path.relpath(placement.path, out),
            cluster=placement.cluster,
            distance=placement.distance,
            silhouette=placement.silhouette,
            true_class=labelled.classes.get(placement.original) if labelled else None,
            wrong=labelled.is_wrong(placement) if labelled else False,
            x=float(places[placement.key][0]),
            y=float(places[placement.key][1]),
        )
        for placement in placements
    ]
