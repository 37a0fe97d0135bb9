"""`imgcluster cluster`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import Json, Paths
from imgcluster.cli.report import report_again
from imgcluster.errors import quantity
from imgcluster.workflows.options import ClusterOptions

if TYPE_CHECKING:
    from imgcluster.workflows.cluster import ClusterResult  # loads NumPy


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
    json: Json = False,
) -> None:
    """Sort the embedded images into one folder per cluster."""
    from imgcluster.cli.places import choose_network, ownership, thumbnail_folder
    from imgcluster.workflows import cluster as workflow
    from imgcluster.workflows import report as reporting

    if report and not options.dry_run:
        reporting.require_report_libraries()  # before folders are made, and images perhaps moved
    owner = ownership()
    with console.progress() as progress:
        result, page = (
            workflow.cluster(paths or (), options, choose=choose_network, owner=owner, progress=progress),
            None,
        )
        if report and options.dry_run:
            progress.note("a dry run writes no report")
        elif report:
            page = reporting.report(
                str(options.out),  # only Python asks for none
                thumbnails=thumbnail_folder(),
                lock=not options.no_lock,
                wait=options.wait_for_folder,
                owner=owner,
                progress=progress,
            ).page
        elif report is None and result.had_report and not options.dry_run:
            page = report_again(result.out or "", progress, options.wait_for_folder)
    if json:
        answer = result.figures()
        answer.pop("had_report")
        console.show_json({**answer, "report": page})
    else:
        _show(result)
        if page:
            console.say(f"open {page}")
        _show_left_out(result)


def _show_left_out(result: ClusterResult) -> None:
    """Say last of all that most images are missing in what was made."""
    left_out = result.missing + result.changed + result.unembedded
    if left_out > result.images:
        parts = (
            (result.unembedded, "without an embedding of this network"),
            (result.missing, "gone"),
            (result.changed, "changed since they were extracted"),
        )
        why = ", ".join(f"{number} {what}" for number, what in parts if number)
        console.say(f"left out: {left_out} of {quantity(result.images + left_out, 'image')} ({why})")


def _show(result: ClusterResult) -> None:
    verb = "would sort" if result.dry_run else "sorted"
    silhouette = "not defined" if math.isnan(result.silhouette) else f"{result.silhouette:.2f}"
    console.say(
        f"{verb} {quantity(result.images, 'image')} into {quantity(result.k, 'cluster')} in {result.out} "
        f"({result.mode}), silhouette {silhouette}, {result.seconds:.1f} s"
    )
    console.show_clusters(result.out or "", result.clusters)
    if result.companions:
        verb = "would go" if result.dry_run else "went"
        companions = quantity(result.companions, "companion")
        console.say(f"  {companions} (.xmp, .mov, raw …) {verb} with the images")
    if result.dry_run:
        console.say(f"  {quantity(result.bytes_to_copy, 'byte')} to copy; nothing was written")
