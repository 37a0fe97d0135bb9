"""Clusters as arrays, for other algorithms to go on with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.clustering import model_points
from imgcluster.errors import ImgclusterError, UsageError, quantity
from imgcluster.output.manifest import read_manifest
from imgcluster.ownership import Ownership
from imgcluster.records import ClusterModel, Keys, NamedCluster, Notify, Placement, key_rows
from imgcluster.store.reader import FeatureReader
from imgcluster.workflows.cluster_identities import Successor
from imgcluster.workflows.clustering_folder import read_placements
from imgcluster.workflows.embedded_images import embedding_blocks
from imgcluster.workflows.notebook import PICTURES_IN_A_ROW, Pictured


@dataclass(frozen=True, eq=False, kw_only=True)
class ClusterResult(Pictured):
    """Images and their clusters: N files, in the order of their paths; and figures of all together.

    Attributes
    ----------
    paths
        Where each image came from, absolute.
    files
        Where it can be seen: in the folder that was made, else where it lies.
    keys
        (N, 32) uint8; equal files have equal keys.
    labels
        (N,) int32: the cluster, -1 where an image fits nowhere.
    distances
        (N,) float32, to the centre of the cluster.
    silhouettes
        (N,) float32, NaN where it is not defined.
    probabilities
        (N,) float32, of being in the right cluster; NaN where it is not defined.
    points
        (N, d) float32 in which clusters were found; None where a folder was asked for.
    images, sizes, unsorted, missing, unreadable, changed, unembedded
        Counted in files; the last four were left out.
    kept
        What became of the clusters that the folder held before.
    had_report
        Whether it had one, which is outdated now.
    """

    paths: tuple[str, ...] = field(repr=False)
    files: tuple[str, ...] = field(repr=False)
    keys: Keys = field(repr=False)
    labels: NDArray[np.int32] = field(repr=False)
    distances: NDArray[np.float32] = field(repr=False)
    silhouettes: NDArray[np.float32] = field(repr=False)
    probabilities: NDArray[np.float32] = field(repr=False)
    points: NDArray[np.float32] | None = field(repr=False)
    k: int
    images: int
    missing: int
    unreadable: int
    changed: int
    unembedded: int
    sizes: tuple[int, ...]
    clusters: tuple[NamedCluster, ...]
    kept: tuple[Successor, ...]
    unsorted: int
    out: str | None
    mode: str
    algorithm: str
    prepare: str
    seed: int
    inertia: float
    silhouette: float
    seconds: float
    dry_run: bool
    bytes_to_copy: int
    fallbacks: int
    had_report: bool
    companions: int = 0

    def __fspath__(self) -> str:
        """Give the folder, for which a result may stand: ``report(clusters=found)``."""
        if self.out is None or self.dry_run:
            raise UsageError("these clusters lie in no folder: make them with out=, and give that result")
        return self.out

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The cluster of each file."""
        columns = (self.labels, self.distances, self.silhouettes, self.probabilities)
        rows = zip(self.files, self.paths, self.keys, *(each.tolist() for each in columns), strict=True)
        return tuple(
            Placement(file, path, bytes(key), cluster, distance, silhouette, probability=probability)
            for file, path, key, cluster, distance, silhouette, probability in rows
        )

    def table(self) -> dict[str, Any]:
        """Give a row for each file."""
        return {
            "path": self.paths,
            "key": [key.tobytes().hex() for key in self.keys],
            "cluster": self.labels,
            "distance": self.distances,
            "silhouette": self.silhouettes,
            "probability": self.probabilities,
        }

    def figures(self) -> dict[str, Any]:
        """Give what is said of all images together."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.repr}

    def pictures(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Show the most typical images of each cluster."""
        order = np.argsort(self.distances, kind="stable")
        for cluster in np.unique(self.labels):
            rows = order[self.labels[order] == cluster]
            title = "unsorted" if cluster < 0 else f"cluster {cluster}"
            files = [self.files[row] for row in rows[:PICTURES_IN_A_ROW]]
            yield f"{title}, {quantity(len(rows), 'image')}", files


def arrays_of(placements: Sequence[Placement]) -> dict[str, Any]:
    """Give the fields of `ClusterResult` that placements tell."""
    return {
        "paths": tuple(placement.original for placement in placements),
        "keys": key_rows(placement.key for placement in placements),
        "labels": np.array([placement.cluster for placement in placements], np.int32),
        "distances": np.array([placement.distance for placement in placements], np.float32),
        "silhouettes": np.array([placement.silhouette for placement in placements], np.float32),
        "probabilities": np.array([placement.probability for placement in placements], np.float32),
    }


def read_clusters(
    clusters: str | os.PathLike[str] | ClusterResult, owner: Ownership, notify: Notify
) -> tuple[tuple[Placement, ...], tuple[NamedCluster, ...]]:
    """Give the files and the clusters of a folder, or of what `cluster` returned.

    ImgclusterError where there is no clustering, or it is damaged.
    """
    if isinstance(clusters, ClusterResult):
        return clusters.placements, clusters.clusters
    placements, manifest = read_placements(clusters, owner, notify), read_manifest(os.fspath(clusters))
    known = {-1, *(each.number for each in manifest.clusters)}
    if unknown := {placement.cluster for placement in placements} - known:
        raise ImgclusterError(
            f"{clusters} has no cluster {min(unknown)}, of which its table of images speaks: "
            "run `imgcluster cluster` again"
        )
    return placements, manifest.clusters


def points_of(store: FeatureReader, model: ClusterModel, keys: Keys) -> NDArray[np.float32]:
    """(N, d) float32: where a clustering has each image, computed block by block."""
    spaces = [store.find_space(name=name) for name in model.spaces]
    return np.concatenate([model_points(model, rows) for rows in embedding_blocks(store, spaces, keys)])
