"""Extraction: find, skip what is known, read and embed the rest, append."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from imgcluster.engines.protocol import Engine
from imgcluster.engines.table import find_engine
from imgcluster.errors import (
    FailureCode,
    Interrupted,
    NetworkUnavailable,
    NoImages,
    NothingReadable,
    quantity,
)
from imgcluster.images.decode import DecodeLimits
from imgcluster.images.exclusion import Exclusion
from imgcluster.images.find import FoundImages, ScanSettings, find_images
from imgcluster.output.single_file import check_target, write_file
from imgcluster.output.tables import csv_bytes
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.readings import Readings
from imgcluster.records import (
    Embeddings,
    Failure,
    FeatureSpace,
    ImageFile,
    Keys,
    NetworkSource,
    Progress,
    Run,
    SilentProgress,
)
from imgcluster.store.in_flight import InFlight
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store import FeatureStore
from imgcluster.store.store_set import StoreSet
from imgcluster.tabular import Tabular, columns_of
from imgcluster.workflows.choose_network import Choose, choose_network
from imgcluster.workflows.collection import stacked
from imgcluster.workflows.extract_stats import ExtractStats
from imgcluster.workflows.extraction_plan import plan_extraction
from imgcluster.workflows.options import ExtractOptions
from imgcluster.workflows.pipeline import KnownKeys, Pipeline, ReadImages
from imgcluster.workflows.reading import Reading, ReadSettings, read_image
from imgcluster.workflows.shard import Shard
from imgcluster.workflows.stored_network import source_of

_FAILURE_COLUMNS = ("path", "reason")


@dataclass(frozen=True)
class ExtractResult(Tabular):
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

    def table(self) -> dict[str, list[Any]]:
        """Give a row for each file that failed."""
        return columns_of(self.failures, Failure)


def extract(  # noqa: PLR0913
    paths: Sequence[str | os.PathLike[str]],
    options: ExtractOptions | None = None,
    *,
    source: NetworkSource | None = None,
    choose: Choose = choose_network,
    progress: Progress | None = None,
    engine: str | Engine | None = None,
    known: FeatureReader | None = None,
    reading: Reading = read_image,
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
    known
        A store or a set of stores besides the one that is written: what these know is not embedded again.
    reading
        How a file becomes pixels; a function that a module defines, for a child process may have to find it.
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
    progress = progress or SilentProgress()
    started = time.perf_counter()
    engine = find_engine(engine or options.engine, options.engine_settings)
    found = _find(paths, options, progress)
    source = source or _choose(options, choose, progress)
    if options.failures is not None:  # a place that cannot be written to shows before the long work
        check_target(options.failures, csv_bytes(_FAILURE_COLUMNS, ()), first_line=True)
    with FeatureStore(
        options.store_path, "a", lock=not options.no_lock, wait=options.wait, notify=progress.note
    ) as store:
        readings = Readings(owner, store.path)
        known = StoreSet(store.path, (known, store)) if known else store
        plan = plan_extraction(
            known,
            found,
            source.space.name,
            _limits(options),
            options.part,
            readings,
            retry_failed=options.retry_failed,
        )
        failed_before = set(map(_which, store.failures()))
        stats = ExtractStats(plan.cached, [*found.failures, *plan.failures], progress)
        pipeline = Pipeline(
            source,
            ReadImages(_settings(source.space, options), reading),
            engine,
            _known(known, source.space.name) if plan.to_read and plan.has_space else KnownKeys(),
            stopping=lambda: progress.stopping,
        )
        progress.begin("embedding", len(plan.to_read))
        with progress.graceful_interrupt():
            _embed_and_append(store, known, plan.to_read, pipeline, options.dtype, stats, readings)
            store.settle_failures(plan.settled)
            store.record_failures(found.failures)
            store.record_scanned(found.folders)
            seconds = time.perf_counter() - started
            if stats.new:
                store.record_run(_run(source, stats, seconds))
            store.commit()
    failures = tuple(sorted(stats.failures, key=lambda failure: os.fsencode(failure.path)))
    _write_failures(failures, options.failures)
    _raise_where_nothing_came_of_it(found, failures, stats, options, progress)
    stats.summarise_notes()
    return ExtractResult(
        found=len(found.files) + len(found.failures),
        new=stats.new,
        cached=stats.cached,
        duplicates=stats.duplicates,
        same_picture=stats.same_picture,
        failed=len(failures),
        newly_failed=sum(_which(failure) not in failed_before for failure in failures),
        hidden=found.hidden,
        excluded=found.excluded,
        nomedia=found.nomedia,
        libraries=found.libraries,
        not_looked_at=found.not_looked_at,
        with_pages=stats.with_pages,
        seconds=seconds,
        images_per_second=stats.images_per_second,
        store=options.store_path,
        network=source.space.network,
        space=source.space.name,
        failures=failures,
    )


def _which(failure: Failure) -> tuple[str, int, int]:
    return failure.path, failure.size, failure.mtime_ns


def _known(store: FeatureReader, space: str) -> KnownKeys:
    return KnownKeys(store.keys(space), store.picture_keys)


def _choose(options: ExtractOptions, choose: Choose, progress: Progress) -> NetworkSource:
    if options.network is not None or not os.path.exists(options.store_path):
        return source_of(options, (), (), choose, progress.note)
    with FeatureStore(options.store_path, lock=not options.no_lock) as store:
        spaces, runs = store.spaces, store.runs()
    return source_of(options, spaces, runs, choose, progress.note)


def _limits(options: ExtractOptions) -> DecodeLimits:
    limits = DecodeLimits(accept_truncated=options.accept_truncated)
    return replace(limits, max_pixels=options.max_pixels) if options.max_pixels else limits


def _find(
    paths: Sequence[str | os.PathLike[str]], options: ExtractOptions, progress: Progress
) -> FoundImages:
    settings = ScanSettings(
        options.follow_links,
        options.any_name,
        Exclusion(options.exclude),
        os.path.abspath(options.store_path),
    )
    found = find_images([os.fspath(path) for path in paths], settings, progress=progress)
    if progress.stopping:
        raise Interrupted("stopped before anything was embedded")
    if not found.files and not found.failures:
        raise NoImages(_why_none(paths, found))
    left_out = _left_out(found)
    if left_out:
        progress.note(f"left out: {left_out}")
    if found.not_looked_at and not options.any_name:
        progress.note(
            f"not looked at, because of their names: {found.other_files} (--any-name looks into them)"
        )
    return _only(options.part, found)


def _only(part: Shard, found: FoundImages) -> FoundImages:
    """Leave the files of a part; a folder that cannot be read now concerns every part."""
    return replace(
        found,
        files=tuple(file for file in found.files if part.holds(file.path)),
        failures=tuple(f for f in found.failures if f.code.temporary or part.holds(f.path)),
    )


def _left_out(found: FoundImages) -> str:
    parts = (
        (found.excluded, "file or folder by --exclude", "files and folders by --exclude"),
        (found.nomedia, "folder with a .nomedia file", "folders with a .nomedia file"),
        (found.libraries, "library of a photo manager", "libraries of photo managers"),
    )
    return ", ".join(quantity(*part) for part in parts if part[0])


def _why_none(paths: Sequence[str | os.PathLike[str]], found: FoundImages) -> str:
    nothing = f"no image found below {', '.join(map(str, paths))}"
    if found.clusterings:
        return (
            f"{nothing} but in {quantity(found.clusterings, 'folder')} that `cluster` made: name the folder "
            "that the images came from, or, if they were moved, the cluster folders themselves"
        )
    left_out = _left_out(found)
    if left_out:
        return f"{nothing}; left out: {left_out}"
    if found.not_looked_at:
        return f"{nothing}; of other files there are {found.other_files} (--any-name looks into them)"
    return f"{nothing}: name a folder with images"


def _raise_where_nothing_came_of_it(
    found: FoundImages,
    failures: Sequence[Failure],
    stats: ExtractStats,
    options: ExtractOptions,
    progress: Progress,
) -> None:
    if progress.stopping:
        kept = quantity(stats.new, "new embedding")
        raise Interrupted(f"stopped: {kept} kept in {options.store_path}; run the same command to go on")
    if failures and len(failures) == len(found.files) + len(found.failures):
        raise NothingReadable([(failure.path, failure.reason) for failure in failures])


def _write_failures(failures: Sequence[Failure], path: str | None) -> None:
    """Write failed files as CSV with columns path, reason."""
    if path is not None:
        rows = [(failure.path, failure.reason) for failure in failures]
        write_file(path, csv_bytes(_FAILURE_COLUMNS, rows))


def _settings(space: FeatureSpace, options: ExtractOptions) -> ReadSettings:
    return ReadSettings(space.input_size, _limits(options), options.timeout, space.crop, space.interpolation)


def _embed_and_append(
    store: FeatureStore,
    known: FeatureReader,
    files: Sequence[ImageFile],
    pipeline: Pipeline,
    dtype: str,
    stats: ExtractStats,
    readings: Readings,
) -> None:
    """Rows go into the store batch by batch, each durable at once."""
    space = pipeline.source.space
    with InFlight(store.path) as in_flight:
        crashers = (f.path for f in store.failures() if f.code == FailureCode.CRASHED_DECODER)
        suspects = in_flight.suspects.union(crashers) & {file.path for file in files}
        if suspects:
            were = "1 file was" if len(suspects) == 1 else f"{len(suspects)} files were"
            stats.progress.note(
                f"{were} being read when an earlier run died: each is read in a process of its own"
            )
        with closing(replace(pipeline, watch=in_flight).run(files, suspects)) as batches:
            for batch in batches:
                if batch.embeddings is not None and batch.keys:
                    if not stats.new:
                        _check_first(batch.embeddings)
                    store.add_space(space, batch.embeddings.shape[1], dtype)
                    store.append(space.name, batch.key_rows, batch.embeddings)
                store.record_pictures(batch.pictures)
                readings.add_looks((key, looks.tobytes()) for key, looks in batch.pictures.items())
                if batch.copies:
                    copies, shown = (stacked(keys) for keys in zip(*batch.copies, strict=True))
                    rows = _read(store, known, space.name, shown)
                    store.add_space(space, rows.shape[1], dtype)
                    store.append(space.name, copies, rows)
                store.record_picture_keys(batch.picture_keys)
                store.record_paths(batch.entries)
                store.record_failures(batch.failures)
                store.commit()
                readings.add((e.path, e.inode, e.size, e.mtime_ns, e.key) for e in batch.entries if e.inode)
                in_flight.settle(batch.paths)
                stats.count(batch, pipeline.known)


def _read(store: FeatureStore, known: FeatureReader, space: str, keys: Keys) -> Embeddings:
    """Read rows from where they are; `known` does not see what was written since it was opened."""
    if store is known:
        return store.read(space, keys)
    has_space = any(stored.name == space for stored in store.spaces)
    here = store.contains(space, keys) if has_space else np.zeros(len(keys), np.bool_)
    each = zip(keys, here, strict=True)
    return np.concatenate([(store if its_own else known).read(space, key[None]) for key, its_own in each])


def _check_first(embeddings: Embeddings) -> None:
    """Raise NetworkUnavailable where no row is finite; a single one among others may be as it likes."""
    if not np.isfinite(embeddings).all(axis=1).any():
        raise NetworkUnavailable(
            f"the network gives only NaN or infinity for the first images, {embeddings.shape} "
            f"{embeddings.dtype}: nothing of that is kept"
        )


def _run(source: NetworkSource, stats: ExtractStats, seconds: float) -> Run:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return Run(started, source.space.name, stats.new, seconds, stats.provenance)
