"""The images of a store that still exist: what every command after `extract` works on."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.prepare import finite_rows
from imgcluster.errors import ImgclusterError
from imgcluster.output.manifest import read_assignments
from imgcluster.store.store import FeatureStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgcluster.records import Embeddings, EmbeddingSource, Keys, Notify, PathEntry, Progress, StoredSpace

_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image file with an embedding; `original` is where it came from, `path` where it lies now."""

    path: str
    original: str
    key: bytes


@dataclass(frozen=True)
class Collection:
    """The images that a command works on, in the order of their paths.

    Attributes
    ----------
    spaces
        The feature spaces in use, mostly one.
    images
        Files; several may share a key.
    keys
        (N, 32) uint8: the distinct keys, sorted.
    missing, changed
        Paths that are gone, and paths whose file is not the one that was embedded.
    """

    spaces: tuple[StoredSpace, ...]
    images: tuple[StoredImage, ...]
    keys: Keys
    missing: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class SpaceChoice:
    """Which feature space of which store, as the options name it; `clusters` finds images that were moved."""

    store: str = "features.h5"
    network: str | None = None
    space: str | None = None
    lock: bool = True
    clusters: str = "clusters"

    @contextmanager
    def open(self, notify: Notify) -> Iterator[tuple[FeatureStore, StoredSpace]]:
        """Open the store for reading and find the space. Raises StoreError where there is none."""
        with FeatureStore(self.store, lock=self.lock, notify=notify) as store:
            (space,) = choose_spaces(
                store, networks=(self.network,) if self.network else (), space=self.space
            )
            yield store, space


def choose_spaces(
    store: FeatureStore, *, networks: Sequence[str] = (), space: str | None = None
) -> tuple[StoredSpace, ...]:
    """Choose the only space, else the one that each network leaves, else the one with the name `space`."""
    if len(networks) > 1:
        return tuple(store.find_space(network=network) for network in networks)
    return (store.find_space(name=space, network=networks[0] if networks else None),)


def collect(
    store: FeatureStore,
    spaces: Sequence[StoredSpace],
    paths: Sequence[str | os.PathLike[str]],
    clusters: str | os.PathLike[str],
    progress: Progress,
) -> Collection:
    """Collect the images below `paths` (all where there are none) that exist and have an embedding.

    Parameters
    ----------
    store
        Open.
    spaces
        The feature spaces that must all know an image.
    paths
        Files and folders.
    clusters
        A folder of clusters: where ``--mode move`` put images there, they are found.
    progress
        Told about images that are gone, changed or not usable.

    Raises
    ------
    ImgclusterError
        Where no image is left.
    """
    entries = _below(store.paths(), paths)
    images, missing, changed = _existing(entries, _moved_images(os.fspath(clusters)))
    images = _embedded(store, spaces, images, progress)
    images = _usable(store, spaces, images, progress)
    if missing:
        progress.note(f"{len(missing)} images are gone since extraction, the first: {missing[0]}")
    if changed:
        progress.note(
            f"{len(changed)} images changed since extraction and are left out, the first: {changed[0]}: "
            "run `imgcluster extract` again"
        )
    if not images:
        where = f" below {', '.join(map(str, paths))}" if paths else ""
        raise ImgclusterError(f"{store.path} knows no image{where}: run `imgcluster extract` first")
    return Collection(tuple(spaces), tuple(images), distinct_keys(images), tuple(missing), tuple(changed))


def distinct_keys(images: Iterable[StoredImage]) -> Keys:
    """(N, 32) uint8: the distinct keys of images, sorted."""
    keys = sorted({image.key for image in images})
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32)


def _below(entries: Iterable[PathEntry], paths: Sequence[str | os.PathLike[str]]) -> list[PathEntry]:
    if not paths:
        return list(entries)
    roots = {os.path.abspath(os.fspath(path)) for path in paths}
    for root in sorted(roots):
        if not os.path.lexists(root):
            raise ImgclusterError(f"{root} does not exist: name a folder or file that does")
    folders = tuple(root.rstrip(os.sep) + os.sep for root in roots if os.path.isdir(root))
    return [entry for entry in entries if entry.path in roots or entry.path.startswith(folders)]


def _moved_images(clusters: str) -> Mapping[str, str]:
    """Original path to present path."""
    if not os.path.isdir(clusters):
        return {}
    try:
        placements = read_assignments(clusters)
    except ImgclusterError:
        # Something else lies there; whoever writes to it judges that.
        return {}
    return {p.original: p.path for p in placements if p.path != p.original}


def _existing(
    entries: Iterable[PathEntry], moved: Mapping[str, str]
) -> tuple[list[StoredImage], list[str], list[str]]:
    images, missing, changed = [], [], []
    for entry in entries:
        path = entry.path
        stat = _stat(path)
        if stat is None and path in moved:
            path = moved[path]
            stat = _stat(path)
        if stat is None:
            missing.append(entry.path)
        elif (stat.st_size, stat.st_mtime_ns) != (entry.size, entry.mtime_ns):
            changed.append(entry.path)
        else:
            images.append(StoredImage(path, entry.path, entry.key))
    return images, missing, changed


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _embedded(
    store: FeatureStore, spaces: Sequence[StoredSpace], images: list[StoredImage], progress: Progress
) -> list[StoredImage]:
    keys = np.frombuffer(b"".join(image.key for image in images), np.uint8).reshape(-1, 32)
    known = np.ones(len(images), bool)
    for space in spaces:
        known &= store.contains(space.name, keys)
    unknown = np.flatnonzero(~known)
    if len(unknown):
        names = " and ".join(space.name for space in spaces)
        progress.note(
            f"{len(unknown)} images have no embedding in {names} and are left out, the first: "
            f"{images[unknown[0]].path}: run `imgcluster extract` on them"
        )
    return [image for image, is_known in zip(images, known, strict=True) if is_known]


def _usable(
    store: FeatureStore, spaces: Sequence[StoredSpace], images: list[StoredImage], progress: Progress
) -> list[StoredImage]:
    """Leave out images whose embedding is not finite, and name them."""
    bad: set[bytes] = set()
    for space in spaces:
        source = store.source(space.name, distinct_keys(images))
        bad |= {bytes(key) for key in source.keys[~finite_rows(source)]}
    for image in images:
        if image.key in bad:
            progress.note(f"left out, for its embedding holds values that are no numbers: {image.path}")
    return [image for image in images if image.key not in bad]


def sources(store: FeatureStore, collection: Collection) -> tuple[EmbeddingSource, ...]:
    """One source per feature space, the images in one order in all of them."""
    found = tuple(store.source(space.name, collection.keys) for space in collection.spaces)
    if all(np.array_equal(source.keys, found[0].keys) for source in found[1:]):
        return found
    return tuple(_InOrderOfKeys(store, space, collection.keys) for space in collection.spaces)


@dataclass(frozen=True)
class _InOrderOfKeys:
    """Embeddings in the order of `keys`, for spaces that hold their rows in different orders."""

    store: FeatureStore
    space: StoredSpace
    keys: Keys

    @property
    def dimension(self) -> int:
        return self.space.dimension

    def blocks(self) -> Iterator[Embeddings]:
        rows = max(1, _BLOCK_BYTES // (4 * self.dimension))
        for start in range(0, len(self.keys), rows):
            yield self.store.read(self.space.name, self.keys[start : start + rows])
