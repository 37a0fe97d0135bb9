"""`imgcluster duplicates`."""

from __future__ import annotations

from imgcluster.cli import console
from imgcluster.cli.options import Json, Paths
from imgcluster.errors import quantity
from imgcluster.workflows.options import DuplicatesOptions


def duplicates(paths: Paths = None, *, options: DuplicatesOptions, json: Json = False) -> None:
    """Group images that are equal or look alike, and say which copy is the best."""
    from imgcluster.workflows import duplicates as workflow

    with console.progress() as progress:
        result = workflow.duplicates(paths or (), options, progress=progress)
    if json:
        groups = [
            {"keep": group.keep.path, "could_go": [copy.path for copy in group.redundant]}
            for group in result.groups
        ]
        console.show_json({"images": result.images, "groups": groups})
        return
    could_go = sum(len(group.redundant) for group in result.groups)
    console.say(
        f"{quantity(len(result.groups), 'group')} among {quantity(result.images, 'image')}; "
        f"{quantity(could_go, 'copy', 'copies')} could go"
    )
    for group in result.groups:
        console.say(f"  keep {group.keep.path}")
        for copy in group.redundant:
            console.say(f"       {copy.path}")
