"""Extraction: find, skip what is known, read and embed the rest, append."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import ImgclusterError, Interrupted
from imgcluster.images.decode import DecodeLimits
from imgcluster.images.find import FoundImages, find_images
from imgcluster.images.second_chance import may_be_read_now
from imgcluster.networks.selection import NetworkChoice
from imgcluster.output.single_file import write_file
from imgcluster.output.tables import csv_bytes
from imgcluster.records import Failure, ImageFile, PathEntry, Progress, Run, SilentProgress
from imgcluster.store.in_flight import InFlight
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.choose_network import choose_network
from imgcluster.workflows.pipeline import EmbeddedBatch, embed_files
from imgcluster.workflows.reading import DEADLY, ReadSettings, read_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcluster.records import NetworkSource
    from imgcluster.workflows.reading import Reading

DEFAULT_LIMITS = DecodeLimits()
EMBEDDING = "embedding"
"""The stage from which on there is work to keep."""

_MOST_NOTES = 10


@dataclass(frozen=True)
class ExtractOptions:
    """The options of `extract`, named as on the command line."""

    store: str = "features.h5"
    network: str = "inception_v3"
    weights: str = "imagenet"
    pooling: str = "avg"
    input_size: int | None = None
    dtype: str = "float32"
    precision: str = "auto"
    runtime: str = "auto"
    batch_size: int | None = None
    retry_failed: bool = False
    accept_truncated: bool = False
    follow_links: bool = False
    max_pixels: int = DEFAULT_LIMITS.max_pixels
    timeout: float = 60.0
    failures: str | None = None
    lock: bool = True

    @property
    def limits(self) -> DecodeLimits:
        """The part that says what is decoded."""
        return DecodeLimits(self.max_pixels, self.accept_truncated)

    @property
    def choice(self) -> NetworkChoice:
        """The part that chooses a network."""
        return NetworkChoice(
            self.network,
            self.weights,
            self.pooling,
            self.input_size,
            self.precision,
            self.runtime,
            self.batch_size,
        )


@dataclass(frozen=True)
class ExtractResult:
    """What an extraction did, counted in files: found = new + cached + duplicates + failed.

    `new` files were embedded, `cached` ones had their embedding in the store before, `duplicates` equal a new
    one byte for byte. `images_per_second` counts from the first to the last batch.
    """

    found: int
    new: int
    cached: int
    duplicates: int
    failed: int
    hidden: int
    seconds: float
    images_per_second: float | None
    store: str
    network: str
    space: str
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Known:
    """The files that need nothing, and those that are to be read."""

    cached: int
    failures: tuple[Failure, ...]
    to_read: tuple[ImageFile, ...]


def extract(
    paths: Sequence[str | os.PathLike[str]],
    options: ExtractOptions | None = None,
    *,
    source: NetworkSource | None = None,
    progress: Progress | None = None,
    reading: Reading = read_image,
) -> ExtractResult:
    """Embed every image below `paths` that the store does not know yet.

    Parameters
    ----------
    paths
        Files and folders.
    options
        As on the command line.
    source
        The network to use in place of the one that `options` choose.
    progress
        Told what happens; asked whether to stop.
    reading
        How a file becomes pixels; a function that a module defines, for a child process may have to find it.

    Raises
    ------
    ImgclusterError
        Where a path is missing, no image was found or none could be read, or the store cannot be written.
    Interrupted
        Where `progress` asked to stop; everything that was finished is in the store.
    """
    options = options or ExtractOptions()
    progress = progress or SilentProgress()
    started = time.perf_counter()
    found = find_images(
        [os.fspath(path) for path in paths], follow_links=options.follow_links, progress=progress
    )
    if progress.stopping:
        raise Interrupted("stopped before anything was embedded")
    if not found.files and not found.failures:
        raise ImgclusterError(f"no image found below {', '.join(map(str, paths))}: name a folder with images")
    source = source or choose_network(options.choice, progress.note)
    _write_failures((), options.failures)  # a place that cannot be written to shows before the long work
    with FeatureStore(options.store, "a", lock=options.lock, notify=progress.note) as store:
        known = _recognise(store, found, source.space.name, options)
        tally = _Tally(known)
        _embed_and_append(store, known.to_read, source, options, progress, tally, reading)
        store.record_failures(found.failures)
        store.record_scanned(found.folders)
        seconds = time.perf_counter() - started
        if tally.new:
            store.record_run(_run(source, tally, seconds))
        store.commit()
    failures = _in_order(found.failures, tally.failures)
    _write_failures(failures, options.failures)
    if progress.stopping:
        raise Interrupted(
            f"stopped: {tally.new} new embeddings are kept in {options.store}; run the same command to go on"
        )
    if tally.notes > _MOST_NOTES:
        progress.note(f"… and {tally.notes - _MOST_NOTES} more files with such remarks")
    result = ExtractResult(
        found=len(found.files) + len(found.failures),
        new=tally.new,
        cached=tally.cached,
        duplicates=tally.duplicates,
        failed=len(failures),
        hidden=found.hidden,
        seconds=seconds,
        images_per_second=tally.images_per_second,
        store=options.store,
        network=source.space.network,
        space=source.space.name,
        failures=failures,
    )
    if result.failed == result.found:
        first = result.failures[0]
        raise ImgclusterError(
            f"none of {result.found} images could be read; the first: {first.path}: {first.reason}"
        )
    return result


def _in_order(*groups: Sequence[Failure]) -> tuple[Failure, ...]:
    return tuple(sorted(chain(*groups), key=lambda failure: os.fsencode(failure.path)))


def _write_failures(failures: Sequence[Failure], path: str | None) -> None:
    """Write failed files as CSV with columns path, reason."""
    if path is not None:
        rows = [(failure.path, failure.reason) for failure in failures]
        write_file(path, csv_bytes(("path", "reason"), rows))


def _recognise(store: FeatureStore, found: FoundImages, space: str, options: ExtractOptions) -> _Known:
    """Tell the files that need nothing from those to read, by their folder entries alone."""
    entries = {entry.path: entry for entry in store.paths()}
    failures = {failure.path: failure for failure in store.failures()}
    unchanged: list[PathEntry] = []
    to_read: list[ImageFile] = []
    still_failed: list[Failure] = []
    for file in found.files:
        entry = entries.get(file.path)
        failure = failures.get(file.path)
        if entry is not None and entry.describes(file):
            unchanged.append(entry)
        elif failure is not None and _still_holds(failure, file, options):
            still_failed.append(failure)
        else:
            to_read.append(file)
    embedded = _are_embedded(store, space, unchanged)
    by_path = {file.path: file for file in found.files}
    to_read += [by_path[entry.path] for entry, known in zip(unchanged, embedded, strict=True) if not known]
    to_read.sort(key=lambda file: os.fsencode(file.path))
    return _Known(sum(embedded), tuple(still_failed), tuple(to_read))


def _still_holds(failure: Failure, file: ImageFile, options: ExtractOptions) -> bool:
    if options.retry_failed or failure.temporary or may_be_read_now(failure.reason, options.limits):
        return False
    return (failure.size, failure.mtime_ns) == (file.size, file.mtime_ns)


def _are_embedded(store: FeatureStore, space: str, entries: list[PathEntry]) -> list[bool]:
    if not any(stored.name == space for stored in store.spaces):
        return [False] * len(entries)
    keys = np.frombuffer(b"".join(entry.key for entry in entries), np.uint8).reshape(-1, 32)
    return [bool(known) for known in store.contains(space, keys)]


class _Tally:
    """Counts what happens, and measures the speed from the first batch to the last."""

    def __init__(self, known: _Known) -> None:
        self.cached = known.cached
        self.new = 0
        self.duplicates = 0
        self.failures = list(known.failures)
        self.notes = 0
        self.provenance: Mapping[str, str] = {}
        self._keys_of_this_run: set[bytes] = set()
        self._first_batch: tuple[float, int] | None = None
        self._last_batch = 0.0

    def count(self, batch: EmbeddedBatch) -> None:
        new_keys = {bytes(key) for key in batch.keys}
        self.new += len(new_keys)
        self._keys_of_this_run |= new_keys
        of_this_run = sum(entry.key in self._keys_of_this_run for entry in batch.entries)
        self.duplicates += of_this_run - len(new_keys)
        self.cached += len(batch.entries) - of_this_run
        self.failures += batch.failures
        if new_keys:
            self.provenance = batch.provenance
            self._last_batch = time.perf_counter()
            self._first_batch = self._first_batch or (self._last_batch, self.new)

    def pass_on(self, notes: Sequence[str], progress: Progress) -> None:
        """Let the user read the first notes; count the rest."""
        for note in notes[: max(_MOST_NOTES - self.notes, 0)]:
            progress.note(note)
        self.notes += len(notes)

    @property
    def images_per_second(self) -> float | None:
        if self._first_batch is None or self.new == self._first_batch[1]:
            return None
        since, already = self._first_batch
        return (self.new - already) / (self._last_batch - since)


def _embed_and_append(
    store: FeatureStore,
    files: Sequence[ImageFile],
    source: NetworkSource,
    options: ExtractOptions,
    progress: Progress,
    tally: _Tally,
    reading: Reading,
) -> None:
    space = source.space.name
    stored = any(known.name == space for known in store.spaces)
    known = {bytes(key) for key in store.keys(space)} if stored and files else set()
    settings = ReadSettings(
        input_size=source.space.input_size,
        limits=options.limits,
        timeout=options.timeout,
        threads=max(2, os.cpu_count() or 1),
    )
    progress.begin(EMBEDDING, len(files))
    with InFlight(store.path) as in_flight:
        suspects = (in_flight.suspects | _deadly(store)) & {file.path for file in files}
        if suspects:
            progress.note(
                f"{len(suspects)} files were being read when an earlier run died: each is read in a process "
                "of its own"
            )
        batches = embed_files(
            files,
            known,
            source,
            settings,
            lambda: progress.stopping,
            suspects=suspects,
            watch=in_flight,
            reading=reading,
        )
        for batch in batches:
            if batch.embeddings is not None:
                store.add_space(source.space, batch.embeddings.shape[1], options.dtype)
                store.append(space, batch.keys, batch.embeddings)
            store.record_paths(batch.entries)
            store.record_failures(batch.failures)
            store.commit()
            in_flight.settle(batch.paths)
            tally.count(batch)
            tally.pass_on(batch.notes, progress)
            progress.advance(batch.files, failed=len(batch.failures))


def _deadly(store: FeatureStore) -> set[str]:
    return {failure.path for failure in store.failures() if failure.reason.startswith(DEADLY)}


def _run(source: NetworkSource, tally: _Tally, seconds: float) -> Run:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return Run(started, source.space.name, tally.new, seconds, tally.provenance)
