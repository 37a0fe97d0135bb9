"""`imgcluster assign`."""

from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.cli.report import report_again
from imgcluster.errors import quantity
from imgcluster.workflows.options import AssignOptions


def assign(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Files and folders.")],
    *,
    options: AssignOptions,
    run: Runner,
) -> Answers:
    """Tell which existing cluster each image belongs to; nothing is fitted again."""
    from imgcluster.workflows import assign as workflow

    result = run(workflow.assign, paths, options)
    again = result.had_report
    page = report_again(run, options.clusters, lock=not options.no_lock) if again else None
    failures = console.paths_and_reasons(result.failures)
    yield Answer(
        {
            "clusters": options.clusters,
            "new": result.new,
            "placed": result.placed,
            "report": page,
            "failed": len(failures),
            "images": console.chosen(result.images, "path", "cluster", "distance"),
            "failures": console.failures_json(failures),
        }
    )
    console.show_rows(result.images, cluster="", distance=".3f", path="")
    failed = f", {len(failures)} failed" if failures else ""
    placed = f", {result.placed} placed in {options.clusters}" if options.place else ""
    console.say(f"{quantity(len(result.images), 'image')}{placed}{failed}")
    console.show_failures(failures)
