"""`imgcluster undo`."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import DEFAULT_CLUSTERS, Clusters, Json


def undo(
    *,
    clusters: Clusters = DEFAULT_CLUSTERS,
    force: Annotated[bool, typer.Option("--force", help="Though the folder was copied since.")] = False,
    json: Json = False,
) -> None:
    """Take a clustering away again; images that were moved go back where they came from."""
    from imgcluster.workflows import undo as workflow

    with console.progress() as progress:
        done = workflow.undo(clusters, force=force, progress=progress)
    if json:
        console.show_json({"removed": done.removed, "returned": done.returned, "left": list(done.left)})
        return
    console.say(f"{clusters}: {done.removed} files removed, {done.returned} images moved back")
    for path in done.left:
        console.say(f"  left alone: {path}")
