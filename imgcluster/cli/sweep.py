"""`imgcluster sweep`."""

from __future__ import annotations

import math

from imgcluster.cli import console
from imgcluster.cli.options import Json, Paths
from imgcluster.workflows.options import SweepOptions


def sweep(paths: Paths = None, *, options: SweepOptions, json: Json = False) -> None:
    """Try a range of cluster numbers and suggest one."""
    from imgcluster.cli.places import ownership, thumbnail_folder
    from imgcluster.workflows import sweep as workflow
    from imgcluster.workflows import sweep_report as reporting
    from imgcluster.workflows.duplicates_report import require_report_library

    if options.report:
        require_report_library()  # before the long work
    page = None
    with console.progress() as progress:
        result = workflow.sweep(paths or (), options, owner=ownership(), progress=progress)
        if options.report:
            page = reporting.report_sweep(
                result,
                options,
                paths or (),
                thumbnails=thumbnail_folder(),
                owner=ownership(),
                progress=progress,
            )
    if json:
        answer = {"images": result.images, **vars(result.sweep), "report": page}
        del answer["labels"]
        console.show_json(answer)
        return
    rows = [
        (str(row.k), f"{row.inertia:.1f}", _number(row.silhouette), _number(row.stability))
        for row in result.sweep.rows
    ]
    console.show_table(("k", "inertia", "silhouette", "stability"), rows, numbers=(0, 1, 2, 3))
    console.say(f"suggestion: k = {result.sweep.suggestion}: {result.sweep.reason}")
    if page:
        console.say(f"open {page}")


def _number(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.3f}"
