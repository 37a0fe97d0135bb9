"""`imgcluster name`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.cli.report import report_again
from imgcluster.workflows.options import NameOptions

if TYPE_CHECKING:
    from imgcluster.workflows.name import Changed


def name(
    names: Annotated[list[str], typer.Argument(metavar="NUMBER=NAME...", help="0=cats 3='the old house'")],
    *,
    options: NameOptions,
    json: Json = False,
) -> None:
    """Give clusters names, which their folders, the report and later clusterings bear."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows import name as workflow

    with console.progress() as progress:
        changed = workflow.name(names, options, owner=ownership(), progress=progress)
        page = report_again(options.clusters, progress) if changed.had_report else None
    show_changed(changed, options.clusters, page, json=json)


def show_changed(changed: Changed, clusters: str, page: str | None, *, json: bool) -> None:
    """Show the clusters of a folder after a change."""
    if json:
        console.show_json({"clusters": changed.clusters, "out": clusters, "report": page})
        return
    console.show_clusters(clusters, changed.clusters)
    if page:
        console.say(f"open {page}")
