"""`imgcluster store`: info, verify, repair, prune, merge, export."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import quantity
from imgcluster.workflows.options import (
    CacheOptions,
    ExportOptions,
    MergeOptions,
    PruneOptions,
    ReadStoreOptions,
    StoreOptions,
)


def info(*, options: ReadStoreOptions, json: Json = False) -> None:
    """Tell what is in the store."""
    from imgcluster.workflows import store as workflow

    found = workflow.info(
        options.store, lock=not options.no_lock, partial=options.partial, notify=console.note
    )
    if json:
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
        console.show_json({**vars(found), "spaces": spaces})
        return
    console.say(
        f"{options.store}: {found.bytes:,} bytes, schema {found.schema}, {quantity(found.paths, 'path')}, "
        f"{found.failures} failed"
    )
    rows = [(space.name, str(space.rows), str(space.dimension), space.dtype) for space in found.spaces]
    console.show_table(("feature space", "rows", "dimension", "type"), rows, numbers=(1, 2))
    for run in found.runs:
        details = ", ".join(f"{name} {value}" for name, value in run.details.items())
        console.say(f"{run.started}: {run.new} new in {run.seconds:.1f} s, {run.space} ({details})")


def verify(*, options: ReadStoreOptions, json: Json = False) -> None:
    """Check structure and every checksum; exit 1 where something is wrong."""
    from imgcluster.workflows import store as workflow

    with console.progress() as progress:
        found = workflow.verify(
            options.store, lock=not options.no_lock, partial=options.partial, progress=progress
        )
    if json:
        console.show_json({"rows": found.rows, "problems": found.problems})
    else:
        problems = quantity(len(found.problems), "problem")
        console.say(f"{options.store}: checked {quantity(found.rows, 'row')}, found {problems}")
        for problem in found.problems:
            console.say(f"  {problem}")
        if found.problems:
            store = options.store if os.path.exists(options.store) else "FILE"
            console.note(f"`imgcluster store repair --store {store}` keeps every sound row")
    if found.problems:
        raise typer.Exit(1)


def repair(*, options: StoreOptions, json: Json = False) -> None:
    """Keep every sound row of a damaged store, and tell what was lost."""
    from imgcluster.workflows import store as workflow

    with console.progress() as progress:
        done = workflow.repair(options.store, lock=not options.no_lock, progress=progress)
    if json:
        console.show_json({"rows": done.rows, "lost": done.lost, "damaged_file": done.damaged_file})
        return
    losses = quantity(len(done.lost), "loss", "losses")
    console.say(f"{options.store}: {quantity(done.rows, 'row')} kept, {losses}")
    for loss in done.lost:
        console.say(f"  {loss}")
    if done.damaged_file:
        console.say(f"the damaged file is now {done.damaged_file}; `imgcluster extract` embeds what was lost")


def prune(*, options: PruneOptions, json: Json = False) -> None:
    """Forget paths that are gone and rows that no path leads to; the file shrinks."""
    from imgcluster.cli.places import thumbnail_folder
    from imgcluster.workflows import store as workflow

    with console.progress() as progress:
        done = workflow.prune(
            options.store,
            clusters=options.clusters,
            force=options.force,
            lock=not options.no_lock,
            thumbnails=thumbnail_folder(),
            progress=progress,
        )
    if json:
        console.show_json(done)
        return
    gone = f"{quantity(done.paths, 'path')} and {quantity(done.rows, 'row')}"
    console.say(
        f"{options.store}: removed {gone}; {done.bytes_before:,} bytes before, {done.bytes_after:,} now"
    )


def cache(*, options: CacheOptions, json: Json = False) -> None:
    """Tell how much room thumbnails and converted networks take, all stores' together."""
    from imgcluster import caches
    from imgcluster.cli.places import cache_folder

    folder = cache_folder()
    parts = caches.clear(folder) if options.clear else caches.usage(folder)
    if json:
        console.show_json({"folder": folder, "cleared": options.clear, "parts": parts})
        return
    rows = [(part.name, f"{part.files:,}", f"{part.bytes:,}", part.path) for part in parts]
    console.show_table(("cache", "files", "bytes", "folder"), rows, numbers=(1, 2))
    if options.clear:
        console.say("removed")


def merge(
    stores: Annotated[list[str], typer.Argument(metavar="STORES", help="Stores to join.")],
    *,
    options: MergeOptions,
    json: Json = False,
) -> None:
    """Join stores into a new one."""
    from imgcluster.workflows import store as workflow

    with console.progress() as progress:
        done = workflow.merge(stores, options.out, lock=not options.no_lock, progress=progress)
    if json:
        console.show_json({**vars(done), "store": options.out})
    else:
        console.say(f"{options.out}: {quantity(done.rows, 'row')}, {done.shared} of them in several stores")


def export(*, options: ExportOptions, json: Json = False) -> None:
    """Write one feature space for other programs."""
    from imgcluster.cli.places import thumbnail_folder
    from imgcluster.workflows import export as workflow

    with console.progress() as progress:
        stored = workflow.export(options, thumbnails=thumbnail_folder(), progress=progress)
    if json:
        written = {"out": options.out, "format": options.format}
        console.show_json({**written, "space": stored.name, "rows": stored.rows})
    else:
        console.say(f"wrote {quantity(stored.rows, 'embedding')} of {stored.name} to {options.out}")
