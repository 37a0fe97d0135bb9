"""`imgcluster contact-sheet`."""

from __future__ import annotations

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.errors import quantity
from imgcluster.workflows.options import ContactSheetOptions


def contact_sheet(*, options: ContactSheetOptions, json: Json = False) -> None:
    """Draw one cluster as one picture."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows.contact_sheet import make_contact_sheet

    with console.progress() as progress:
        images = make_contact_sheet(**vars(options), owner=ownership(), progress=progress)
    if json:
        console.show_json({"out": options.out, "cluster": options.cluster, "images": images})
    else:
        console.say(f"{quantity(images, 'image')} of cluster {options.cluster} drawn in {options.out}")
