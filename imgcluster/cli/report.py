"""`imgcluster report`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.workflows.options import ReportOptions

if TYPE_CHECKING:
    from imgcluster.records import Progress


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


def report_again(clusters: str, progress: Progress, wait: float = math.inf) -> str | None:
    """Make the report of a changed clustering; its page, or None, and a line, where that cannot be."""
    from imgcluster.cli.places import ownership, thumbnail_folder
    from imgcluster.workflows import report as workflow

    try:
        made = workflow.report(
            clusters, thumbnails=thumbnail_folder(), wait=wait, owner=ownership(), progress=progress
        )
    except ImgclusterError as error:
        progress.note(f"no report could be made of what has changed: {error}")
        return None
    return made.page
