"""`imgcluster name`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.cli.report import report_again
from imgcluster.workflows.options import NameOptions

if TYPE_CHECKING:
    from imgcluster.workflows.clustering_folder import Changed


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
    page = report_again(run, clusters) if changed.had_report else None
    yield Answer({"clusters": changed.clusters, "out": clusters, "report": page})
    console.show_clusters(clusters, changed.clusters, changed.mode)
    console.show_page(page)
