"""`imgcluster store`: info, verify, repair, prune, merge, export, cache."""

import os
from typing import Annotated

import typer

from imgcluster.cli import console, places
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import (
    CacheOptions,
    ExportOptions,
    MergeOptions,
    PruneOptions,
    ReadStoreOptions,
    StoreOptions,
)


def info(*, options: ReadStoreOptions, run: Runner) -> Answers:
    """Tell what is in the store."""
    from imgcluster.workflows import store as workflow

    found = run(workflow.info, options)
    spaces = [
        {
            "name": space.name,
            "network": space.space.network,
            "rows": space.rows,
            "dimension": space.dimension,
            "dtype": space.dtype,
        }
        for space in found.spaces
    ]
    yield Answer({**vars(found), "spaces": spaces}, of=found)
    console.say(
        f"{options.store}: {found.bytes:,} bytes, schema {found.schema}, {quantity(found.paths, 'path')}, "
        f"{found.failures} failed"
    )
    rows = [(space.name, str(space.rows), str(space.dimension), space.dtype) for space in found.spaces]
    console.show_table(("feature space", "rows", "dimension", "type"), rows, numbers=(1, 2))
    for extraction in found.runs:
        details = ", ".join(f"{name} {value}" for name, value in extraction.details.items())
        console.say(
            f"{extraction.started}: {extraction.new} new in {extraction.seconds:.1f} s, {extraction.space} "
            f"({details})"
        )


def verify(*, options: ReadStoreOptions, run: Runner) -> Answers:
    """Check structure and every checksum; exit 1 where something is wrong."""
    from imgcluster.workflows import store as workflow

    found = run(workflow.verify, options)
    problems = found.problems
    yield Answer(found, status=1 if problems else 0)
    counted = quantity(len(problems), "problem")
    console.say(f"{options.store}: checked {quantity(found.rows, 'row')}, found {counted}")
    for problem in problems:
        console.say(f"  {problem}")
    if problems:
        store = options.store if os.path.exists(options.store) else "FILE"
        console.note(f"`imgcluster store repair --store {store}` keeps every sound row")


def repair(*, options: StoreOptions, run: Runner) -> Answers:
    """Keep every sound row of a damaged store, and tell what was lost."""
    from imgcluster.workflows import store as workflow

    done = run(workflow.repair, options)
    yield Answer(done)
    losses = quantity(len(done.lost), "loss", "losses")
    console.say(f"{options.store}: {quantity(done.rows, 'row')} kept, {losses}")
    for loss in done.lost:
        console.say(f"  {loss}")
    if done.damaged_file:
        console.say(f"the damaged file is now {done.damaged_file}; `imgcluster extract` embeds what was lost")


def prune(*, options: PruneOptions, run: Runner) -> Answers:
    """Forget paths that are gone and rows that no path leads to; the file shrinks."""
    from imgcluster.workflows import store as workflow

    done = run(workflow.prune, options)
    yield Answer(done)
    gone = f"{quantity(done.paths, 'path')} and {quantity(done.rows, 'row')}"
    if done.dry_run:
        console.say(f"{options.store}: would remove {gone}; nothing was changed")
    else:
        console.say(
            f"{options.store}: removed {gone}; {done.bytes_before:,} bytes before, {done.bytes_after:,} now"
        )


def cache(*, options: CacheOptions, run: Runner) -> Answers:
    """Tell how much room thumbnails and converted networks take, all stores' together."""
    from imgcluster import caches

    folder = places.cache_folder()
    parts = run(caches.clear if options.clear else caches.usage, folder)
    yield Answer({"folder": folder, "cleared": options.clear, "parts": parts}, of=parts)
    rows = [(part.name, f"{part.files:,}", f"{part.bytes:,}", part.path) for part in parts]
    console.show_table(("cache", "files", "bytes", "folder"), rows, numbers=(1, 2))
    if options.clear:
        console.say("removed")


def merge(
    stores: Annotated[list[str], typer.Argument(metavar="STORES", help="Stores to join.")],
    *,
    options: MergeOptions,
    run: Runner,
) -> Answers:
    """Join stores into a new one."""
    from imgcluster.workflows import store as workflow

    done = run(workflow.merge, stores, options)
    yield Answer({**vars(done), "store": options.out}, of=done)
    console.say(f"{options.out}: {quantity(done.rows, 'row')}, {done.shared} of them in several stores")


def export(*, options: ExportOptions, run: Runner) -> Answers:
    """Write one feature space for other programs."""
    from imgcluster.workflows import export as workflow

    stored = run(workflow.export, options)
    written = {"out": options.out, "format": options.format}
    yield Answer({**written, "space": stored.name, "rows": stored.rows}, of=stored)
    console.say(f"wrote {quantity(stored.rows, 'embedding')} of {stored.name} to {options.out}")
