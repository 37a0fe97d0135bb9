"""`imgcluster report`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import DEFAULT_CLUSTERS, Clusters, Json, NoLock, StoreOfClusters


def report(
    *,
    clusters: Clusters = DEFAULT_CLUSTERS,
    store: StoreOfClusters = None,
    labels: Annotated[
        str | None, typer.Option(help="`folders`, or a CSV file with path,label: marks the wrong images.")
    ] = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Write pages to look at: an overview, a contact sheet per cluster, a map."""
    from imgcluster.cli.places import thumbnail_folder
    from imgcluster.workflows import report as workflow

    with console.progress() as progress:
        result = workflow.report(
            clusters,
            store=str(store) if store else None,
            thumbnails=thumbnail_folder(),
            labels=labels,
            lock=not no_lock,
            progress=progress,
        )
    if json:
        console.show_json(asdict(result))
    else:
        console.say(
            f"{result.images} images, {result.thumbnails_made} new thumbnails, map by {result.projection}"
        )
        console.say(f"open {result.page}")
