"""`imgcluster extract`."""

from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import ExtractOptions


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
    run: Runner,
) -> Answers:
    """Embed every image below PATHS that the store does not know yet."""
    from imgcluster.workflows import extract as workflow

    result = run(workflow.extract, paths or ["."], options)
    failures = console.paths_and_reasons(result.failures)
    status = 1 if strict and result.failed else 3 if strict_new and result.newly_failed else 0
    yield Answer({**vars(result), "failures": console.failures_json(failures)}, status)
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
    if status:  # also of a quiet run, for cron sends what it says
        told = failures[: result.newly_failed] if status == 3 else failures
        console.show_failures(told, in_full="--json or --failures FILE", always=True)
        failures = failures[len(told) :]
    console.show_failures(failures, in_full="--json or --failures FILE")
