"""`imgcluster report`."""

import math

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.workflows.options import ReportOptions


def report(*, options: ReportOptions, run: Runner) -> Answers:
    """Write pages to look at: an overview, a contact sheet per cluster, a map."""
    from imgcluster.workflows import report as workflow

    result = run(workflow.report, options)
    yield Answer(result)
    made = quantity(result.thumbnails_made, "new thumbnail")
    console.say(f"{quantity(result.images, 'image')}, {made}, map by {result.projection}")
    console.show_page(result.page)


def make_report(run: Runner, clusters: str, *, lock: bool = True, wait: float = math.inf) -> str:
    """Make the report of a clustering; its page."""
    from imgcluster.workflows import report as workflow

    return run(workflow.report, ReportOptions(clusters=clusters, no_lock=not lock), wait=wait).page


def report_again(run: Runner, clusters: str, *, lock: bool = True, wait: float = math.inf) -> str | None:
    """Make the report of a changed clustering; its page, or None, and a line, where that cannot be."""
    try:
        return make_report(run, clusters, lock=lock, wait=wait)
    except ImgclusterError as error:
        run.progress.note(f"no report could be made of what has changed: {error}")
        return None
