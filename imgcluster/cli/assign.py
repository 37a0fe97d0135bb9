"""`imgcluster assign`."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.cli.report import report_again
from imgcluster.errors import quantity
from imgcluster.workflows.options import AssignOptions


def assign(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Files and folders.")],
    *,
    options: AssignOptions,
    json: Json = False,
) -> None:
    """Tell which existing cluster each image belongs to; nothing is fitted again."""
    from imgcluster.cli.places import choose_network, ownership
    from imgcluster.workflows import assign as workflow

    with console.progress() as progress:
        result = workflow.assign(paths, options, choose=choose_network, owner=ownership(), progress=progress)
        page = report_again(options.clusters, progress) if result.had_report else None
    failures = console.paths_and_reasons(result.failures)
    if json:
        images = [
            {"path": image.path, "cluster": image.cluster, "distance": image.distance}
            for image in result.images
        ]
        console.show_json(
            {
                "clusters": options.clusters,
                "new": result.new,
                "placed": result.placed,
                "report": page,
                "failed": len(failures),
                "images": images,
                "failures": console.failures_json(failures),
            }
        )
        return
    rows = [(str(image.cluster), f"{image.distance:.3f}", image.path) for image in result.images]
    console.show_table(("cluster", "distance", "path"), rows, numbers=(0, 1))
    failed = f", {len(failures)} failed" if failures else ""
    placed = f", {result.placed} placed in {options.clusters}" if options.place else ""
    console.say(f"{quantity(len(rows), 'image')}{placed}{failed}")
    console.show_failures(failures)
