"""`imgcluster merge`."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.name import show_changed
from imgcluster.cli.options import Json
from imgcluster.cli.report import report_again
from imgcluster.workflows.options import NameOptions


def merge(
    clusters_to_merge: Annotated[
        list[str], typer.Argument(metavar="CLUSTER...", help="Numbers or names; the first takes the others.")
    ],
    *,
    options: NameOptions,
    json: Json = False,
) -> None:
    """Make one cluster of several; their images stay together in later clusterings."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows import correct as workflow

    with console.progress() as progress:
        changed = workflow.merge(clusters_to_merge, options, owner=ownership(), progress=progress)
        page = report_again(options.clusters, progress) if changed.had_report else None
    show_changed(changed, options.clusters, page, json=json)
