"""`imgcluster store`: info, verify, repair, prune, merge, export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from imgcluster.cli import console
from imgcluster.cli.options import DEFAULT_STORE, Json, Network, NoLock, Space, Store

app = typer.Typer(help="Look after the feature store.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def info(*, store: Store = DEFAULT_STORE, no_lock: NoLock = False, json: Json = False) -> None:
    """Tell what is in the store."""
    from imgcluster.workflows import store as workflow

    found = workflow.info(str(store), lock=not no_lock, notify=console.note)
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
        console.show_json(
            {
                "schema": found.schema,
                "bytes": found.bytes,
                "paths": found.paths,
                "failures": found.failures,
                "spaces": spaces,
                "runs": [asdict(run) for run in found.runs],
            }
        )
        return
    console.say(
        f"{store}: {found.bytes:,} bytes, schema {found.schema}, {found.paths} paths, {found.failures} failed"
    )
    rows = [(space.name, str(space.rows), str(space.dimension), space.dtype) for space in found.spaces]
    console.show_table(("feature space", "rows", "dimension", "type"), rows, numbers=(1, 2))
    for run in found.runs:
        details = ", ".join(f"{name} {value}" for name, value in run.details.items())
        console.say(f"{run.started}: {run.new} new in {run.seconds:.1f} s, {run.space} ({details})")


@app.command()
def verify(*, store: Store = DEFAULT_STORE, no_lock: NoLock = False, json: Json = False) -> None:
    """Check structure and every checksum; exit 1 where something is wrong."""
    from imgcluster.workflows import store as workflow

    with console.progress() as progress:
        found = workflow.verify(str(store), lock=not no_lock, progress=progress)
    if json:
        console.show_json({"rows": found.rows, "problems": list(found.problems)})
    else:
        console.say(f"{store}: {found.rows} rows are right, {len(found.problems)} problems")
        for problem in found.problems:
            console.say(f"  {problem}")
        if found.problems:
            console.note(f"`imgcluster store repair --store {store}` keeps every sound row")
    if found.problems:
        raise typer.Exit(1)


@app.command()
def repair(*, store: Store = DEFAULT_STORE, no_lock: NoLock = False, json: Json = False) -> None:
    """Keep every sound row of a damaged store, and tell what was lost."""
    from imgcluster.workflows import store as workflow

    with console.progress() as progress:
        done = workflow.repair(str(store), lock=not no_lock, progress=progress)
    if json:
        console.show_json({"rows": done.rows, "lost": list(done.lost), "damaged_file": done.damaged_file})
        return
    console.say(f"{store}: {done.rows} rows kept, {len(done.lost)} losses")
    for loss in done.lost:
        console.say(f"  {loss}")
    if done.damaged_file:
        console.say(f"the damaged file is now {done.damaged_file}; `imgcluster extract` embeds what was lost")


@app.command()
def prune(
    *,
    store: Store = DEFAULT_STORE,
    clusters: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="A folder that `cluster --mode move` put images into, where it lies neither here nor beside "
            "store or images; again for more.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Though nothing is left of a scanned folder, or most rows would go."),
    ] = False,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Forget paths that are gone and rows that no path leads to; the file shrinks."""
    from imgcluster.workflows import store as workflow

    named = [str(folder) for folder in clusters or ()]
    with console.progress() as progress:
        done = workflow.prune(str(store), clusters=named, force=force, lock=not no_lock, progress=progress)
    if json:
        console.show_json(asdict(done))
    else:
        console.say(
            f"{store}: {done.paths} paths and {done.rows} rows went; "
            f"{done.bytes_before:,} bytes before, {done.bytes_after:,} now"
        )


@app.command()
def merge(
    stores: Annotated[list[Path], typer.Argument(help="Stores to join.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The new store.")],
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Join stores into a new one."""
    from imgcluster.workflows import store as workflow

    with console.progress() as progress:
        done = workflow.merge([*map(str, stores)], str(out), lock=not no_lock, progress=progress)
    if json:
        console.show_json({**asdict(done), "store": str(out)})
    else:
        console.say(f"{out}: {done.rows} rows; {done.shared} were in more than one store")


@app.command()
def export(
    *,
    form: Annotated[Literal["npz", "tensorboard"], typer.Option("--format", help="What to write.")] = "npz",
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write it.")],
    store: Store = DEFAULT_STORE,
    network: Network = None,
    space: Space = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Write one feature space for other programs."""
    from imgcluster.cli.places import thumbnail_folder
    from imgcluster.workflows import export as workflow
    from imgcluster.workflows.collection import SpaceChoice

    where = SpaceChoice(str(store), network, space, not no_lock)
    with console.progress() as progress:
        stored = workflow.export(where, str(out), form, thumbnails=thumbnail_folder(), progress=progress)
    if json:
        console.show_json({"out": str(out), "format": form, "space": stored.name, "rows": stored.rows})
    else:
        console.say(f"{stored.rows} embeddings of {stored.name} written to {out}")
