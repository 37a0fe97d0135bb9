"""Clustering: load, prepare and fit; then folders and manifest."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from imgcluster.analysis import choose_k
from imgcluster.analysis.clusterer import ClusterSettings, LeaveOut
from imgcluster.analysis.clustering import check_count
from imgcluster.analysis.clustering import cluster as find_clusters
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.engines.table import find_engine
from imgcluster.errors import ChangedMeanwhile, UsageError, quantity
from imgcluster.images.find import has_image_name
from imgcluster.output.folders import FolderPlan, build_folders, check_output, plan_folders, recover
from imgcluster.output.history import history_files
from imgcluster.output.life import look
from imgcluster.output.link_modes import TABLE
from imgcluster.output.manifest import ClusteringManifest
from imgcluster.output.marker import Marker
from imgcluster.output.model_file import model_npz
from imgcluster.output.trust import take_over
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Clustering, Placement, Progress, row_of_key
from imgcluster.typed import DEFAULT_CLUSTERS, place_of
from imgcluster.workflows.choose_network import Choose, choose_network
from imgcluster.workflows.cluster_identities import Identities, SpokenOf, keep_identities, what_happened
from imgcluster.workflows.cluster_result import ClusterResult, arrays_of, points_of
from imgcluster.workflows.clustering_folder import SavedClustering, count_files
from imgcluster.workflows.edits import Edits
from imgcluster.workflows.embedded_images import (
    EmbeddedImages,
    choose_spaces,
    clusterings_of,
    collect,
    open_store,
)
from imgcluster.workflows.examples import Examples, embed_examples, find_examples
from imgcluster.workflows.options import ClusterOptions, FitOptions, PrepareOptions
from imgcluster.workflows.prepare_on_engine import spread_over
from imgcluster.workflows.user_edits import UserEdits, gather_edits

MOST_IN_FOLDERS = 1_000_000
"""Of more images ``--mode auto`` makes a table: each link is an inode, and few programs open such folders."""

AUTO_KS = range(2, 13)
"""The numbers of clusters that ``--k auto`` chooses from."""


def cluster(
    paths: Sequence[str | os.PathLike[str]] = (),
    options: ClusterOptions | None = None,
    *,
    choose: Choose = choose_network,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> ClusterResult:
    """Sort the embedded images below `paths` (default: all that still exist) into one folder per cluster.

    Without a folder, `options.out` None, nothing is written.

    Raises
    ------
    ImgclusterError
        Where the store knows no image, k is larger than their number, or the folder is not ours to replace.
    """
    options = options or ClusterOptions()
    while True:
        try:
            return _cluster(paths, options, choose, owner, progress)
        except ChangedMeanwhile:  # each time another run has done its work, so this comes to its turn
            progress.note(f"{options.out} was clustered or named meanwhile: once more, from what is there")


def _cluster(
    paths: Sequence[str | os.PathLike[str]],
    options: ClusterOptions,
    choose: Choose,
    owner: Ownership,
    progress: Progress,
) -> ClusterResult:
    started = time.perf_counter()
    examples = _made_ready(options, choose, owner, progress)
    standing = _standing(options, owner)
    with open_store(options, progress) as store:
        spaces = choose_spaces(store, options)
        clusterings = clusterings_of(options, options.out or DEFAULT_CLUSTERS)
        strict = options.out is not None
        collection = collect(store, spaces, paths, clusterings, progress, owner=owner, strict=strict)
        if examples is not None and not paths:
            collection = collection.without(examples.folder)
        options = _with_mode(options, len(collection.images), progress)
        said = gather_edits(options, collection, owner, progress)
        _check_output(options, collection, said, owner)
        edits = said.edits if examples is None else said.edits.updated(examples.edits(said.key_of(store)))
        found = _fit(collection, options, said, edits, progress)
        clustering = found.clustering
        collection = collection.finite(clustering.keys, progress)
        points = points_of(store, clustering.model, clustering.keys) if options.out is None else None
    those = keep_identities(said, found, renumber=options.renumber)
    if those.kept:
        progress.note(what_happened(those.kept))
    placements = place(collection, those.clustering, [each.number for each in those.clusters])
    plan, files = None, [each.path for each in placements]
    if options.out is not None:
        manifest = _manifest(those, paths, options)
        corrections = said.edits.renamed(those.called)
        saved = SavedClustering(manifest, (), model_npz(those.clustering.model), corrections)
        plan, files = _folders(placements, saved, said, options, standing, owner, progress)
        placements = plan.placements
    if points is not None:
        row = row_of_key(clustering.keys)
        points = points[[row[placement.key] for placement in placements]]
    clusters, unsorted = count_files(those.clusters, placements)
    return ClusterResult(
        **arrays_of(placements),
        files=tuple(files),
        points=points,
        k=clustering.k,
        images=len(placements),
        missing=len(collection.missing) + (len(plan.missing) if plan else 0),
        unreadable=len(collection.unreadable),
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
        companions=len(plan.companions) if plan else 0,
        bytes_to_copy=plan.bytes_to_copy if plan else 0,
        fallbacks=plan.fallbacks if plan else 0,
        had_report=said.before is not None and said.before.has_report and not options.dry_run,
    )


def _made_ready(
    options: ClusterOptions, choose: Choose, owner: Ownership, progress: Progress
) -> Examples | None:
    """Take over what is trusted, embed examples, and finish what an interrupted run left."""
    for folder in filter(None, dict.fromkeys((options.out, options.clusters))):
        take_over(
            folder, options.trust, owner, progress.note, dry_run=options.dry_run, wait=options.wait_for_folder
        )
    examples = None if options.examples is None else find_examples(options.examples, progress)
    if examples is not None:
        embed_examples(examples, options, choose, progress, owner)
    if options.out is not None and not options.dry_run:
        recover(options.out, progress.note, owner, options.wait_for_folder)
    return examples


def _standing(options: ClusterOptions, owner: Ownership) -> Marker | None:
    """Return the marker of the clustering that is to be replaced; one that is foreign is refused at once."""
    if options.out is None or options.only_looks:
        return None
    found = look(place_of(options.out), owner)
    found.refuse_foreign(found.out)
    return found.marker


def _check_output(
    options: ClusterOptions, collection: EmbeddedImages, said: UserEdits, owner: Ownership
) -> None:
    """Refuse before the long work what could not be written after it."""
    if options.out is None or options.only_looks:
        return
    unplaced = [Placement(i.path, i.original, i.key, 0, 0.0, expected=i.expected) for i in collection.images]
    force, corrected = options.force, said.cover_all
    check_output(unplaced, options.out, options.mode, force=force, corrected=corrected, owner=owner)


def _folders(
    placements: Sequence[Placement],
    saved: SavedClustering,
    said: UserEdits,
    options: ClusterOptions,
    standing: Marker | None,
    owner: Ownership,
    progress: Progress,
) -> tuple[FolderPlan, list[str]]:
    """Plan the folders and make them, unless it is a dry run; tell where each image is to be seen."""
    names = saved.manifest.names
    plan = plan_folders(placements, options.out or "", options.mode, names, is_image=has_image_name)
    if options.dry_run:
        return plan, [file.source for file in plan.files]
    history = {} if said.before is None else history_files(said.before.all_steps)
    made = build_folders(
        plan,
        force=options.force,
        corrected=said.cover_all,
        extra_files=lambda made: saved.as_made(made) | history,
        progress=progress,
        owner=owner,
        expected_marker=standing,
        wait=options.wait_for_folder,
    )
    return made, made.shown


def _fit(
    collection: EmbeddedImages, options: ClusterOptions, said: UserEdits, edits: Edits, progress: Progress
) -> SpokenOf:
    """Find the clusters, and which of them the edits, also those of examples, speak of."""
    names = tuple(space.name for space in collection.spaces)
    prepare = prepare_settings(options)
    shown: list[bytes] = []
    if options.examples:
        others = sorted({e.key for e in edits.images if not e.barred} - set(map(bytes, collection.keys)))
        counts = collection.count_spaces(others)
        shown = [key for key, count in zip(others, counts, strict=True) if count == len(names)]
    embeddings = collection.sources(shown)
    engine = find_engine(options.engine, options.engine_settings)
    spread = spread_over(engine, collection, embeddings, lock=not options.no_lock)
    references, constraints = said.constraints(edits, embeddings[0].keys, seeded=options.examples is not None)
    k = len(edits.clusters) if options.only_examples else options.k
    most = len(collection.keys) - (0 if constraints is None else constraints.outside)
    if k is None:
        ks = [number for number in AUTO_KS if number < most] or [1]
        suggested, _ = choose_k.sweep(
            embeddings, names, prepare, ks, cluster_settings(2, options), progress, spread
        )
        progress.note(f"k = {suggested.suggestion}: {suggested.reason}")
        k = suggested.suggestion
    if k > len(collection.images):
        check_count(k, len(collection.keys))
    if k > len(collection.keys):
        k = len(collection.keys)
        progress.note(
            f"only {k} of {len(collection.images)} images {'is' if k == 1 else 'are'} distinct: "
            f"making {quantity(k, 'cluster')}"
        )
    if options.k is None:
        k = min(max(k, len(references)), most)
    if len(references) > k:
        who = "edits name" if options.examples is None else "examples and edits name"
        raise UsageError(
            f"the {who} {quantity(len(references), 'cluster')} ({', '.join(sorted(references)[:20])}): "
            f"choose --k {len(references)} or more"
        )
    if constraints is not None and not constraints.seeded:
        constraints = replace(constraints, own=said.own(edits, references, k))
    copies = Counter(image.key for image in collection.images)
    weights = np.array([copies[bytes(key)] for key in embeddings[0].keys], np.int64)
    settings = cluster_settings(k, options, options.leave_out)
    found = find_clusters(embeddings, names, prepare, settings, progress, weights, constraints, spread)
    rows = enumerate(found.model.numbers)
    own = frozenset(references[group] for group in (constraints.own if constraints is not None else ()))
    called = {row: references[label] for row, label in rows if label < len(references)}
    return SpokenOf(found, called, own)


def _with_mode(options: ClusterOptions, images: int, progress: Progress) -> ClusterOptions:
    """Decide what ``auto`` is where there are too many images for folders."""
    if options.out is None or options.mode != "auto" or images <= MOST_IN_FOLDERS:
        return options
    progress.note(
        f"{images} images are more than folders are good for: assignments.csv tells their clusters; "
        "for folders name a --mode, such as hardlink"
    )
    return options.but(mode=TABLE)


def prepare_settings(options: PrepareOptions) -> PrepareSettings:
    """Take from the options what is about the preparation."""
    return PrepareSettings(options.prepare, options.pca, options.whiten)


def cluster_settings(k: int, options: FitOptions, leave_out: LeaveOut = None) -> ClusterSettings:
    """Take from the options what is about the clusterer."""
    return ClusterSettings(k, options.algorithm, options.seed, options.restarts, options.memory, leave_out)


def place(
    collection: EmbeddedImages, clustering: Clustering, numbers: Sequence[int]
) -> tuple[Placement, ...]:
    """Give every image file the cluster of its key, in the order of the paths; clusters have `numbers`."""
    rows = row_of_key(clustering.keys)
    number_of = (*numbers, -1)  # what fits nowhere has the label -1
    return tuple(
        Placement(
            image.path,
            image.original,
            image.key,
            number_of[clustering.labels[row]],
            float(clustering.distances[row]),
            float(clustering.silhouettes[row]),
            probability=float(clustering.probabilities[row]),
            expected=image.expected,
        )
        for image in collection.images
        for row in (rows[image.key],)
    )


def _manifest(
    those: Identities, paths: Sequence[str | os.PathLike[str]], options: ClusterOptions
) -> ClusteringManifest:
    clustering = those.clustering
    own_fields = {"k", "seed", "algorithm", "prepare", "mode", "store"}
    others = {name: value for name, value in options.recorded().items() if name not in own_fields}
    if options.k is None:
        others["k"] = "auto"
    if options.partial:
        others["partial"] = True
    for folder in ("clusters", "examples"):
        if folder in others:
            others[folder] = os.path.abspath(others[folder])
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
        clusters=those.clusters,
        own=those.own,
        paths=tuple(os.path.abspath(os.fspath(path)) for path in paths),
        inertia=clustering.inertia,
        silhouette=clustering.silhouette,
        options=others,
        versions={package: version(package) for package in ("imgcluster", "numpy", "scikit-learn")},
    )
