"""`imgcluster demo-images`."""

from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner


def demo_images(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The folder to fill.")], *, run: Runner
) -> Answers:
    """Fill a folder with views of a few freely licensed photographs, to try things out."""
    from imgcluster.workflows.demo_images import make_demo_images

    made = run(make_demo_images, folder)
    photographs = console.chosen(made.photographs, "name", "credit")
    yield Answer({"folder": made.folder, "images": made.images, "photographs": photographs})
    console.say(
        f"{made.images} views (crops, mirrored, turned, other colours) of {len(made.photographs)} "
        f"photographs in {made.folder}:"
    )
    for photograph in made.photographs:
        console.say(f"  {photograph.name} ({photograph.credit})")
