"""`imgcluster demo-images`."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import Json


def demo_images(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The folder to fill.")], *, json: Json = False
) -> None:
    """Fill a folder with views of a few freely licensed photographs, to try things out."""
    from imgcluster.workflows.demo_images import make_demo_images

    made = make_demo_images(folder)
    if json:
        photographs = [{"name": photo.name, "credit": photo.credit} for photo in made.photographs]
        console.show_json({"folder": made.folder, "images": made.images, "photographs": photographs})
        return
    console.say(
        f"{made.images} views (crops, mirrored, turned, other colours) of {len(made.photographs)} "
        f"photographs in {made.folder}:"
    )
    for photograph in made.photographs:
        console.say(f"  {photograph.name} ({photograph.credit})")
