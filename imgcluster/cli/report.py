"""`imgcluster report`."""

from __future__ import annotations

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import quantity
from imgcluster.workflows.options import ReportOptions


def report(*, options: ReportOptions, json: Json = False) -> None:
    """Write pages to look at: an overview, a contact sheet per cluster, a map."""
    from imgcluster.cli.places import ownership, thumbnail_folder
    from imgcluster.workflows import report as workflow

    with console.progress() as progress:
        result = workflow.report(
            options.clusters,
            store=options.store,
            thumbnails=thumbnail_folder(),
            labels=options.labels,
            lock=not options.no_lock,
            trust=options.trust,
            owner=ownership(),
            progress=progress,
        )
    if json:
        console.show_json(result)
        return
    made = quantity(result.thumbnails_made, "new thumbnail")
    console.say(f"{quantity(result.images, 'image')}, {made}, map by {result.projection}")
    console.say(f"open {result.page}")
