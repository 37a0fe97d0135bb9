"""Assignment: new images to the clusters that exist, without a refit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.clustering import model_points, predict
from imgcluster.analysis.embeddings import finite_rows
from imgcluster.errors import ImgclusterError, NoImages, UsageError
from imgcluster.files import path_filter
from imgcluster.output.life import refuse_other
from imgcluster.output.manifest import CLUSTERING, ClusteringManifest, read_assignments, read_manifest
from imgcluster.output.marker import Marker, read_marker
from imgcluster.output.model_file import read_model
from imgcluster.output.moved import moved_images
from imgcluster.output.names import UNSORTED
from imgcluster.output.single_file import table_file
from imgcluster.output.trust import is_foreign
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import (
    SILENT,
    ClusterModel,
    Failure,
    Keys,
    NetworkSource,
    Placement,
    Progress,
    StoredSpace,
)
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store_set import is_pattern, open_features
from imgcluster.tabular import Tabular
from imgcluster.typed import place_of
from imgcluster.workflows.choose_network import Choose, choose_network
from imgcluster.workflows.clustering_folder import read_as_made, read_folder, remake
from imgcluster.workflows.edits import kept_edits
from imgcluster.workflows.embedded_images import collect, embedding_blocks
from imgcluster.workflows.extract import extract
from imgcluster.workflows.options import AssignOptions, ExtractOptions
from imgcluster.workflows.stored_network import stored_networks

_COLUMNS = ("path", "key", "cluster", "distance")


@dataclass(frozen=True)
class AssignResult(Tabular, rows="images", of=_COLUMNS):
    """Where each image belongs, how many embeddings were made for that, and the files that gave none.

    The cluster is -1 where an image fits nowhere. `placed` counts those that were put into the folders;
    `had_report` whether a report is outdated by that.
    """

    images: tuple[Placement, ...]
    new: int
    failures: tuple[Failure, ...]
    placed: int = 0
    had_report: bool = False


def assign(
    paths: Sequence[str | os.PathLike[str]],
    options: AssignOptions | None = None,
    *,
    source: NetworkSource | None = None,
    choose: Choose = choose_network,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> AssignResult:
    """Give every image below `paths` the cluster that `cluster` would have given it.

    Images that the store lacks are embedded first, in each feature space of the clustering.

    Parameters
    ----------
    owner
        Whose clustering it is, for ``--place``.
    source
        The network of its feature space, in place of one that is chosen.
    choose
        How a network source is made of a choice; asked only where an image has to be embedded.

    Raises
    ------
    ImgclusterError
        Where there is no clustering, its store lacks a feature space, no image could be read, or the network
        that can be had is not the one of the clustering.
    """
    options = options or AssignOptions()
    if options.store is None and options.write_store is None and is_foreign(options.clusters, owner):
        raise ImgclusterError(
            f"{options.clusters} is not known to be made by a run of yours, so it does not decide which "
            "store is written: name one with --store"
        )
    folder = place_of(options.clusters)
    standing = read_marker(folder, owner)
    if options.store is None and options.write_store is None and standing is not None:
        read_as_made(folder, CLUSTERING, standing)  # it names what is written
    model, manifest = read_model(options.clusters), read_manifest(options.clusters)
    store = options.store or manifest.store
    if options.write_store is None and is_pattern(store):
        raise UsageError(f"{store} is a set of stores: name one that keeps new embeddings with --write-store")
    written = options.write_store or store
    if source is not None and source.space.name not in model.spaces:
        raise ImgclusterError(
            f"{options.clusters} was made of {' and '.join(model.spaces)}, and the source embeds in "
            f"{source.space.name}"
        )
    write_table = table_file(options.out, _COLUMNS)
    new, failures = 0, dict[str, Failure]()
    reading = partial(open_features, lock=not options.no_lock, partial=options.partial, notify=progress.note)
    writing = ExtractOptions(store=written, no_lock=options.no_lock)
    with reading(store) as opened:
        spaces = [opened.find_space(name=name) for name in model.spaces]
        networks = stored_networks(opened, spaces, choose, progress.note, options)
    for stored in networks:
        network = source if source is not None and source.space == stored.space else stored
        try:
            with reading(store) if written != store else nullcontext() as other:
                result = extract(
                    paths, writing, source=network, also_in=other, owner=owner, progress=progress
                )
        except NoImages:
            if not (options.place and _have_moved(paths, options.clusters)):
                raise
            continue
        new += result.new
        failures |= {failure.path: failure for failure in result.failures}
    with reading(*dict.fromkeys((store, written))) as opened:
        spaces = [opened.find_space(name=name) for name in model.spaces]
        collection = collect(opened, spaces, paths, (options.clusters,), progress, owner=owner)
        allowed = _allowed(options.clusters, manifest)
        keys, labels, distances = _predict(opened, spaces, collection.keys, model, allowed)
        collection = collection.finite(keys, progress)
    found = zip(map(bytes, keys), labels.tolist(), distances.tolist(), strict=True)
    clusters = {key: (manifest.number_of[label], distance) for key, label, distance in found}
    for known in read_assignments(options.clusters) if allowed else ():
        # Its neighbours, of which the model knows nothing, may have decided.
        if known.key in clusters and known.cluster in manifest.number_of.values():
            clusters[known.key] = known.cluster, known.distance
    images = tuple(
        Placement(each.path, each.original, each.key, *clusters[each.key]) for each in collection.images
    )
    write_table((each.path, each.key.hex(), each.cluster, each.distance) for each in images)
    answer = AssignResult(images, new, tuple(failures.values()))
    return _place(answer, options.clusters, standing, owner, progress) if options.place else answer


def _place(
    result: AssignResult, clusters: str, standing: Marker | None, owner: Ownership, progress: Progress
) -> AssignResult:
    """Put images that the clustering does not hold yet into its folders; all else stays where it is.

    `standing` is the marker that it had when its model was read.
    """
    folder = read_folder(clusters, owner, progress)
    refuse_other(folder.out, folder.marker, standing)
    there = {(image.original, image.key) for image in folder.saved.placements}
    added = tuple(image for image in result.images if (image.original, image.key) not in there)
    if added:
        saved = replace(folder.saved, placements=folder.saved.placements + added)
        remake(folder, saved, progress, owner)
    return replace(result, placed=len(added), had_report=bool(added) and folder.has_report)


def _have_moved(paths: Sequence[str | os.PathLike[str]], clusters: str) -> bool:
    """Whether images of every path lie in the clustering themselves: then there need be no others."""
    originals = [image.original for image in moved_images(clusters)]
    return all(any(map(path_filter([os.path.abspath(path)]), originals)) for path in paths)


def _allowed(clusters: str, manifest: ClusteringManifest) -> dict[bytes, NDArray[np.bool_]]:
    """Tell for each image that edits speak of the rows of the model that it may be in."""
    numbers = np.array([manifest.number_of[row] for row in range(len(manifest.number_of) - 1)])
    called = {cluster.reference: cluster.number for cluster in manifest.clusters} | {UNSORTED: -1}
    allowed: dict[bytes, NDArray[np.bool_]] = {}
    for edit in kept_edits(clusters).images:
        if edit.cluster in called:
            those = numbers == called[edit.cluster]
            before = allowed.get(edit.key, np.ones(len(numbers), bool))
            allowed[edit.key] = before & (~those if edit.barred else those)
    return allowed


def _predict(
    store: FeatureReader,
    spaces: Sequence[StoredSpace],
    keys: Keys,
    model: ClusterModel,
    allowed: Mapping[bytes, NDArray[np.bool_]],
) -> tuple[Keys, NDArray[np.int32], NDArray[np.float32]]:
    """Give the keys whose embeddings are finite, in their order, their clusters and distances."""
    usable, found, start = [], [], 0
    for blocks in embedding_blocks(store, spaces, keys):
        finite = np.logical_and.reduce([finite_rows(block) for block in blocks])
        usable.append(keys[start : start + len(finite)][finite])
        whole = [block[finite] for block in blocks]
        labels, distances = predict(model, whole)
        for row, key in enumerate(map(bytes, usable[-1])):
            if key in allowed and not allowed[key].any():
                labels[row] = -1
            elif key in allowed and not (labels[row] >= 0 and allowed[key][labels[row]]):
                point = model_points(model, [block[row : row + 1] for block in whole])
                gaps = np.where(allowed[key], np.linalg.norm(model.centroids - point, axis=1), np.inf)
                labels[row], distances[row] = gaps.argmin(), gaps.min()
        found.append((labels, distances))
        start += len(finite)
    labels, distances = (np.concatenate(part) for part in zip(*found, strict=True))
    return np.concatenate(usable), labels, distances
