"""Clusters as arrays, for other algorithms to go on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.clustering import model_points
from imgcluster.errors import quantity
from imgcluster.records import Keys
from imgcluster.workflows.collection import embedding_blocks
from imgcluster.workflows.pictures import PICTURES_IN_A_ROW, Pictured

if TYPE_CHECKING:
    from imgcluster.records import ClusterModel, Placement
    from imgcluster.store.reader import FeatureReader


@dataclass(frozen=True, eq=False, kw_only=True)
class ClusteredImages(Pictured):
    """Images and their clusters: N files, in the order of their paths.

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
    """

    paths: tuple[str, ...] = field(repr=False)
    files: tuple[str, ...] = field(repr=False)
    keys: Keys = field(repr=False)
    labels: NDArray[np.int32] = field(repr=False)
    distances: NDArray[np.float32] = field(repr=False)
    silhouettes: NDArray[np.float32] = field(repr=False)
    probabilities: NDArray[np.float32] = field(repr=False)
    points: NDArray[np.float32] | None = field(repr=False)

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
        own = {each.name for each in fields(ClusteredImages)}
        return {name: value for name, value in vars(self).items() if name not in own}

    def pictures(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Show the most typical images of each cluster."""
        order = np.argsort(self.distances, kind="stable")
        for cluster in np.unique(self.labels):
            rows = order[self.labels[order] == cluster]
            title = "unsorted" if cluster < 0 else f"cluster {cluster}"
            files = [self.files[row] for row in rows[:PICTURES_IN_A_ROW]]
            yield f"{title}, {quantity(len(rows), 'image')}", files


def rows_of(
    placements: Sequence[Placement], files: Sequence[str], points: tuple[Keys, NDArray[np.float32]] | None
) -> dict[str, Any]:
    """Give the fields of `ClusteredImages`; `points` with the key of each."""
    if points is not None:
        row = {bytes(key): number for number, key in enumerate(points[0])}
        places = [row[placement.key] for placement in placements]
    return {
        "paths": tuple(placement.original for placement in placements),
        "files": tuple(files),
        "keys": np.frombuffer(b"".join(p.key for p in placements), np.uint8).reshape(-1, 32),
        "labels": np.array([placement.cluster for placement in placements], np.int32),
        "distances": np.array([placement.distance for placement in placements], np.float32),
        "silhouettes": np.array([placement.silhouette for placement in placements], np.float32),
        "probabilities": np.array([placement.probability for placement in placements], np.float32),
        "points": None if points is None else points[1][places],
    }


def points_of(store: FeatureReader, model: ClusterModel, keys: Keys) -> NDArray[np.float32]:
    """(N, d) float32: where a clustering has each image, computed block by block."""
    spaces = [store.find_space(name=name) for name in model.spaces]
    return np.concatenate([model_points(model, rows) for rows in embedding_blocks(store, spaces, keys)])
