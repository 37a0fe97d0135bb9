"""What reads or changes the folder that `cluster` made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import quantity
from imgcluster.workflows.options import (
    AssignOptions,
    ContactSheetOptions,
    CorrectOptions,
    EvaluateOptions,
    NameOptions,
    PickOptions,
    ReportOptions,
    UndoOptions,
)

if TYPE_CHECKING:
    from imgcluster.workflows.clustering_folder import Changed


_MEASURES = ("images", "accuracy", "errors", "ari", "nmi", "purity", "labels")


def evaluate(*, options: EvaluateOptions, run: Runner) -> Answers:
    """Compare the clusters with classes that a person made."""
    from imgcluster.workflows import evaluate as workflow

    found = run(workflow.evaluate, **vars(options))
    (measures,) = console.chosen([found], *_MEASURES)
    confusion = [[int(count) for count in row] for row in found.confusion]
    yield Answer({**measures, "confusion": confusion}, of=found)
    console.say(
        f"accuracy {found.accuracy:.2f} ({quantity(found.errors, 'error')} in "
        f"{quantity(found.images, 'image')}), ARI {found.ari:.3f}, NMI {found.nmi:.3f}, "
        f"purity {found.purity:.3f}"
    )
    owners = dict(zip(found.matched, found.labels, strict=True))
    mistakes = []
    for row, label in enumerate(found.labels):
        for column, cluster in enumerate(found.columns):
            count, owner = int(found.confusion[row][column]), owners.get(cluster)
            if count and owner != label:
                mistakes.append((-count, label, f"cluster {cluster} ({owner or 'no class'})"))
    for count, label, where in sorted(mistakes):
        console.say(f"  {-count} × {label} in {where}")


def assign(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS", help="Files and folders.")],
    *,
    options: AssignOptions,
    source: Any = None,
    run: Runner,
) -> Answers:
    """Tell which existing cluster each image belongs to; nothing is fitted again."""
    from imgcluster.workflows import assign as workflow

    result = run(workflow.assign, paths, options, source=source)
    again = result.had_report
    page = run.report_again(options.clusters, no_lock=options.no_lock) if again else None
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
        },
        of=result,
    )
    console.show_rows(result.images, cluster="", distance=".3f", path="")
    failed = f", {len(failures)} failed" if failures else ""
    placed = f", {result.placed} placed in {options.clusters}" if options.place else ""
    console.say(f"{quantity(len(result.images), 'image')}{placed}{failed}")
    console.show_failures(failures)


def report(*, options: ReportOptions, run: Runner) -> Answers:
    """Write pages to look at: an overview, a contact sheet per cluster, a map."""
    from imgcluster.workflows import report as workflow

    result = run(workflow.report, options)
    yield Answer(result)
    made = quantity(result.thumbnails_made, "new thumbnail")
    console.say(f"{quantity(result.images, 'image')}, {made}, map by {result.projection}")
    console.show_page(result.page)


def contact_sheet(*, options: ContactSheetOptions, run: Runner) -> Answers:
    """Draw one cluster as one picture."""
    from imgcluster.workflows.contact_sheet import make_contact_sheet

    images = run(make_contact_sheet, options)
    cluster = int(options.cluster) if options.cluster.isdecimal() else options.cluster
    yield Answer({"out": options.out, "cluster": cluster, "images": images}, of=images)
    console.say(f"{quantity(images, 'image')} of cluster {options.cluster} drawn in {options.out}")


def name(
    names: Annotated[list[str], typer.Argument(metavar="NUMBER=NAME...", help="0=cats 3='the old house'")],
    *,
    options: NameOptions,
    run: Runner,
) -> Answers:
    """Give clusters names, which their folders, the report and later clusterings bear."""
    from imgcluster.workflows import name as workflow

    yield from tell_change(run(workflow.name, names, options), options.clusters, run)


def tell_change(changed: Changed, clusters: str, run: Runner) -> Answers:
    """Tell the clusters of a folder that were changed, with the report made again, if there is one."""
    page = run.report_again(clusters) if changed.had_report else None
    yield Answer({"clusters": changed.clusters, "out": clusters, "report": page}, of=changed)
    console.show_clusters(clusters, changed.clusters, changed.mode)
    console.show_page(page)


def merge(
    clusters_to_merge: Annotated[
        list[str], typer.Argument(metavar="CLUSTER...", help="Numbers or names; the first takes the others.")
    ],
    *,
    options: NameOptions,
    run: Runner,
) -> Answers:
    """Make one cluster of several; their images stay together in later clusterings."""
    from imgcluster.workflows import merge as workflow

    yield from tell_change(run(workflow.merge, clusters_to_merge, options), options.clusters, run)


def correct(*, options: CorrectOptions, run: Runner) -> Answers:
    """Keep what was moved between cluster folders by hand as a file for `cluster --edits`."""
    from imgcluster.workflows import correct as workflow

    done = run(workflow.correct, options)
    yield Answer(done)
    names = f", {quantity(len(done.names), 'name')}" if done.names else ""
    console.say(f"{done.file}: {quantity(done.images, 'image')} moved by hand{names}")
    if done.earlier:
        console.say(f"  it spoke of {quantity(done.earlier, 'image')} before: that stays")
    console.say(f"now: {done.command}")


def undo(*, options: UndoOptions, run: Runner) -> Answers:
    """Go one step back to the clustering before; where there was none, take the clusters away."""
    from imgcluster.workflows import undo as workflow

    done = run(workflow.undo, options)
    again = done.clusters is not None and done.had_report
    page = run.report_again(options.clusters) if again else None
    answer = {name: value for name, value in vars(done).items() if name not in {"had_report", "mode"}}
    yield Answer({**answer, "report": page}, of=done)
    if done.clusters is not None:
        would = "would go" if options.dry_run else "went"
        more = f"{quantity(done.steps, 'more step')} back" if done.steps else "the next undo takes all away"
        console.say(
            f"{options.clusters}: {would} one step back, to {quantity(len(done.clusters), 'cluster')}; {more}"
        )
        if done.returned:
            console.say(f"  {quantity(done.returned, 'image')} moved back")
        console.show_clusters(options.clusters, done.clusters, done.mode)
        console.show_page(page)
        return
    removed, returned = quantity(done.removed, "file"), quantity(done.returned, "image")
    would = "would be " if options.dry_run else ""
    console.say(f"{options.clusters}: {removed} {would}removed, {returned} {would}moved back")
    if done.companions:
        console.say(f"  {quantity(done.companions, 'companion')} {would}moved back with them")
    if done.missing:
        lost = quantity(done.missing, "moved image")
        console.say(f"  {lost} not found: put back into {options.clusters}, the next undo brings them home")
    for path in done.left:
        console.say(f"  left alone: {path}")


def diff(
    first: Annotated[str, typer.Argument(metavar="CLUSTERS-A", help="A folder that `cluster` made.")],
    second: Annotated[str, typer.Argument(metavar="CLUSTERS-B", help="Another one.")],
    *,
    run: Runner,
) -> Answers:
    """Show which clusters stayed, split and merged from one clustering to another, and which images moved."""
    from imgcluster.workflows import diff as workflow

    result = run(workflow.diff, first, second)
    moved = console.chosen(result.moved, "path", "before", "after", "silhouette")
    yield Answer({**vars(result), "moved": moved}, of=result)
    rows = [
        (
            f"{each.number} {each.name}".rstrip(),
            each.verdict,
            ", ".join(f"{share.share:.0%} in {share.number}" for share in each.shares[:5]),
        )
        for each in result.clusters
    ]
    console.show_table(("cluster", "", "where its images are"), rows)
    console.say(f"{quantity(len(moved), 'image')} moved, the least sure first")
    if moved:
        places = [(str(each.before), str(each.after), each.path) for each in result.moved]
        console.show_table((f"in {first}", f"in {second}", "path"), places, numbers=(0, 1))
    for count, folder in ((result.only_in_first, first), (result.only_in_second, second)):
        if count:
            console.say(f"{quantity(count, 'image')} only in {folder}")


def pick(*, options: PickOptions, run: Runner) -> Answers:
    """Choose a few images that stand for a clustering, as a list or a folder of links or copies."""
    from imgcluster.workflows import pick as workflow

    result = run(workflow.pick, options)
    picked = result.images
    images = console.chosen(picked, "path", "key", "cluster", "name")
    yield Answer({"images": images, "how": options.how, "out": options.out}, of=result)
    if options.out is not None:
        console.say(f"{quantity(len(picked), 'image')} in {options.out}")
    else:
        for each in picked:
            console.say(each.path)
