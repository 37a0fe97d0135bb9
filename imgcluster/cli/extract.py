"""`imgcluster extract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import quantity
from imgcluster.workflows.options import ExtractOptions

if TYPE_CHECKING:
    from imgcluster.workflows.extract import ExtractResult  # loads NumPy


def extract(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATHS", help="Files and folders.", show_default="here"),
    ] = None,
    *,
    options: ExtractOptions,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with status 1 if any file failed.")] = False,
    strict_new: Annotated[
        bool, typer.Option("--strict-new", help="Exit with status 3 if files failed that had not before.")
    ] = False,
    json: Json = False,
) -> None:
    """Embed every image below PATHS that the store does not know yet."""
    from imgcluster.cli.places import choose_network, ownership
    from imgcluster.workflows import extract as workflow

    with console.progress() as progress:
        result = workflow.extract(
            paths or ["."], options, choose=choose_network, owner=ownership(), progress=progress
        )
    if json:
        failures = console.failures_json(console.paths_and_reasons(result.failures))
        console.show_json({**vars(result), "failures": failures})
    else:
        _show(result)
    if strict and result.failed:
        raise typer.Exit(1)
    if strict_new and result.newly_failed:
        raise typer.Exit(3)


def _show(result: ExtractResult) -> None:
    speed = f" at {result.images_per_second:.1f} images/s" if result.images_per_second else ""
    parts = [f"{result.new} new{speed}", f"{result.cached} known"]
    if result.duplicates:
        parts.append(quantity(result.duplicates, "duplicate"))
    if result.failed:
        parts.append(f"{result.failed} failed")
    console.say(
        f"{quantity(result.found, 'image')}: {', '.join(parts)}; {result.seconds:.1f} s, "
        f"{result.store} ({result.space})"
    )
    console.show_failures(console.paths_and_reasons(result.failures), in_full="--json or --failures FILE")
