"""Extraction: find, skip what is known, read and embed the rest, append."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imgcluster.engines.protocol import Engine
from imgcluster.engines.table import find_engine
from imgcluster.errors import FailureCode, Interrupted, NothingReadable, quantity
from imgcluster.output.single_file import table_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.readings import Readings
from imgcluster.records import SILENT, Failure, NetworkSource, Progress, Run
from imgcluster.store.in_flight import InFlight
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store import FeatureStore
from imgcluster.store.store_set import StoreSet
from imgcluster.tabular import Tabular
from imgcluster.workflows.batch_writer import BatchWriter
from imgcluster.workflows.choose_network import Choose, choose_network
from imgcluster.workflows.extraction_plan import ExtractionPlan, decode_limits, find_files, plan_extraction
from imgcluster.workflows.options import ExtractOptions
from imgcluster.workflows.stored_network import source_of

if TYPE_CHECKING:
    from imgcluster.workflows.read_image import Reading

_OF_SCAN = ("hidden", "excluded", "nomedia", "libraries", "not_looked_at")
_OF_WRITER = ("new", "cached", "duplicates", "same_picture", "with_pages", "images_per_second")


@dataclass(frozen=True)
class ExtractResult(Tabular, rows="failures", of=Failure):
    """What an extraction did, counted in files: found = new + cached + duplicates + failed.

    `new` files were embedded, `cached` ones had their embedding in the store before, `duplicates` equal a new
    one byte for byte. Of `same_picture` files, counted among the two, only metadata differ. `newly_failed`
    counts failures of files that had not failed before as they are. `images_per_second` counts from the first
    to the last whole batch. What was left out and what was not looked at is counted as in `FoundImages`;
    `with_pages` files have pages beyond the first.
    """

    found: int
    new: int
    cached: int
    duplicates: int
    same_picture: int
    failed: int
    newly_failed: int
    hidden: int
    excluded: int
    nomedia: int
    libraries: int
    not_looked_at: Mapping[str, int]
    with_pages: int
    seconds: float
    images_per_second: float | None
    store: str
    network: str
    space: str
    failures: tuple[Failure, ...]


def extract(  # noqa: PLR0913
    paths: Sequence[str | os.PathLike[str]],
    options: ExtractOptions | None = None,
    *,
    source: NetworkSource | None = None,
    choose: Choose = choose_network,
    progress: Progress = SILENT,
    engine: str | Engine | None = None,
    also_in: FeatureReader | None = None,
    reading: Reading | None = None,
    owner: Ownership = IN_MEMORY,
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
    choose
        How a network source is made of the options.
    progress
        Told what happens; asked whether to stop.
    engine
        What spreads the work, or its name in the table of engines, in place of what `options` choose.
    also_in
        A store or a set of stores besides the one that is written: what these know is not embedded again.
    reading
        Makes pixels of a file in place of `read_image`; a function that a module defines, for a child process
        may have to find it.
    owner
        Remembers which files were read, so that `cluster` need not read them again.

    Raises
    ------
    ImgclusterError
        Where a path is missing, no image was found or none could be read, or the store cannot be written.
    Interrupted
        Where `progress` asked to stop; everything that was finished is in the store.
    """
    options = options or ExtractOptions()
    begun, started = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    engine = find_engine(engine or options.engine, options.engine_settings)
    found = find_files(paths, options, progress)
    source = source or _choose(options, choose, progress)
    space = source.space
    write_failures = table_file(options.failures, ("path", "reason"))
    with FeatureStore(
        options.store_path, "a", lock=not options.no_lock, wait=options.wait, notify=progress.note
    ) as store:
        readings = Readings(owner, store.path)
        stores = StoreSet(store.path, (also_in, store)) if also_in else store
        plan = plan_extraction(stores, found, space.name, options, readings)
        failed_before = {failure.path: _stat(failure) for failure in store.failures()}
        writer = BatchWriter(
            *(store, stores, plan.known, space, options.dtype, readings, progress),
            cached=plan.cached,
            failures=[*found.failures, *plan.failures],
        )
        progress.begin("embedding", len(plan.to_read))
        with progress.graceful_interrupt():
            if plan.to_read:  # else loading decoders would take longer than the whole look
                _embed(plan, source, options, engine, reading, writer, progress)
            store.settle_failures(plan.settled)
            store.record_failures(found.failures)
            store.record_scanned(found.folders)
            seconds = time.perf_counter() - started
            if writer.new:
                store.record_run(Run(begun, space.name, writer.new, seconds, writer.provenance))
            store.commit()
    failures = tuple(sorted(writer.failures, key=lambda failure: os.fsencode(failure.path)))
    reasons = [(failure.path, failure.reason) for failure in failures]
    write_failures(reasons)
    if progress.stopping:
        kept = quantity(writer.new, "new embedding")
        raise Interrupted(f"stopped: {kept} kept in {options.store_path}; run the same command to go on")
    count = len(found.files) + len(found.failures)
    if failures and len(failures) == count:
        raise NothingReadable(reasons)
    writer.summarise_notes()
    new = {each.path for each in failures if failed_before.get(each.path) != _stat(each)}
    failures = tuple(sorted(failures, key=lambda each: each.path not in new))
    return ExtractResult(
        found=count,
        failed=len(failures),
        newly_failed=len(new),
        seconds=seconds,
        store=options.store_path,
        network=space.network,
        space=space.name,
        failures=failures,
        **{name: getattr(writer, name) for name in _OF_WRITER},
        **{name: getattr(found, name) for name in _OF_SCAN},
    )


def _embed(
    plan: ExtractionPlan,
    source: NetworkSource,
    options: ExtractOptions,
    engine: Engine,
    reading: Reading | None,
    writer: BatchWriter,
    progress: Progress,
) -> None:
    """Send the files that need something through the pipeline, and what comes of them into the store."""
    from imgcluster.workflows.pipeline import Pipeline, ReadImages
    from imgcluster.workflows.read_image import ReadSettings, read_image

    store, space = writer.store, source.space
    settings = ReadSettings(
        space.input_size, decode_limits(options), options.timeout, space.crop, space.interpolation
    )
    with InFlight(store.target) as in_flight:
        suspects = _suspects(in_flight, store, {file.path for file in plan.to_read}, progress)
        read = ReadImages(settings, reading or read_image, watch=in_flight.watching)
        pipeline = Pipeline(source, read, engine, plan.known, lambda: progress.stopping)
        with closing(pipeline.run(plan.to_read, suspects)) as batches:
            for batch in batches:
                writer.write(batch)
                in_flight.settle(batch.paths)


def _stat(failure: Failure) -> tuple[int, int]:
    return failure.size, failure.mtime_ns


def _choose(options: ExtractOptions, choose: Choose, progress: Progress) -> NetworkSource:
    if options.network is not None or not os.path.exists(options.store_path):
        return source_of(options, (), (), choose, progress.note)
    with FeatureStore(options.store_path, lock=not options.no_lock) as store:
        spaces, runs = store.spaces, store.runs()
    return source_of(options, spaces, runs, choose, progress.note)


def _suspects(
    in_flight: InFlight, store: FeatureStore, paths: AbstractSet[str], progress: Progress
) -> AbstractSet[str]:
    """Tell which of the files are read in a process of their own, for one that read them died."""
    crashers = (f.path for f in store.failures() if f.code == FailureCode.CRASHED_DECODER)
    suspects = in_flight.suspects.union(crashers) & paths
    if suspects:
        were = "1 file was" if len(suspects) == 1 else f"{len(suspects)} files were"
        progress.note(
            f"{were} being read when an earlier run died, the first: {min(suspects, key=os.fsencode)}: each "
            "is read in a process of its own now, and counted as failed where that dies, too"
        )
    return suspects
