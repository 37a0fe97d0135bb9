"""`imgcluster cluster`."""

import math
from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Paths, Runner
from imgcluster.cli.report import make_report, report_again
from imgcluster.errors import quantity
from imgcluster.workflows.options import ClusterOptions


def cluster(
    paths: Paths = None,
    *,
    options: ClusterOptions,
    report: Annotated[
        bool | None,
        typer.Option(
            "--report/--no-report",
            help="Also write the pages to look at.",
            show_default="where there was a report before",
        ),
    ] = None,
    run: Runner,
) -> Answers:
    """Sort the embedded images into one folder per cluster."""
    from imgcluster.workflows import cluster as workflow
    from imgcluster.workflows.report import require_report_libraries

    if report and not options.dry_run:
        require_report_libraries()  # before folders are made, and images perhaps moved
    result = run(workflow.cluster, paths or (), options)
    page, again = None, report is None and result.had_report
    if report and options.dry_run:
        run.progress.note("a dry run writes no report")
    elif report or again:
        make = report_again if again else make_report
        page = make(run, str(result.out), lock=not options.no_lock, wait=options.wait_for_folder)
    figures = result.figures()
    figures.pop("had_report")
    yield Answer({**figures, "report": page})
    verb, went = ("would sort", "would go") if result.dry_run else ("sorted", "went")
    silhouette = "not defined" if math.isnan(result.silhouette) else f"{result.silhouette:.2f}"
    console.say(
        f"{verb} {quantity(result.images, 'image')} into {quantity(result.k, 'cluster')} in {result.out} "
        f"({result.mode}), silhouette {silhouette}, {result.seconds:.1f} s"
    )
    console.show_clusters(result.out or "", result.clusters, result.mode)
    if result.unsorted:
        console.say(f"  unsorted: {quantity(result.unsorted, 'image')} in no cluster")
    if result.companions:
        companions = quantity(result.companions, "companion")
        console.say(f"  {companions} (.xmp, .mov, raw …) {went} with the images")
    if result.dry_run:
        console.say(f"  {quantity(result.bytes_to_copy, 'byte')} to copy; nothing was written")
    console.show_page(page)
    reasons = {
        "without an embedding of this network": result.unembedded,
        "gone": result.missing,
        "not to be read by you": result.unreadable,
        "changed since they were extracted": result.changed,
    }
    left_out = sum(reasons.values())
    if left_out > result.images:  # then it is said last of all
        why = ", ".join(f"{number} {what}" for what, number in reasons.items() if number)
        console.say(f"left out: {left_out} of {quantity(result.images + left_out, 'image')} ({why})")
