"""Files to rows, in three stages: files become pixels, pixels batches, and batches rows for the store.

An engine reads the files, and two threads keep the network busy; one loop stands between them.
"""

from __future__ import annotations

import math
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from operator import methodcaller
from typing import Any, Protocol, TypeAlias

import numpy as np

from imgcluster.child import ChildDied, TimedOut
from imgcluster.engines.local import LocalEngine
from imgcluster.engines.process import ProcessEngine
from imgcluster.engines.protocol import (
    PATIENCE_SECONDS,
    Call,
    Engine,
    Outcome,
    Result,
    Workers,
    in_order,
    stream,
)
from imgcluster.errors import NetworkUnavailable, quantity
from imgcluster.records import (
    EmbeddingNetwork,
    Embeddings,
    Failure,
    ImageFile,
    Keys,
    NetworkSource,
    PathEntry,
    Pictures,
    Pixels,
)
from imgcluster.workflows.reading import ReadImage, Reading, ReadSettings, failure, read_image

_FILES_PER_BATCH = 1024
"""A batch is also complete with that many files that need no network, so that their paths are kept soon."""

_FILES_PER_CALL = 64
"""How many files a worker that is far away gets at a time."""

_PARTS = 4
"""Into so many parts files are cut that ended their worker together: few rounds find the one that does."""

_Files: TypeAlias = tuple[ImageFile, ...]

_BATCHES_IN_FLIGHT = 4
"""Two on the network, so that it finds the next one ready when it ends one, while others are stored."""

_LAST_SECONDS = 0.5
"""How long a network that is told to stop may take to hand over what is nearly finished."""


class KnownKeys:
    """The one who says which images need no network: those that are stored, and those under way in this run.

    Threads may ask, for keys and for digests of what makes a picture; only the loop of the pipeline claims.

    Parameters
    ----------
    stored
        The keys that have an embedding.
    picture_keys
        The digest of what makes the picture, for any keys of which it is known.
    """

    def __init__(
        self, stored: Iterable[bytes] | Keys = (), picture_keys: Mapping[bytes, bytes] | None = None
    ) -> None:
        self._stored = frozenset(map(bytes, stored))
        self._claimed: set[bytes] = set()
        known = (picture_keys or {}).items()
        self._pictures = {picture: key for key, picture in known if picture and key in self._stored}

    def __contains__(self, key: object) -> bool:
        return key in self._stored or key in self._claimed or key in self._pictures

    def is_stored(self, key: bytes) -> bool:
        """Whether the embedding was there before this run."""
        return key in self._stored

    def claim(self, key: bytes, picture: bytes = b"") -> bytes | None:
        """Give the key whose embedding this image has; None where the first who asks is to make it."""
        if key in self._stored or key in self._claimed:
            return key
        self._claimed.add(key)
        if not picture:
            return None
        shown = self._pictures.setdefault(picture, key)
        return None if shown == key else shown


class Watch(Protocol):
    """Learns which file is in a decoder's hands, from whatever thread it is in."""

    def start(self, path: str) -> None:
        """Learn that the file goes to a decoder."""

    def finish(self, path: str) -> None:
        """Learn that the decoder has come back."""


@dataclass(frozen=True)
class ReadImages:
    """The job of the first stage. `known` and `watch` are for workers in this process."""

    settings: ReadSettings
    reading: Reading = read_image
    known: Container[bytes] = frozenset()
    watch: Watch | None = None

    def start(self) -> Callable[[ImageFile], ReadImage]:
        """Nothing needs to be made."""
        return self._read

    def _read(self, file: ImageFile) -> ReadImage:
        if self.watch is None:
            return self.reading(file, self.known, self.settings)
        self.watch.start(file.path)
        try:
            return self.reading(file, self.known, self.settings)
        finally:
            self.watch.finish(file.path)


_Read: TypeAlias = Outcome[ImageFile, ReadImage]


@dataclass
class Batch:
    """Files that go through the stages together, each once: in `entries` or in `failures`.

    `with_pages` is how many have further pages, `picture_keys` what makes their pictures, by their keys.
    `copies` are keys whose image is the same as that of another, with that one's key.

    Of the images that need the network, `keys` are gathered with their `pixels`, in whose place come
    `embeddings`, (n, D) float32, a row for each key. `pictures` are how those look that were decoded, by
    their keys.
    """

    entries: list[PathEntry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    with_pages: int = 0
    picture_keys: dict[bytes, bytes] = field(default_factory=dict)
    copies: list[tuple[bytes, bytes]] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    pixels: list[Pixels] = field(default_factory=list)
    embeddings: Embeddings | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    pictures: dict[bytes, Pictures] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """The files that it accounts for."""
        return [file.path for files in (self.entries, self.failures) for file in files]

    @property
    def key_rows(self) -> Keys:
        """(n, 32) uint8."""
        return np.frombuffer(b"".join(self.keys), np.uint8).reshape(-1, 32)

    def add(self, read: _Read, known: KnownKeys) -> None:
        """Gather what became of a file."""
        image = read.result
        if image is None:
            self.failures.append(failure(read.item, read.error))
            return
        self.entries.append(image.entry)
        if image.picture is not None:
            self.pictures[image.entry.key] = image.picture
        if image.note:
            self.notes.append(f"{image.entry.path}: {image.note}")
        self.with_pages += image.pages > 1
        self.picture_keys[image.entry.key] = image.picture_key
        if self._is_new(image.entry.key, known) and image.pixels is not None:
            self.keys.append(image.entry.key)
            self.pixels.append(image.pixels)

    def is_full(self, network: EmbeddingNetwork | None) -> bool:
        """Whether it is time for the network, or for what needs none to be stored."""
        files = len(self.entries) + len(self.failures)
        has_pixels = network is not None and len(self.pixels) == network.batch_size
        return has_pixels or files - len(self.pixels) >= _FILES_PER_BATCH

    def embed(self, network: EmbeddingNetwork) -> None:
        """Turn pixels into rows."""
        size = network.batch_size
        parts = [self.pixels[at : at + size] for at in range(0, len(self.pixels), size)]
        if parts:
            self.embeddings = np.concatenate([_rows(network, np.stack(part)) for part in parts])
            self.provenance = dict(network.provenance)
        self.pixels = []

    def without(self, known: KnownKeys) -> Batch:
        """Leave out rows that others have brought since."""
        self.copies = []
        new = [self._is_new(key, known) for key in self.keys]
        for entry in self.entries:
            self._is_new(entry.key, known)
        if self.embeddings is not None and not all(new):
            self.keys = [key for key, is_new in zip(self.keys, new, strict=True) if is_new]
            self.embeddings = self.embeddings[new]
        return self

    def _is_new(self, key: bytes, known: KnownKeys) -> bool:
        """Whether an image is to be embedded; where another has its picture, that is gathered."""
        shown = known.claim(key, self.picture_keys.get(key, b""))
        if shown not in (None, key):
            self.copies.append((key, shown))
        return shown is None


@dataclass(frozen=True)
class Pipeline:
    """How files become rows.

    Attributes
    ----------
    engine
        Reads files; one whose workers share no memory with this process embeds them as well.
    known
        Which keys need no network.
    watch
        Is told about files that are read in this process.
    stopping
        Asked again and again whether to end; what is finished then still comes.
    """

    source: NetworkSource
    read: ReadImages
    engine: Engine
    known: KnownKeys
    watch: Watch | None = None
    stopping: Callable[[], bool] = lambda: False

    def run(self, files: Sequence[ImageFile], suspects: Collection[str] = ()) -> Generator[Batch, None, None]:
        """Yield batches in which every file is once, as an entry or as a failure.

        `suspects` are paths of files that come first, and are read in a child process each.
        """
        apart = [file for file in files if file.path in suspects]
        others = [file for file in files if file.path not in suspects]
        if self.engine.shares_memory:
            with closing(self._images(apart, others)) as images:
                yield from self._embedded(images)
        else:
            yield from self._done_elsewhere(ProcessEngine(), apart, at_once=1, deaths=1)
            yield from self._done_elsewhere(self.engine, others, _FILES_PER_CALL)

    def _images(
        self, apart: Sequence[ImageFile], others: Sequence[ImageFile]
    ) -> Generator[_Read | None, None, None]:
        """Stage one: files become pixels; None after a moment without any."""
        watched = replace(self.read, known=self.known, watch=self.watch)
        for engine, job, files in ((ProcessEngine(), self.read, apart), (self.engine, watched, others)):
            timeout = self.read.settings.timeout
            yield from stream(engine, job, files, timeout=timeout, stopping=self.stopping)

    def _embedded(self, images: Iterable[_Read | None]) -> Iterator[Batch]:
        """Stage two: pixels are gathered into batches, which become rows. The third stores them."""
        network: EmbeddingNetwork | None = None
        batch = Batch()
        embedders = LocalEngine(threads=2, max_in_flight=_BATCHES_IN_FLIGHT).start(Call(_embed))
        with closing(embedders):
            for image in images:
                if image is not None:
                    batch.add(image, self.known)
                if batch.pixels and network is None:
                    network = self._load()
                if self.stopping():
                    break
                if batch.is_full(network):
                    while not embedders.has_room() and not self.stopping():
                        yield from _finished(embedders, PATIENCE_SECONDS)
                    embedders.submit((network, batch))
                    batch = Batch()
                yield from _finished(embedders, 0)
            if batch.paths and not self.stopping():
                embedders.submit((network, batch))
            last = math.inf
            while embedders.in_flight and time.monotonic() < last:
                yield from _finished(embedders, PATIENCE_SECONDS)
                if self.stopping():
                    last = min(last, time.monotonic() + _LAST_SECONDS)

    def _load(self) -> EmbeddingNetwork | None:
        """Load the network in a thread, for that takes seconds in which Ctrl-C is to be answered."""
        job = Call(methodcaller("load"))
        loading = in_order(LocalEngine(threads=1), job, [self.source], stopping=self.stopping)
        return next(map(_result, loading), None)

    def _done_elsewhere(
        self, engine: Engine, files: Sequence[ImageFile], at_once: int, *, deaths: int = 2
    ) -> Iterator[Batch]:
        """Let an engine's workers do both stages; a file that by itself ends so many of them is a failure."""
        if not files:
            return
        job = ReadAndEmbed(replace(self.read, known=self.known), self.source)
        timeout = at_once * self.read.settings.timeout
        died: Counter[_Files] = Counter()

        def instead(outcome: Outcome[_Files, Batch]) -> Iterable[_Files]:
            if not isinstance(outcome.error, ChildDied | TimedOut):
                return ()
            died[outcome.item] += 1
            if len(outcome.item) > 1:
                return _cut(outcome.item, -(-len(outcome.item) // _PARTS))
            return (outcome.item,) if died[outcome.item] < deaths else ()

        calls = _cut(files, at_once)
        for outcome in in_order(engine, job, calls, timeout=timeout, stopping=self.stopping, instead=instead):
            if isinstance(outcome.error, ChildDied | TimedOut):
                batch = Batch()
                batch.add(Outcome(outcome.item[0], error=outcome.error), self.known)
                yield batch
            else:
                yield _result(outcome).without(self.known)


def _cut(files: Sequence[ImageFile], count: int) -> list[_Files]:
    return [tuple(files[at : at + count]) for at in range(0, len(files), count)]


def _finished(workers: Workers[Any, Result], patience: float) -> Iterator[Result]:
    while (outcome := workers.next(patience)) is not None:
        yield _result(outcome)
        patience = 0


def _result(outcome: Outcome[Any, Result]) -> Result:
    if outcome.result is None:
        raise outcome.error or RuntimeError("a result was lost")
    return outcome.result


@dataclass(frozen=True)
class ReadAndEmbed:
    """The job of workers that share no memory with this process: paths in, rows out.

    Each loads the network once; a file that cannot be read is a failure in its batch.
    """

    read: ReadImages
    source: NetworkSource

    def start(self) -> Callable[[Sequence[ImageFile]], Batch]:
        """Load the network."""
        return partial(self._do, self.source.load())

    def _do(self, network: EmbeddingNetwork, files: Sequence[ImageFile]) -> Batch:
        batch, known = Batch(), KnownKeys()
        for image in in_order(LocalEngine(), self.read, files, timeout=self.read.settings.timeout):
            batch.add(image, known)
        where = socket.gethostname()
        batch.failures = [
            replace(f, reason=f"{f.reason} (on {where})") if f.code.temporary else f for f in batch.failures
        ]
        return _embed((network, batch))


def _rows(network: EmbeddingNetwork, pixels: Pixels) -> Embeddings:
    """Embed, and make sure that it is what the network says, for a store would keep anything."""
    rows = np.asarray(network.embed(pixels))
    gives = f"the network gives {rows.shape} {rows.dtype} for {quantity(len(pixels), 'image')}"
    if rows.shape != (len(pixels), network.dimension) or rows.dtype.kind not in "fiu":
        raise NetworkUnavailable(
            f"{gives}, though it says that its vectors have {network.dimension} numbers: nothing of that is "
            "kept"
        )
    if not rows.any() and pixels.any():
        raise NetworkUnavailable(f"{gives}, nothing but zeros: nothing of that is kept")
    return rows.astype(np.float32, copy=False)


def _embed(work: tuple[EmbeddingNetwork | None, Batch]) -> Batch:
    network, batch = work
    if network is not None:
        batch.embed(network)
    return batch
