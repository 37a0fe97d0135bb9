"""`imgcluster undo`."""

from __future__ import annotations

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import quantity
from imgcluster.workflows.options import UndoOptions


def undo(*, options: UndoOptions, json: Json = False) -> None:
    """Take a clustering away again; images that were moved go back where they came from."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows import undo as workflow

    with console.progress() as progress:
        done = workflow.undo(**vars(options), owner=ownership(), progress=progress)
    if json:
        console.show_json(done)
        return
    removed, returned = quantity(done.removed, "file"), quantity(done.returned, "image")
    would = "would be " if options.dry_run else ""
    console.say(f"{options.clusters}: {removed} {would}removed, {returned} {would}moved back")
    if done.missing:
        lost = quantity(done.missing, "moved image")
        console.say(f"  {lost} not found: put back into {options.clusters}, the next undo brings them home")
    for path in done.left:
        console.say(f"  left alone: {path}")
