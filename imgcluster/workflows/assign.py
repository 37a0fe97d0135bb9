"""Assignment: new images to the clusters that exist, without a refit."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgcluster.analysis.assigning import assign as nearest_clusters
from imgcluster.errors import ImgclusterError
from imgcluster.output.manifest import read_manifest
from imgcluster.output.model_file import read_model
from imgcluster.output.single_file import write_file
from imgcluster.output.tables import csv_bytes
from imgcluster.records import Progress, SilentProgress
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.choose_network import choose_network
from imgcluster.workflows.collection import collect
from imgcluster.workflows.extract import ExtractOptions, extract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcluster.records import ClusterModel, NetworkSource


@dataclass(frozen=True, slots=True)
class Assigned:
    """One image file and the cluster whose centroid is nearest."""

    path: str
    key: bytes
    cluster: int
    distance: float


def assign(
    paths: Sequence[str | os.PathLike[str]],
    options: ExtractOptions | None = None,
    *,
    clusters: str | os.PathLike[str] = "clusters",
    source: NetworkSource | None = None,
    table: str | None = None,
    progress: Progress | None = None,
) -> tuple[Assigned, ...]:
    """Give every image below `paths` the cluster that `cluster` would have given it.

    Images that the clustering's store lacks are embedded first.

    Parameters
    ----------
    options
        How to embed; its store is not looked at, and its network has to be that of the clustering.
    table
        A CSV file to write: path, key, cluster, distance.

    Raises
    ------
    ImgclusterError
        Where there is no clustering, or it was made in another feature space.
    """
    progress = progress or SilentProgress()
    model, manifest = read_model(os.fspath(clusters)), read_manifest(os.fspath(clusters))
    options = replace(options or ExtractOptions(), store=manifest.store)
    if len(model.spaces) == 1:
        source = source or choose_network(options.choice, progress.note)
        _require_space(source.space.name, model, clusters)
        extract(paths, options, source=source, progress=progress)
    with FeatureStore(manifest.store, lock=options.lock, notify=progress.note) as store:
        spaces = [store.find_space(name=name) for name in model.spaces]
        collection = collect(store, spaces, paths, clusters, progress)
        embeddings = [store.read(space.name, collection.keys) for space in spaces]
    labels, distances = nearest_clusters(model, embeddings)
    rows = {bytes(key): row for row, key in enumerate(collection.keys)}
    found = tuple(
        Assigned(image.path, image.key, int(labels[row]), float(distances[row]))
        for image in collection.images
        for row in (rows[image.key],)
    )
    if table is not None:
        lines = [(image.path, image.key.hex(), image.cluster, image.distance) for image in found]
        write_file(table, csv_bytes(("path", "key", "cluster", "distance"), lines))
    return found


def _require_space(name: str, model: ClusterModel, clusters: str | os.PathLike[str]) -> None:
    if name not in model.spaces:
        raise ImgclusterError(
            f"{clusters} was made in the feature space {model.spaces[0]}, and these options give {name}: "
            "choose its --network and --weights"
        )
