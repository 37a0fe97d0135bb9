"""The images of a store that still exist: what every command after `extract` works on."""

from __future__ import annotations

import contextlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import ImgclusterError, UsageError, quantity
from imgcluster.files import lies_below
from imgcluster.images.find import lies_in_library
from imgcluster.readings import Readings
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store_set import open_features
from imgcluster.workflows.existing import Check, Existing, StoredImage, chooser, existing, moved_into
from imgcluster.workflows.options import SpaceOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgcluster.output.moved import MovedImage
    from imgcluster.ownership import Ownership
    from imgcluster.records import Embeddings, EmbeddingSource, Keys, Notify, PathEntry, Progress, StoredSpace

_BLOCK_BYTES = 64 << 20
_BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Collection:
    """The images that a command works on, in the order of the paths that they came from.

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
    unembedded
        Paths without an embedding in (one of) the spaces.
    """

    spaces: tuple[StoredSpace, ...]
    images: tuple[StoredImage, ...]
    keys: Keys
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unembedded: tuple[str, ...]

    def without(self, folder: str) -> Collection:
        """Leave out what lies below a folder. ImgclusterError where nothing is left."""
        images = tuple(image for image in self.images if not lies_below(image.path, [folder]))
        if not images:
            raise ImgclusterError(f"all images lie in {folder}, the folder of examples: extract others first")
        return replace(self, images=images, keys=distinct_keys(images))

    def with_keys_of(self, others: Sequence[bytes]) -> Collection:
        """Have keys of others among its own."""
        return replace(self, keys=stacked(sorted({*map(bytes, self.keys), *others}))) if others else self


@contextmanager
def open_space(options: SpaceOptions, notify: Notify) -> Iterator[tuple[FeatureReader, StoredSpace]]:
    """Open the store for reading and find the space. Raises StoreError where there is none."""
    with open_features(
        options.store, lock=not options.no_lock, partial=options.partial, notify=notify
    ) as store:
        networks = (options.network,) if options.network else ()
        (space,) = choose_spaces(store, networks=networks, space=options.space)
        yield store, space


def choose_spaces(
    store: FeatureReader, *, networks: Sequence[str] = (), space: str | None = None
) -> tuple[StoredSpace, ...]:
    """Choose the only space, else the one that each network leaves, else the one with the name `space`.

    Among `networks` may be names of spaces, too: a network that has several is joined with another by that.

    Raises
    ------
    StoreError
        Where a space is missing or not decided.
    UsageError
        Where a space is named twice.
    """
    if space is not None or not networks:
        return (store.find_space(name=space, network=networks[0] if networks else None),)
    names = {stored.name for stored in store.spaces}
    chosen = tuple(
        store.find_space(name=network) if network in names else store.find_space(network=network)
        for network in networks
    )
    if len({chosen_space.name for chosen_space in chosen}) < len(chosen):
        raise UsageError(
            f"--network {' and --network '.join(networks)} name one feature space twice: "
            "joined with itself, it adds nothing"
        )
    return chosen


def collect(
    store: FeatureReader,
    spaces: Sequence[StoredSpace],
    paths: Sequence[str | os.PathLike[str]],
    clusters: str | os.PathLike[str],
    progress: Progress,
    *,
    owner: Ownership,
    also: str | os.PathLike[str] | None = None,
    strict: bool = False,
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
    clusters, also
        Clusterings: images that ``--mode move`` put there are found there.
    progress
        Told about images that are gone or changed.
    owner
        Knows which files were read before; others are read where that is needed.
    strict
        Whether every file must be known to hold the bytes of its key, for something is done with it.

    Raises
    ------
    ImgclusterError
        Where no image is left.
    """
    entries = {entry.path: entry for entry in store.paths()}
    clusterings = dict.fromkeys((clusters, clusters if also is None else also))
    moved = _known(tuple(moved_into(clusterings, owner, progress.note)), entries, store, spaces)
    check = Check(Readings(owner, store.path), progress, strict=strict)
    found = existing(entries, moved, chooser(paths, moved), check)
    images, unembedded = _embedded(store, spaces, found.images)
    left_out = _left_out(spaces, found, unembedded)
    # Earlier versions went into libraries of photo managers, and `--mode move` is not to take these apart.
    roots = (*map(os.path.abspath, paths), *store.scanned_folders())
    managed = {image.path: image for image in images if lies_in_library(image.path, roots)}
    if managed:
        left_out.append(_LeftOut([*managed], "in a photo manager's library", "name the library to take them"))
        images = [image for image in images if image.path not in managed]
    if not images:
        raise ImgclusterError(_why_none(store, paths, left_out))
    for group in left_out:
        progress.note(f"left out: {group}")
    return Collection(
        tuple(spaces),
        tuple(images),
        distinct_keys(images),
        tuple(found.missing),
        tuple(found.changed),
        tuple(unembedded),
    )


def distinct_keys(images: Iterable[StoredImage]) -> Keys:
    """(N, 32) uint8: the distinct keys of images, sorted."""
    return stacked(sorted({image.key for image in images}))


def stacked(keys: Sequence[bytes]) -> Keys:
    """(N, 32) uint8: these keys."""
    """(N, 32) uint8: keys as rows."""
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32)


def _known(
    moved: Sequence[MovedImage],
    entries: Mapping[str, PathEntry],
    store: FeatureReader,
    spaces: Sequence[StoredSpace],
) -> list[MovedImage]:
    """Leave out the moved images of other stores."""
    keys = stacked([image.key for image in moved])
    embedded = np.zeros(len(moved), bool)
    for space in spaces:
        embedded |= store.contains(space.name, keys)
    return [image for image, known in zip(moved, embedded, strict=True) if known or image.original in entries]


def _embedded(
    store: FeatureReader, spaces: Sequence[StoredSpace], images: Sequence[StoredImage]
) -> tuple[list[StoredImage], list[str]]:
    """Part the images that all spaces know from the paths of the others."""
    keys = stacked([image.key for image in images])
    known = np.ones(len(images), bool)
    for space in spaces:
        known &= store.contains(space.name, keys)
    return (
        [image for image, is_known in zip(images, known, strict=True) if is_known],
        [image.path for image, is_known in zip(images, known, strict=True) if not is_known],
    )


@dataclass(frozen=True)
class _LeftOut:
    """Images that cannot be used: which, why, and what to do about it."""

    paths: Sequence[str]
    why: str
    advice: str

    def __str__(self) -> str:
        return f"{quantity(len(self.paths), 'image')} {self.why}, the first: {self.paths[0]}: {self.advice}"


def _left_out(spaces: Sequence[StoredSpace], found: Existing, unembedded: Sequence[str]) -> list[_LeftOut]:
    names = " and ".join(space.name for space in spaces)
    everything = (
        _LeftOut(found.missing, "gone since extraction", _advice_on(found.missing)),
        _LeftOut(found.changed, "changed since extraction", "run `imgcluster extract` on them again"),
        _LeftOut(unembedded, f"without an embedding in {names}", "run `imgcluster extract` on them"),
    )
    return [group for group in everything if group.paths]


def _advice_on(missing: Sequence[str]) -> str:
    """Say what may have become of images that are gone, and what to do then."""
    if not missing:
        return ""
    top = os.path.dirname(missing[0])
    deleted = "if they were deleted, `imgcluster store prune` forgets them"
    moved = "if `cluster --mode move` put them elsewhere, name that folder with --clusters"
    if os.path.isdir(top):
        return f"{deleted}; {moved}"
    while not os.path.isdir(os.path.dirname(top)):
        top = os.path.dirname(top)
    found = _renamed(top, os.path.relpath(missing[0], top))
    again = f"`imgcluster extract {found or 'FOLDER'}` finds them again without the network"
    return again if found else f"if their folder was renamed or moved, {again}; {moved}; {deleted}"


def _renamed(folder: str, file: str) -> str:
    """Return the folder beside a missing one that holds the same file; empty where there is none."""
    with contextlib.suppress(OSError), os.scandir(os.path.dirname(folder)) as entries:
        for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
            if entry.is_dir() and os.path.isfile(os.path.join(entry.path, file)):
                return entry.path
    return ""


def _why_none(
    store: FeatureReader, paths: Sequence[str | os.PathLike[str]], left_out: Sequence[_LeftOut]
) -> str:
    where = f" below {', '.join(map(str, paths))}" if paths else ""
    if not left_out:
        return f"{store.path} knows no image{where}: run `imgcluster extract` first"
    return f"no image is left: {'; '.join(map(str, left_out))}"


def with_keys(store: FeatureReader, collection: Collection, keys: Keys, progress: Progress) -> Collection:
    """Leave out the images whose keys are not among `keys`, for their embeddings are not finite; name them.

    Raises
    ------
    ImgclusterError
        Where no image is left.
    """
    if len(keys) == len(collection.keys):
        return collection
    usable = set(map(bytes, keys))
    for image in collection.images:
        if image.key not in usable:
            progress.note(f"left out, for its embedding holds NaN or infinity: {image.path}")
    images = tuple(image for image in collection.images if image.key in usable)
    if not images:
        raise ImgclusterError(
            f"every embedding in {store.path} holds NaN or infinity: extract with other weights"
        )
    return replace(collection, images=images, keys=distinct_keys(images))


def sources(store: FeatureReader, collection: Collection) -> tuple[EmbeddingSource, ...]:
    """One source per feature space, the images in one order in all of them."""
    found = tuple(store.source(space.name, collection.keys) for space in collection.spaces)
    if all(np.array_equal(source.keys, found[0].keys) for source in found[1:]):
        return found
    return tuple(_InOrderOfKeys(store, space, collection.keys) for space in collection.spaces)


def embedding_blocks(
    store: FeatureReader, spaces: Sequence[StoredSpace], keys: Keys
) -> Iterator[list[Embeddings]]:
    """Yield the embeddings of keys in their order, a block of each space at a time."""
    rows = max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // (4 * sum(space.dimension for space in spaces))))
    for start in range(0, len(keys), rows):
        yield [store.read(space.name, keys[start : start + rows]) for space in spaces]


@dataclass(frozen=True)
class _InOrderOfKeys:
    """Embeddings in the order of `keys`, for spaces that hold their rows in different orders."""

    store: FeatureReader
    space: StoredSpace
    keys: Keys

    @property
    def dimension(self) -> int:
        return self.space.dimension

    def blocks(self) -> Iterator[Embeddings]:
        for (block,) in embedding_blocks(self.store, (self.space,), self.keys):
            yield block
