"""Files to embedded batches: read, hash and decode in threads, embed beside them, pairs never parted."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.engines.local import Outcome, TimedOut, in_background, ordered_map
from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode
from imgcluster.images.hashing import content_key
from imgcluster.images.header import wrong_name
from imgcluster.images.reading import read_file
from imgcluster.images.resize import to_square
from imgcluster.records import Embeddings, Failure, ImageFile, Keys, PathEntry, Pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from imgcluster.records import EmbeddingNetwork, NetworkSource

_FILES_PER_BATCH = 1024
"""A batch is also complete with so many files that need no network, so that their paths are kept soon."""

_BATCHES_AHEAD = 2


@dataclass(frozen=True)
class ReadImage:
    """A file that was read: its entry for the path table, and its pixels unless its embedding is known."""

    entry: PathEntry
    pixels: Pixels | None
    note: str = ""


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


@dataclass(frozen=True)
class ReadSettings:
    """How files are read and decoded; `timeout` in seconds per file."""

    input_size: int
    limits: DecodeLimits
    timeout: float
    threads: int


def read_image(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
    """Read a file once; hash it; decode it to the network's size unless its key is known.

    Raises
    ------
    UnreadableImage
        With the reason.
    """
    read_ns = time.time_ns()
    data = read_file(file.path)
    key = content_key(data)
    entry = PathEntry(file.path, file.size, file.mtime_ns, read_ns, key)
    if key in known:
        return ReadImage(entry, None)
    decoded = decode(data, settings.limits, at_least=settings.input_size)
    note = decoded.note or wrong_name(file.path, decoded.kind)
    return ReadImage(entry, to_square(decoded.pixels, settings.input_size), note)


def embed_files(
    files: Iterable[ImageFile],
    known: set[bytes],
    source: NetworkSource,
    settings: ReadSettings,
    stopping: Callable[[], bool],
    started_file: Callable[[ImageFile], None] = lambda _: None,
) -> Iterator[EmbeddedBatch]:
    """Embed files in their order; every file is in exactly one batch, as an entry or as a failure.

    The network is loaded when the first file needs it. `known` holds the keys that need no network; those
    embedded here are added to it.
    """

    def read(file: ImageFile) -> ReadImage:
        started_file(file)
        return read_image(file, known, settings)

    def loaded() -> Iterator[tuple[_Collected, EmbeddingNetwork | None]]:
        network: EmbeddingNetwork | None = None
        collected = _Collected()
        outcomes = ordered_map(
            read, files, threads=settings.threads, window=128, timeout=settings.timeout, stopping=stopping
        )
        for outcome in outcomes:
            _collect(outcome, known, collected)
            if collected.pixels and network is None:
                network = source.load()
            full = network is not None and len(collected.pixels) == network.batch_size
            if full or collected.files >= _FILES_PER_BATCH:
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


def _collect(outcome: Outcome[ImageFile, ReadImage], known: set[bytes], collected: _Collected) -> None:
    image = outcome.result
    if image is None:
        collected.failures.append(_failure(outcome.item, outcome.error))
        return
    collected.entries.append(image.entry)
    if image.note:
        collected.notes.append(f"{image.entry.path}: {image.note}")
    if image.pixels is not None and image.entry.key not in known:
        known.add(image.entry.key)
        collected.keys.append(image.entry.key)
        collected.pixels.append(image.pixels)


def _failure(file: ImageFile, error: Exception | None) -> Failure:
    if isinstance(error, UnreadableImage):
        reason, temporary = str(error), error.temporary
    elif isinstance(error, TimedOut):
        reason, temporary = str(error), True
    else:
        reason, temporary = f"could not be decoded: {type(error).__name__}: {error}", False
    return Failure(file.path, reason, file.size, file.mtime_ns, temporary)


def _embed(loaded: tuple[_Collected, EmbeddingNetwork | None]) -> EmbeddedBatch:
    collected, network = loaded
    embeddings, provenance = None, {}
    if collected.pixels and network is not None:
        embeddings, provenance = network.embed(np.stack(collected.pixels)), dict(network.provenance)
    keys = np.frombuffer(b"".join(collected.keys), np.uint8).reshape(-1, 32)
    entries, failures = tuple(collected.entries), tuple(collected.failures)
    return EmbeddedBatch(entries, failures, keys, embeddings, tuple(collected.notes), provenance)
