"""Files to embedded batches: read, hash and decode in threads, embed beside them, pairs never parted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from imgcluster.engines.local import in_background, ordered_map
from imgcluster.records import Embeddings, Failure, Keys, PathEntry
from imgcluster.workflows.reading import ReadImage, ReadSettings, failure, read_apart, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from imgcluster.records import EmbeddingNetwork, ImageFile, NetworkSource, Pixels
    from imgcluster.workflows.reading import Reading

_FILES_PER_BATCH = 1024
"""A batch is also complete with so many files that need no network, so that their paths are kept soon."""

_BATCHES_AHEAD = 2


@dataclass(frozen=True)
class EmbeddedBatch:
    """Files that are done. Row i of `embeddings` (n, D) belongs to `keys[i]`; `entries` lead to keys."""

    entries: tuple[PathEntry, ...]
    failures: tuple[Failure, ...]
    keys: Keys
    embeddings: Embeddings | None
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """How many files it accounts for."""
        return len(self.entries) + len(self.failures)

    @property
    def paths(self) -> tuple[str, ...]:
        """Their paths."""
        return tuple(file.path for files in (self.entries, self.failures) for file in files)


@dataclass
class _Collected:
    entries: list[PathEntry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    pixels: list[Pixels] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        return len(self.entries) + len(self.failures)


class Watch(Protocol):
    """Learns which file is in a decoder's hands, from whatever thread it is in."""

    def start(self, path: str) -> None:
        """Learn that the file goes to a decoder."""

    def finish(self, path: str) -> None:
        """Learn that the decoder has come back."""


def embed_files(
    files: Sequence[ImageFile],
    known: set[bytes],
    source: NetworkSource,
    settings: ReadSettings,
    stopping: Callable[[], bool],
    *,
    suspects: Collection[str] = (),
    watch: Watch | None = None,
    reading: Reading = read_image,
) -> Iterator[EmbeddedBatch]:
    """Embed files; every file is in exactly one batch, as an entry or as a failure.

    The network is loaded when the first file needs it.

    Parameters
    ----------
    files
        Read in this order, but for the suspects, which come first.
    known
        The keys that need no network; those embedded here are added to it.
    suspects
        Paths of files that are read in a child process each.
    watch
        Told about the files that are read in this process.
    reading
        How a file is read; a function that a module defines.
    """

    def loaded() -> Iterator[tuple[_Collected, EmbeddingNetwork | None]]:
        network: EmbeddingNetwork | None = None
        collected = _Collected()
        for outcome in _outcomes(files, known, settings, stopping, suspects, watch, reading):
            _collect(outcome, known, collected)
            if collected.pixels and network is None:
                network = source.load()
            full = network is not None and len(collected.pixels) == network.batch_size
            if full or collected.files - len(collected.pixels) >= _FILES_PER_BATCH:
                yield collected, network
                collected = _Collected()
        if collected.files:
            yield collected, network

    def embedded() -> Iterator[EmbeddedBatch]:
        # Two at a time: the network finds the next batch ready when it ends one.
        outcomes = ordered_map(_embed, loaded(), threads=2, window=2, timeout=math.inf, stopping=stopping)
        for outcome in outcomes:
            if outcome.result is None:
                raise outcome.error or RuntimeError("a batch was lost")
            yield outcome.result

    return in_background(embedded(), depth=_BATCHES_AHEAD, stopping=stopping)


def _outcomes(
    files: Sequence[ImageFile],
    known: Collection[bytes],
    settings: ReadSettings,
    stopping: Callable[[], bool],
    suspects: Collection[str],
    watch: Watch | None,
    reading: Reading,
) -> Iterator[ReadImage | Failure]:
    apart = [file for file in files if file.path in suspects]
    for tried in ordered_map(
        lambda file: read_apart(file, settings, reading),
        apart,
        threads=1,  # what one of them did to its process, a second would do to the machine
        window=1,
        timeout=math.inf,  # the child has its own
        stopping=stopping,
    ):
        yield tried.result or failure(tried.item, tried.error)

    def read(file: ImageFile) -> ReadImage:
        if watch is None:
            return reading(file, known, settings)
        watch.start(file.path)
        try:
            return reading(file, known, settings)
        finally:
            watch.finish(file.path)

    others = (file for file in files if file.path not in suspects)
    for outcome in ordered_map(
        read, others, threads=settings.threads, window=128, timeout=settings.timeout, stopping=stopping
    ):
        yield outcome.result or failure(outcome.item, outcome.error)


def _collect(image: ReadImage | Failure, known: set[bytes], collected: _Collected) -> None:
    if isinstance(image, Failure):
        collected.failures.append(image)
        return
    collected.entries.append(image.entry)
    if image.note:
        collected.notes.append(f"{image.entry.path}: {image.note}")
    if image.pixels is not None and image.entry.key not in known:
        known.add(image.entry.key)
        collected.keys.append(image.entry.key)
        collected.pixels.append(image.pixels)


def _embed(loaded: tuple[_Collected, EmbeddingNetwork | None]) -> EmbeddedBatch:
    collected, network = loaded
    embeddings, provenance = None, {}
    if collected.pixels and network is not None:
        embeddings, provenance = network.embed(np.stack(collected.pixels)), dict(network.provenance)
    keys = np.frombuffer(b"".join(collected.keys), np.uint8).reshape(-1, 32)
    entries, failures = tuple(collected.entries), tuple(collected.failures)
    return EmbeddedBatch(entries, failures, keys, embeddings, tuple(collected.notes), provenance)
