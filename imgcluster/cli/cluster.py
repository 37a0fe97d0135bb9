"""What finds clusters: `cluster`, `sweep`, `compare`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Paths, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import ClusterOptions, CompareOptions, ReportOptions, SweepOptions

if TYPE_CHECKING:
    from imgcluster.workflows.compare import Comparison


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
    from imgcluster.workflows import report as reporting

    if report and not options.dry_run:
        reporting.require_report_libraries()  # before folders are made, and images perhaps moved
    result = run(workflow.cluster, paths or (), options)
    page, out, no_lock, wait = None, str(result.out), options.no_lock, options.wait_for_folder
    if report and options.dry_run:
        run.progress.note("a dry run writes no report")
    elif report:
        page = run(reporting.report, ReportOptions(clusters=out, no_lock=no_lock), wait=wait).page
    elif report is None and result.had_report:
        page = run.report_again(out, no_lock=no_lock, wait=wait)
    figures = result.figures()
    figures.pop("had_report")
    yield Answer({**figures, "report": page}, of=result)
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


def sweep(paths: Paths = None, *, options: SweepOptions, run: Runner) -> Answers:
    """Try a range of cluster numbers and suggest one."""
    from imgcluster.workflows import sweep as workflow
    from imgcluster.workflows.sweep_report import report_sweep

    result = run(workflow.sweep, paths or (), options)
    page = run(report_sweep, result, options, paths or ()) if options.report else None
    answer = {"images": result.images, **vars(result.sweep), "report": page}
    del answer["labels"]
    yield Answer(answer, of=result)
    console.show_rows(result.sweep.rows, k="", inertia=".1f", silhouette=".3f", stability=".3f", gap=".3f")
    alone = result.sweep.doubtful or len(result.sweep.rows) == 1
    suggestion = "" if alone else f"suggestion: k = {result.sweep.suggestion}: "
    console.say(f"{suggestion}{result.sweep.reason}")
    console.show_page(page)


_COLUMNS = (
    "network", "algorithm", "accuracy", "spread", "errors", "ARI", "NMI", "extraction", "clustering",
)  # fmt: skip
_MEASURES = ("network", "algorithm", "accuracy", "spread", "accuracies", "errors", "ari", "nmi")


def compare(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Labelled images.")],
    *,
    options: CompareOptions,
    run: Runner,
) -> Answers:
    """Compare networks and algorithms on images whose classes are known; by default the published table."""
    from imgcluster.workflows import compare as workflow

    result = run(workflow.compare, paths, options)
    rows = [
        measures
        | {
            "new": row.extraction.new,
            "extraction_seconds": row.extraction.seconds,
            "clustering_seconds": row.clustering_seconds,
        }
        for row, measures in zip(result.rows, console.chosen(result.rows, *_MEASURES), strict=True)
    ]
    head = {"images": result.images, "k": options.k, "seeds": options.seeds}
    yield Answer({**head, "rows": rows, "unavailable": result.unavailable}, of=result)
    blanks = ("-",) * (len(_COLUMNS) - 2)
    cells = [_cells(row) for row in result.rows]
    cells += [(each.network, "left out", *blanks) for each in result.unavailable]
    console.show_table(_COLUMNS, cells, numbers=range(2, len(_COLUMNS)))
    for each in result.unavailable:
        console.say(f"{each.network}: {each.reason}")
    images, seeds = quantity(result.images, "image"), quantity(options.seeds, "seed")
    console.say(f"{images}, k = {options.k}; means over {seeds}, spread: highest less lowest")


def _cells(row: Comparison) -> tuple[str, ...]:
    return (
        row.network,
        row.algorithm,
        f"{row.accuracy:.4f}",
        f"{row.spread:.4f}",
        f"{row.errors:.1f}",
        f"{row.ari:.3f}",
        f"{row.nmi:.3f}",
        f"{row.extraction.seconds:.1f} s" if row.extraction.new else "in the store",
        f"{row.clustering_seconds:.2f} s",
    )
