"""The images of a store that still exist: what every command after `extract` works on."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import ImgclusterError, NotFinite, UsageError, quantity
from imgcluster.files import lies_below
from imgcluster.images.find import lies_in_library
from imgcluster.output.manifest import read_manifest
from imgcluster.ownership import Ownership
from imgcluster.readings import Readings
from imgcluster.records import Embeddings, EmbeddingSource, Keys, Progress, StoredSpace, key_rows
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store_set import open_features
from imgcluster.workflows.options import FitOptions, ReadStoreOptions, SpaceOptions
from imgcluster.workflows.stored_files import SortedFiles, StoredImage, chooser, moved_into, sort_files

_BLOCK_BYTES = 64 << 20
_BLOCK_ROWS = 8192


@dataclass(frozen=True)
class EmbeddedImages:
    """The images that a command works on, in the order of the paths that they came from.

    Attributes
    ----------
    store
        Open.
    spaces
        The feature spaces in use, mostly one.
    images
        Files; several may share a key.
    missing, unreadable, changed
        Paths that are gone, paths that this user may not read, and paths whose file is not the one that was
        embedded.
    unembedded
        Paths without an embedding in (one of) the spaces.
    """

    store: FeatureReader
    spaces: tuple[StoredSpace, ...]
    images: tuple[StoredImage, ...]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    changed: tuple[str, ...]
    unembedded: tuple[str, ...]

    @cached_property
    def keys(self) -> Keys:
        """(N, 32) uint8: the distinct keys, sorted."""
        return key_rows(sorted({image.key for image in self.images}))

    def without(self, folder: str) -> EmbeddedImages:
        """Leave out what lies below a folder. ImgclusterError where nothing is left."""
        images = tuple(image for image in self.images if not lies_below(image.path, [folder]))
        if not images:
            raise ImgclusterError(f"all images lie in {folder}, the folder of examples: extract others first")
        return replace(self, images=images)

    def finite(self, keys: Keys, progress: Progress) -> EmbeddedImages:
        """Leave out the images whose embeddings are not finite, so that `keys` lacks theirs; name them.

        NotFinite where no image is left.
        """
        if len(keys) == len(self.keys):
            return self
        usable = set(map(bytes, keys))
        for image in self.images:
            if image.key not in usable:
                progress.note(f"left out, for its embedding holds NaN or infinity: {image.path}")
        images = tuple(image for image in self.images if image.key in usable)
        if not images:
            raise NotFinite(f"every embedding in {self.store.path}")
        return replace(self, images=images)

    def count_spaces(self, keys: Sequence[bytes]) -> NDArray[np.intp]:
        """Count for each of some keys the spaces that have an embedding of it."""
        return _count_spaces(self.store, self.spaces, keys)

    def sources(self, others: Sequence[bytes] = ()) -> tuple[EmbeddingSource, ...]:
        """One source per feature space, the images, and keys of `others`, in one order in all of them."""
        keys = key_rows(sorted({*map(bytes, self.keys), *others})) if others else self.keys
        found = tuple(self.store.source(space.name, keys) for space in self.spaces)
        if all(np.array_equal(source.keys, found[0].keys) for source in found[1:]):
            return found
        return tuple(_InOrderOfKeys(self.store, space, keys) for space in self.spaces)


def open_store(
    options: FitOptions | ReadStoreOptions, progress: Progress
) -> AbstractContextManager[FeatureReader]:
    """Open the store, or the set, of a command for reading."""
    return open_features(
        options.store,
        lock=not options.no_lock,
        partial=options.partial,
        wait=getattr(options, "wait", None) or 0.0,
        notify=progress.note,
    )


@contextmanager
def open_space(options: SpaceOptions, progress: Progress) -> Iterator[tuple[FeatureReader, StoredSpace]]:
    """Open the store for reading and find the space. Raises StoreError where there is none."""
    with open_store(options, progress) as store:
        (space,) = choose_spaces(store, options)
        yield store, space


def choose_spaces(store: FeatureReader, options: FitOptions | SpaceOptions) -> tuple[StoredSpace, ...]:
    """Choose the only space, else the one that each network leaves, else the one with the name `space`.

    Among networks may be names of spaces, too: a network that has several is joined with another by that.

    Raises
    ------
    StoreError
        Where a space is missing or not decided.
    UsageError
        Where a space is named twice.
    """
    given = options.network
    networks = (given,) if isinstance(given, str) else given or ()
    if options.space is not None or not networks:
        return (store.find_space(name=options.space, network=networks[0] if networks else None),)
    names = {stored.name for stored in store.spaces}
    chosen = tuple(
        store.find_space(name=network) if network in names else store.find_space(network=network)
        for network in networks
    )
    if len({space.name for space in chosen}) < len(chosen):
        raise UsageError(
            f"--network {' and --network '.join(networks)} name one feature space twice: "
            "joined with itself, it adds nothing"
        )
    return chosen


def clusterings_of(options: FitOptions, out: str) -> tuple[str, str]:
    """Give the clusterings that images may be in; ImgclusterError where the one that is named is none."""
    if options.clusters is not None:
        read_manifest(options.clusters)
    return options.clusters or out, out


def collect(
    store: FeatureReader,
    spaces: Sequence[StoredSpace],
    paths: Sequence[str | os.PathLike[str]],
    clusterings: Sequence[str],
    progress: Progress,
    *,
    owner: Ownership,
    strict: bool = False,
) -> EmbeddedImages:
    """Collect the images below `paths` (all where there are none) that exist and have an embedding.

    Parameters
    ----------
    spaces
        The feature spaces that must all know an image.
    clusterings
        Images that ``--mode move`` put there are found there.
    owner
        Knows which files were read before; others are read where that is needed.
    strict
        Whether every file must be known to hold the bytes of its key, for something is done with it.

    ImgclusterError where no image is left.
    """
    entries = {entry.path: entry for entry in store.paths()}
    moved = tuple(moved_into(dict.fromkeys(clusterings), owner, progress.note))
    embedded = _count_spaces(store, spaces, (image.key for image in moved))
    # Others are those of other stores.
    moved = tuple(i for i, count in zip(moved, embedded, strict=True) if count or i.original in entries)
    files = SortedFiles(Readings(owner, store.path), progress, strict=strict)
    sort_files(entries, moved, chooser(paths, moved), files)
    complete = _count_spaces(store, spaces, (image.key for image in files.images)) == len(spaces)
    images = [image for image, whole in zip(files.images, complete, strict=True) if whole]
    unembedded = [image.path for image, whole in zip(files.images, complete, strict=True) if not whole]
    # Earlier versions went into libraries of photo managers, and `--mode move` is not to take these apart.
    roots = (*map(os.path.abspath, paths), *store.scanned_folders())
    managed = [image.path for image in images if lies_in_library(image.path, roots)]
    if managed:
        images = [image for image in images if not lies_in_library(image.path, roots)]
    names = " and ".join(space.name for space in spaces)
    left_out = [
        f"{quantity(len(group), 'image')} {why}, the first: {group[0]}: {advice(group[0])}"
        for group, why, advice in (
            (files.missing, "gone since extraction", _advice_on),
            (files.unreadable, "that you may not read", _advice_on_forbidden),
            (files.changed, "changed since extraction", lambda _: "run `imgcluster extract` on them again"),
            (unembedded, f"without an embedding in {names}", lambda _: "run `imgcluster extract` on them"),
            (managed, "in a photo manager's library", lambda _: "name the library to take them"),
        )
        if group
    ]
    if not images and left_out:
        raise ImgclusterError(f"no image is left: {'; '.join(left_out)}")
    if not images:
        where = f" below {', '.join(map(os.path.abspath, paths))}" if paths else ""
        raise ImgclusterError(f"{store.path} knows no image{where}: run `imgcluster extract` first")
    for group in left_out:
        progress.note(f"left out: {group}")
    return EmbeddedImages(
        store,
        tuple(spaces),
        tuple(images),
        tuple(files.missing),
        tuple(files.unreadable),
        tuple(files.changed),
        tuple(unembedded),
    )


def _count_spaces(
    store: FeatureReader, spaces: Sequence[StoredSpace], keys: Iterable[bytes]
) -> NDArray[np.intp]:
    """Count for each key the spaces that have an embedding of it."""
    rows = key_rows(keys)
    found: NDArray[np.intp] = np.sum([store.contains(space.name, rows) for space in spaces], axis=0)
    return found


def _advice_on_forbidden(path: str) -> str:
    """Say what opens the folder that is shut, or else the file."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return f"`chmod -R u+rX {shlex.quote(path)}` makes your own readable"


def _advice_on(missing: str) -> str:
    """Say what may have become of images that are gone, and what to do then."""
    top = os.path.dirname(missing)
    deleted = "if they were deleted, `imgcluster store prune` forgets them"
    moved = "if `cluster --mode move` put them elsewhere, name that folder with --clusters"
    if os.path.isdir(top):
        return f"{deleted}; {moved}"
    while not os.path.isdir(os.path.dirname(top)):
        top = os.path.dirname(top)
    found = _renamed(top, os.path.relpath(missing, top))
    folder = shlex.quote(found) if found else "FOLDER"
    again = f"`imgcluster extract {folder}` finds them again without the network"
    return again if found else f"if their folder was renamed or moved, {again}; {moved}; {deleted}"


def _renamed(folder: str, file: str) -> str:
    """Return the folder beside a missing one that holds the same file; empty where there is none."""
    with contextlib.suppress(OSError), os.scandir(os.path.dirname(folder)) as entries:
        for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
            if entry.is_dir() and os.path.isfile(os.path.join(entry.path, file)):
                return entry.path
    return ""


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
