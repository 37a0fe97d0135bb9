"""How the images of a store look: what `extract` has kept of it, and for older stores a look at the files.

And which of two copies was made of the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from imgcluster.engines.protocol import Engine
from imgcluster.errors import Interrupted, StoreError, quantity
from imgcluster.images.decode import decode
from imgcluster.images.looks import SIDE_NEEDED, have_same_pixels, looks, was_blown_up
from imgcluster.images.pixels import Decoded
from imgcluster.ownership import Ownership
from imgcluster.readings import Readings
from imgcluster.records import Keys, Pictures, Progress, row_of_key
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.known_images import KNOWN_LIMITS, make_of_known, read_known, with_each
from imgcluster.workflows.options import ReadStoreOptions
from imgcluster.workflows.stored_files import StoredImage

_KEPT_AT_ONCE = 512


def pictures_of(
    options: ReadStoreOptions,
    images: Sequence[StoredImage],
    keys: Keys,
    stored: tuple[Pictures, NDArray[np.bool_]],
    *,
    owner: Ownership,
    engine: str | Engine,
    progress: Progress,
) -> tuple[Pictures, NDArray[np.bool_]]:
    """Return how the images of (N,) keys look, and for which of them that is known; `stored` is told so far.

    What the store lacks is seen from the files, without the network, and kept there if it can be written. So
    is what no run of `owner` has seen: a store that somebody else made may say what it likes.

    Interrupted where `progress` asked to stop; what was seen is kept.
    """
    pictures, known = stored
    readings = Readings(owner, options.store)
    for row in np.flatnonzero(known):
        known[row] = readings.prove_looks(bytes(keys[row]), pictures[row].tobytes())
    rows = row_of_key(keys)
    paths: dict[bytes, list[str]] = {}
    for image in images:
        if not known[rows[image.key]]:
            paths.setdefault(image.key, []).append(image.path)
    if paths:
        with progress.graceful_interrupt():
            for key, picture in _kept(options, readings, _seen(paths, engine, progress), progress):
                pictures[rows[key]], known[rows[key]] = picture, True
            if progress.stopping:
                raise Interrupted(
                    "stopped; what was seen of the images is kept: run the same command to go on"
                )
    return pictures, known


@dataclass(frozen=True)
class Remake:
    """A file that may have been made of another, an older one: `times` as large along each side, or as large.

    Both are the key of an image and a path.
    """

    file: tuple[bytes, str]
    origin: tuple[bytes, str]
    times: float

    def is_one(self) -> bool:
        """Whether it shows nothing that the other does not show. UnreadableImage as of `read_known`."""
        made = _decoded(*self.file)
        if self.times > 1:
            return was_blown_up(made.pixels, self.times)
        origin = _decoded(*self.origin)
        return origin.kind != made.kind and have_same_pixels(made.pixels, origin.pixels)


def remakes(candidates: Sequence[Remake], engine: str | Engine, progress: Progress) -> set[bytes]:
    """Return the keys of those that were made of others; one that cannot be read was not."""
    found = set()
    progress.begin("looking for what was blown up", len(candidates))
    for outcome in with_each(Remake.is_one, candidates, engine):
        progress.advance()
        if outcome.result:
            found.add(outcome.item.file[0])
    return found


def _decoded(key: bytes, path: str) -> Decoded:
    return make_of_known(key, [path], lambda data: decode(data, KNOWN_LIMITS))


def _seen(
    paths: Mapping[bytes, Sequence[str]], engine: str | Engine, progress: Progress
) -> Iterator[tuple[bytes, Pictures]]:
    progress.begin("looking at the images", len(paths))
    lost = []
    for outcome in with_each(_look, paths.items(), engine, lambda: progress.stopping):
        progress.advance()
        if outcome.result is not None:
            yield outcome.item[0], outcome.result
        else:
            lost.append(f"{outcome.item[1][0]}: {outcome.error}")
    if lost:
        progress.note(
            f"compared by their bytes alone: {quantity(len(lost), 'unreadable image')}, the first: {lost[0]}"
        )


def _look(image: tuple[bytes, Sequence[str]]) -> Pictures:
    data = read_known(*image)
    return looks(data, decode(data, KNOWN_LIMITS, at_least=SIDE_NEEDED))


def _kept(
    options: ReadStoreOptions,
    readings: Readings,
    seen: Iterator[tuple[bytes, Pictures]],
    progress: Progress,
) -> Iterator[tuple[bytes, Pictures]]:
    try:
        if not os.path.isfile(options.store):
            raise StoreError(f"{options.store} is a set of stores")  # noqa: TRY301 - said as the others
        store = FeatureStore(options.store, "a", lock=not options.no_lock, notify=progress.note)
    except StoreError as error:
        progress.note(f"what the images look like is not kept for the next time: {error}")
        yield from seen
        return
    with store:
        while batch := dict(islice(seen, _KEPT_AT_ONCE)):
            store.record_pictures(batch)
            store.commit()
            readings.add_looks((key, looks.tobytes()) for key, looks in batch.items())
            yield from batch.items()
