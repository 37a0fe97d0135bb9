"""Files to rows: an engine reads files, batches are embedded, and one loop stands between these two stages.

Engines whose workers are elsewhere do both there. The third stage, the store, takes the batches.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Collection, Container, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from operator import methodcaller
from typing import Any, TypeAlias

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
    result_of,
    stream,
)
from imgcluster.records import EmbeddingNetwork, ImageFile, NetworkSource
from imgcluster.workflows.batch import Batch, KnownKeys
from imgcluster.workflows.read_image import ReadImage, Reading, ReadSettings

_FILES_PER_CALL = 64
"""How many files a worker that is far away gets at a time."""

_PARTS = 4
"""Into so many parts files are cut that ended their worker together: few rounds find the one that does."""

_BATCHES_IN_FLIGHT = 4
"""Two on the network, so that it finds the next one ready when it ends one, while others are stored."""

_LAST_SECONDS = 0.5
"""How long a network that is told to stop may take to hand over what is nearly finished."""

_SECONDS_AFTER_ERROR = 10.0
"""How long batches that are under way may still take where one before them failed."""

_Files: TypeAlias = tuple[ImageFile, ...]
_Read: TypeAlias = Outcome[ImageFile, ReadImage]


@dataclass(frozen=True)
class ReadImages:
    """The job of reading files; `watch` is around the reading of each, and for workers in this process."""

    settings: ReadSettings
    reading: Reading
    known: Container[bytes] = frozenset()
    watch: Callable[[str], AbstractContextManager[object]] = nullcontext

    def start(self) -> Callable[[ImageFile], ReadImage]:
        """Nothing needs to be made."""
        return self._read

    def _read(self, file: ImageFile) -> ReadImage:
        with self.watch(file.path):
            return self.reading(file, self.known, self.settings)


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


@dataclass(frozen=True)
class Pipeline:
    """How files become rows.

    Attributes
    ----------
    read
        How files are read; only here they are watched.
    engine
        Reads files; one whose workers share no memory with this process embeds them as well.
    known
        Which keys need no network.
    stopping
        Asked again and again whether to end; what is finished then still comes.
    """

    source: NetworkSource
    read: ReadImages
    engine: Engine
    known: KnownKeys
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
            yield from self._done_elsewhere(ProcessEngine(), apart, at_once=1, tries=1)
            yield from self._done_elsewhere(self.engine, others, _FILES_PER_CALL)

    def _images(
        self, apart: Sequence[ImageFile], others: Sequence[ImageFile]
    ) -> Generator[_Read | None, None, None]:
        """Stage one: files become pixels; None after a moment without any."""
        alone = replace(self.read, watch=nullcontext)
        beside = replace(self.read, known=self.known)
        for engine, job, files in ((ProcessEngine(), alone, apart), (self.engine, beside, others)):
            timeout = self.read.settings.timeout
            yield from stream(engine, job, files, timeout=timeout, stopping=self.stopping)

    def _embedded(self, images: Iterable[_Read | None]) -> Iterator[Batch]:
        """Stage two: pixels are gathered into batches, which become rows."""
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
                        yield from _finished(embedders, PATIENCE_SECONDS, self.stopping)
                    embedders.submit((network, batch))
                    batch = Batch()
                yield from _finished(embedders, 0, self.stopping)
            if batch.paths and not self.stopping():
                embedders.submit((network, batch))
            last = math.inf
            while embedders.in_flight and time.monotonic() < last:
                yield from _finished(embedders, PATIENCE_SECONDS, self.stopping)
                if self.stopping():
                    last = min(last, time.monotonic() + _LAST_SECONDS)

    def _load(self) -> EmbeddingNetwork | None:
        """Load the network in a thread, for that takes seconds in which Ctrl-C is to be answered."""
        job = Call(methodcaller("load"))
        loading = in_order(LocalEngine(threads=1), job, [self.source], stopping=self.stopping)
        return next(map(result_of, loading), None)

    def _done_elsewhere(
        self, engine: Engine, files: Sequence[ImageFile], at_once: int, *, tries: int = 2
    ) -> Iterator[Batch]:
        """Let workers do both stages; a file that ends its worker in all of its `tries` is a failure."""
        if not files:
            return
        job = ReadAndEmbed(replace(self.read, known=self.known, watch=nullcontext), self.source)
        timeout, calls = at_once * self.read.settings.timeout, _cut(files, at_once)
        for outcome in in_order(
            engine, job, calls, timeout=timeout, stopping=self.stopping, tries=tries, cut=_parts
        ):
            if isinstance(outcome.error, ChildDied | TimedOut):
                batch = Batch()
                batch.add(Outcome(outcome.item[0], error=outcome.error), self.known)
                yield batch
            else:
                yield result_of(outcome).without(self.known)


def _cut(files: Sequence[ImageFile], count: int) -> list[_Files]:
    return [tuple(files[at : at + count]) for at in range(0, len(files), count)]


def _parts(files: _Files) -> list[_Files]:
    return _cut(files, -(-len(files) // _PARTS))


def _embed(work: tuple[EmbeddingNetwork | None, Batch]) -> Batch:
    network, batch = work
    if network is not None:
        batch.embed(network)
    return batch


def _finished(
    workers: Workers[Any, Result], patience: float, stopping: Callable[[], bool]
) -> Iterator[Result]:
    """Yield what is there; where one failed, what was handed over beside it comes before the error."""
    error, last = None, 0.0
    while workers.in_flight:
        outcome = workers.next(PATIENCE_SECONDS if error else patience)
        if outcome is None:
            if error is None or stopping() or time.monotonic() > last:
                break
        elif outcome.result is not None:
            yield outcome.result
        elif error is None:
            error = outcome.error or RuntimeError("a result was lost")
            last = time.monotonic() + _SECONDS_AFTER_ERROR
        patience = 0
    if error:
        raise error
