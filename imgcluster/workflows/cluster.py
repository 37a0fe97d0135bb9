"""Clustering: load, prepare and fit; then folders and manifest."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis import choose_k
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster as find_clusters
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.engines.table import find_engine
from imgcluster.errors import ImgclusterError, UsageError, quantity
from imgcluster.images.find import has_image_name
from imgcluster.output.folders import build_folders, check_output, plan_folders, recover
from imgcluster.output.history import history_files
from imgcluster.output.manifest import ClusteringManifest, read_manifest
from imgcluster.output.model_file import model_npz
from imgcluster.output.trust import take_over
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Clustering, NamedCluster, Placement, Progress, SilentProgress
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store_set import open_features
from imgcluster.workflows.choose_network import choose_network
from imgcluster.workflows.clustered import ClusteredImages, points_of, rows_of
from imgcluster.workflows.collection import Collection, choose_spaces, collect, sources, stacked, with_keys
from imgcluster.workflows.corrections import all_edits, constraints_of, covers
from imgcluster.workflows.edits import NO_EDITS, Edits, refuse_too_many
from imgcluster.workflows.examples import embed_examples, find_examples
from imgcluster.workflows.keeping import Successor, keep_identities, what_happened
from imgcluster.workflows.options import DEFAULT_CLUSTERS, ClusterOptions, FitOptions, PrepareOptions
from imgcluster.workflows.spreading import spread_over
from imgcluster.workflows.standing import Standing, count_clusters, find_standing, told_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imgcluster.records import StoredSpace
    from imgcluster.workflows.choose_network import Choose

AUTO_KS = range(2, 13)
"""The numbers of clusters that ``--k auto`` chooses from."""


@dataclass(frozen=True, eq=False)
class ClusterResult(ClusteredImages):
    """What a clustering gave; images and those left out, `sizes` and `unsorted` are counted in files.

    `kept` tells what became of the clusters that the folder held before, `had_report` whether it had one.
    """

    k: int
    images: int
    missing: int
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


def cluster(
    paths: Sequence[str | os.PathLike[str]] = (),
    options: ClusterOptions | None = None,
    *,
    choose: Choose = choose_network,
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
) -> ClusterResult:
    """Sort the embedded images below `paths` (default: all that still exist) into one folder per cluster.

    Without a folder, `options.out` None, nothing is written.

    Raises
    ------
    ImgclusterError
        Where the store knows no image, k is larger than their number, or the folder is not ours to replace.
    """
    options = options or ClusterOptions()
    progress = progress or SilentProgress()
    started = time.perf_counter()
    for folder in filter(None, dict.fromkeys((options.out, options.clusters))):
        take_over(
            folder,
            options.trust,
            owner,
            progress.note,
            dry_run=options.dry_run,
            wait=options.wait_for_folder,
        )
    examples = None if options.examples is None else find_examples(options.examples, progress)
    if examples is not None:
        embed_examples(examples, options, partial(_spaces_of, options=options), choose, progress, owner)
    if options.out is not None and not options.dry_run:
        recover(options.out, progress.note, owner, options.wait_for_folder)
    with open_features(
        options.store,
        lock=not options.no_lock,
        partial=options.partial,
        wait=options.wait or 0.0,
        notify=progress.note,
    ) as store:
        spaces = _spaces_of(store, options=options)
        collection = collect_for(
            store,
            spaces,
            paths,
            options,
            options.out or DEFAULT_CLUSTERS,
            progress,
            owner=owner,
            strict=options.out is not None,
        )
        if examples is not None and not paths:
            collection = collection.without(examples.folder)
        before, edits = _what_is_said(options, store, spaces, owner, progress)
        corrected = covers(edits, before)
        if options.out is not None and not (options.dry_run and options.trust):  # nothing is taken over then
            unplaced = [
                Placement(image.path, image.original, image.key, 0, 0.0) for image in collection.images
            ]
            check_output(
                unplaced, options.out, options.mode, force=options.force, corrected=corrected, owner=owner
            )
        shown = NO_EDITS if examples is None else examples.edits(_key_of(store, before))
        clustering, spoken = _fit(store, collection, options, edits.updated(shown), before, progress)
        collection = with_keys(store, collection, clustering.keys, progress)
        points = None
        if options.out is None:
            points = clustering.keys, points_of(store, clustering.model, clustering.keys)
    those = keep_identities(before, clustering, spoken, renumber=options.renumber)
    clustering, numbers, edits = those.clustering, those.numbers, edits.renamed(those.called)
    if those.kept:
        progress.note(what_happened(those.kept))
    placements = place(collection, clustering, numbers)
    files = [placement.path for placement in placements]
    bytes_to_copy = fallbacks = lost = companions = 0
    if options.out is not None:
        plan = plan_folders(placements, options.out, options.mode, those.names, is_image=has_image_name)
        placements, bytes_to_copy, lost = plan.placements, plan.bytes_to_copy, len(plan.missing)
        companions = len(plan.companions)
        files = [file.source for file in plan.files]
        if not options.dry_run:
            manifest = _manifest(clustering, paths, options)
            model = model_npz(clustering.model)
            history = history_files((*before.steps, before.as_step())) if before is not None else {}
            built = build_folders(
                plan,
                force=options.force,
                corrected=corrected,
                extra_files=lambda made: told_files(made, manifest, numbers, model, edits) | history,
                progress=progress,
                owner=owner,
                wait=options.wait_for_folder,
            )
            fallbacks, plan = built.fallbacks, built.plan
            placements = plan.placements
            files = [f"{plan.out}/{file.relative}" for file in plan.files]
    clusters, unsorted = count_clusters(numbers, those.names, placements)
    return ClusterResult(
        **rows_of(placements, files, points),
        k=clustering.k,
        images=len(placements),
        missing=len(collection.missing) + lost,
        changed=len(collection.changed),
        unembedded=len(collection.unembedded),
        sizes=tuple(cluster.size for cluster in clusters),
        clusters=clusters,
        kept=those.kept,
        unsorted=unsorted,
        out=options.out,
        mode=options.mode,
        algorithm=options.algorithm,
        prepare=options.prepare,
        seed=options.seed,
        inertia=clustering.inertia,
        silhouette=clustering.silhouette,
        seconds=time.perf_counter() - started,
        dry_run=options.dry_run,
        companions=companions,
        bytes_to_copy=bytes_to_copy,
        fallbacks=fallbacks,
        had_report=before is not None and before.has_report,
    )


def _what_is_said(
    options: ClusterOptions,
    store: FeatureReader,
    spaces: Sequence[StoredSpace],
    owner: Ownership,
    progress: Progress,
) -> tuple[Standing | None, Edits]:
    """Find what the output folder holds, with the names of `options.edits`, and all edits that hold."""
    before = _before(options, owner, progress)
    edits, names = all_edits(before, options.edits, _key_of(store, before), _is_known(store, spaces, before))
    if before is not None and names:
        before = before.renamed(names)
        edits = edits.renamed(before.references)
    return before, edits


def _before(options: ClusterOptions, owner: Ownership, progress: Progress) -> Standing | None:
    """Find what the output folder holds; a damaged clustering has neither numbers nor names to keep."""
    if options.out is None or (options.dry_run and options.trust):
        return None
    try:
        return find_standing(options.out, owner)
    except UsageError:  # names given by hand that cannot be
        raise
    except ImgclusterError as error:
        progress.note(f"{error}: its names and numbers are not kept")
        return None


def collect_for(
    store: FeatureReader,
    spaces: Sequence[StoredSpace],
    paths: Sequence[str | os.PathLike[str]],
    options: FitOptions,
    out: str,
    progress: Progress,
    *,
    owner: Ownership,
    strict: bool = False,
) -> Collection:
    """Collect the images; ImgclusterError where there are none, or `options.clusters` is not a clustering."""
    if options.clusters is not None:
        read_manifest(options.clusters)
    clusters = options.clusters or out
    return collect(store, spaces, paths, clusters, progress, owner=owner, also=out, strict=strict)


def _spaces_of(store: FeatureReader, options: ClusterOptions) -> tuple[StoredSpace, ...]:
    return choose_spaces(store, networks=options.network, space=options.space)


def _key_of(store: FeatureReader, before: Standing | None) -> Callable[[str], bytes | None]:
    """Tell the key of the image that was extracted from a path, or lies there in the clustering."""
    placements = () if before is None else before.told.placements
    keys = {path: image.key for image in placements for path in (image.original, image.path, image.shown)}
    keys |= {entry.path: entry.key for entry in store.paths()}
    return keys.get


def _is_known(
    store: FeatureReader, spaces: Sequence[StoredSpace], before: Standing | None
) -> Callable[[bytes], bool]:
    placed = frozenset() if before is None else {image.key for image in before.told.placements}
    return lambda key: (
        key in placed
        or any(store.contains(space.name, np.frombuffer(key, np.uint8)[None]).any() for space in spaces)
    )


def _fit(
    store: FeatureReader,
    collection: Collection,
    options: ClusterOptions,
    edits: Edits,
    before: Standing | None,
    progress: Progress,
) -> tuple[Clustering, dict[int, str]]:
    """Find the clusters, and which of them the edits speak of, by their rows."""
    names = tuple(space.name for space in collection.spaces)
    prepare = prepare_settings(options)
    others = {edit.key for edit in edits.images if not edit.barred} - set(map(bytes, collection.keys))
    known = store.contains(collection.spaces[0].name, stacked(sorted(others))) if options.examples else ()
    shown = [key for key, is_known in zip(sorted(others), known, strict=False) if is_known]
    embeddings = sources(store, collection.with_keys_of(shown))
    engine = find_engine(options.engine, options.engine_settings)
    spread = spread_over(engine, store, collection.spaces, embeddings, lock=not options.no_lock)
    k = options.k
    if options.only_examples:
        k = len(edits.clusters)
    if k is None:
        ks = [number for number in AUTO_KS if number < len(collection.keys)] or [1]
        suggested, _ = choose_k.sweep(
            embeddings, names, prepare, ks, cluster_settings(2, options), progress, spread
        )
        progress.note(f"k = {suggested.suggestion}: {suggested.reason}")
        k = suggested.suggestion
    if k > len(collection.images):
        raise ImgclusterError(
            f"{k} clusters of {quantity(len(collection.images), 'image')} cannot be made: choose a smaller k"
        )
    if k > len(collection.keys):
        k = len(collection.keys)
        progress.note(
            f"only {k} of {len(collection.images)} images are distinct: making {quantity(k, 'cluster')}"
        )
    seeded = options.examples is not None
    references, constraints = constraints_of(edits, before, embeddings[0].keys, seeded=seeded)
    if options.k is None:
        k = min(max(k, len(references)), len(collection.keys))
    refuse_too_many(references, k)
    copies = Counter(image.key for image in collection.images)
    weights = np.array([copies[bytes(key)] for key in embeddings[0].keys], np.int64)
    settings = replace(cluster_settings(k, options), leave_out=options.leave_out)
    found = find_clusters(embeddings, names, prepare, settings, progress, weights, constraints, spread)
    return found, {
        row: references[label] for row, label in enumerate(found.model.numbers) if label < len(references)
    }


def prepare_settings(options: PrepareOptions) -> PrepareSettings:
    """Take from the options what is about the preparation."""
    return PrepareSettings(options.prepare, options.pca, options.whiten)


def cluster_settings(k: int, options: FitOptions) -> ClusterSettings:
    """Take from the options what is about the clusterer."""
    return ClusterSettings(k, options.algorithm, options.seed, options.restarts, options.memory)


def place(collection: Collection, clustering: Clustering, numbers: Sequence[int]) -> tuple[Placement, ...]:
    """Give every image file the cluster of its key, in the order of the paths; clusters have `numbers`."""
    number_of = dict(enumerate(numbers)) | {-1: -1}
    rows = {bytes(key): row for row, key in enumerate(clustering.keys)}
    placements = []
    for image in collection.images:
        row = rows[image.key]
        placements.append(
            Placement(
                image.path,
                image.original,
                image.key,
                number_of[int(clustering.labels[row])],
                float(clustering.distances[row]),
                float(clustering.silhouettes[row]),
                probability=float(clustering.probabilities[row]),
            )
        )
    return tuple(placements)


def _manifest(
    clustering: Clustering,
    paths: Sequence[str | os.PathLike[str]],
    options: ClusterOptions,
) -> ClusteringManifest:
    own_fields = {"k", "seed", "algorithm", "prepare", "mode", "store"}
    others = {name: value for name, value in options.recorded().items() if name not in own_fields}
    if options.k is None:
        others["k"] = "auto"
    if options.leave_out is not None:
        others["leave_out"] = options.leave_out or "auto"
    if options.clusters is not None:
        others["clusters"] = os.path.abspath(options.clusters)
    return ClusteringManifest(
        k=clustering.k,
        seed=options.seed,
        algorithm=options.algorithm,
        prepare=options.prepare,
        mode=options.mode,
        store=os.path.abspath(options.store),
        spaces=clustering.model.spaces,
        sizes=(),  # how many files there are is told by the plan
        images=0,
        paths=tuple(os.path.abspath(os.fspath(path)) for path in paths),
        inertia=clustering.inertia,
        silhouette=clustering.silhouette,
        options=others,
        versions={package: version(package) for package in ("imgcluster", "numpy", "scikit-learn")},
    )
