"""`imgcluster pick`."""

from __future__ import annotations

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import quantity
from imgcluster.workflows.options import PickOptions


def pick(*, options: PickOptions, json: Json = False) -> None:
    """Choose a few images that stand for a clustering, as a list or a folder of links or copies."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows import pick as workflow

    with console.progress() as progress:
        result = workflow.pick(options, owner=ownership(), progress=progress)
    if json:
        images = [
            {"path": each.path, "key": each.key.hex(), "cluster": each.cluster, "name": each.name}
            for each in result.images
        ]
        console.show_json({"images": images, "how": options.how, "out": options.out})
    elif options.out is not None:
        console.say(f"{quantity(len(result.images), 'image')} in {options.out}")
    else:
        for each in result.images:
            console.say(each.path)
