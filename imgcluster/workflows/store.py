"""The store's own commands: what is in it, is it sound, what can go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgcluster.errors import ImgclusterError
from imgcluster.files import is_forbidden, is_system_name, remove_if_there
from imgcluster.output.life import is_unfinished
from imgcluster.output.manifest import read_manifest
from imgcluster.output.moved import moved_images
from imgcluster.output.report_thumbnails import thumbnail_name
from imgcluster.records import CLUSTERING_MARKER, SILENT, Progress, Run, StoredSpace
from imgcluster.store.merge import Merged
from imgcluster.store.merge import merge as merge_stores
from imgcluster.store.prune import Pruned
from imgcluster.store.prune import prune as prune_store
from imgcluster.store.repair import Repair, Verification
from imgcluster.store.repair import repair as repair_store
from imgcluster.store.repair import verify as verify_store
from imgcluster.store.store import FeatureStore
from imgcluster.store.store_set import find_stores
from imgcluster.tabular import Tabular
from imgcluster.workflows.embedded_images import open_store
from imgcluster.workflows.options import MergeOptions, PruneOptions, ReadStoreOptions, StoreOptions


@dataclass(frozen=True)
class StoreInfo(Tabular, rows="spaces", of=("name", "rows", "dimension", "dtype")):
    """What is in a store or a set; `bytes` is the size of the files, `runs` the extractions, oldest first."""

    schema: int
    bytes: int
    paths: int
    failures: int
    spaces: tuple[StoredSpace, ...]
    runs: tuple[Run, ...]


def info(options: ReadStoreOptions, *, progress: Progress = SILENT) -> StoreInfo:
    """Describe a store or a set of stores. Raises StoreError where there is none."""
    with open_store(options, progress) as features:
        return StoreInfo(
            schema=features.schema,
            bytes=features.file_bytes,
            paths=len(features.paths()),
            failures=len(features.failures()),
            spaces=features.spaces,
            runs=features.runs(),
        )


def verify(options: ReadStoreOptions, *, progress: Progress = SILENT) -> Verification:
    """Check structure and every checksum of a store, or of each of a set; StoreError as `info` raises it."""
    paths = find_stores(options.store, partial=options.partial)
    found = [verify_store(path, lock=not options.no_lock, progress=progress) for path in paths]
    if paths == (options.store,):
        return found[0]
    problems = (
        f"{path}: {problem}" for path, one in zip(paths, found, strict=True) for problem in one.problems
    )
    return Verification(sum(one.rows for one in found), tuple(problems))


def repair(options: StoreOptions, *, progress: Progress = SILENT) -> Repair:
    """Keep every sound row of a damaged store, as `store.repair` says."""
    return repair_store(options.store, lock=not options.no_lock, progress=progress)


def merge(stores: Sequence[str], options: MergeOptions, *, progress: Progress = SILENT) -> Merged:
    """Join stores into a new one, as `store.merge` says."""
    return merge_stores(stores, options.out, lock=not options.no_lock, progress=progress)


def prune(options: PruneOptions, *, thumbnails: str | None = None, progress: Progress = SILENT) -> Pruned:
    """Remove from a store what belongs to images that are gone.

    Images that ``--mode move`` put into a clustering are not: clusterings in the current folder, beside the
    store and in a scanned folder are known, any others have to be named.

    Parameters
    ----------
    thumbnails
        A folder of thumbnails: those of the images that are gone go, too.

    Raises
    ------
    ImgclusterError
        Where a clustering is damaged, unfinished or none at all, or what `store.prune` refuses. Without
        `force` also where a folder that this user may not look into could be a clustering with the images.
    """
    for folder in options.clusters:
        read_manifest(folder)
    store, force, dry_run, lock = options.store, options.force, options.dry_run, not options.no_lock
    with FeatureStore(store, lock=lock, notify=progress.note) as features:
        places = (os.path.dirname(features.path), os.getcwd(), *features.scanned_folders())
        before = _keys(features)
    known = dict.fromkeys(map(os.path.realpath, (*options.clusters, *_clusterings_in(places))))
    moved = [
        (image.original, image.key)
        for folder in known
        for image in moved_images(folder)
        if image.state != "gone"
    ]
    hidden = next((folder for folder in known if is_forbidden(os.path.join(folder, CLUSTERING_MARKER))), None)
    if hidden and not force:
        would = prune_store(store, moved=moved, force=True, dry_run=True, lock=lock)
        if would.rows or would.paths:
            raise ImgclusterError(
                f"{hidden} may hold images that were moved there, and you may not look into it: have its "
                "owner run `imgcluster store prune`, or add --force"
            )
    pruned = prune_store(store, moved=moved, force=force, dry_run=dry_run, lock=lock, progress=progress)
    if thumbnails is not None and pruned.rows and not dry_run:
        with FeatureStore(store, lock=lock, notify=lambda _: None) as features:
            for key in before - _keys(features):
                remove_if_there(os.path.join(thumbnails, thumbnail_name(key.hex())))
    return pruned


def _keys(store: FeatureStore) -> set[bytes]:
    return {bytes(key) for space in store.spaces for key in store.keys(space.name)}


def _clusterings_in(folders: Sequence[str]) -> Iterator[str]:
    for folder in dict.fromkeys(filter(os.path.isdir, folders)):
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_unfinished(entry.name):
                    raise ImgclusterError(
                        f"{entry.path} was left by an interrupted run and may hold images: run `imgcluster "
                        "cluster` or `imgcluster undo` on that clustering first"
                    )
                marker = os.path.join(entry.path, CLUSTERING_MARKER)
                if os.path.exists(marker) or (is_forbidden(marker) and not is_system_name(entry.name)):
                    yield entry.path
