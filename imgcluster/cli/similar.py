"""`imgcluster similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import Json
from imgcluster.workflows.options import SimilarOptions


def similar(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image that was extracted.")],
    *,
    options: SimilarOptions,
    json: Json = False,
) -> None:
    """List the images most similar to one, by the cosine of their embeddings."""
    from imgcluster.cli.places import ownership
    from imgcluster.workflows import similar as workflow

    with console.progress() as progress:
        found = workflow.similar(image, options, owner=ownership(), progress=progress)
    if json:
        console.show_json({"image": str(image.absolute()), "similar": found})
    else:
        rows = [(f"{each.cosine:.3f}", each.path) for each in found]
        console.show_table(("cosine", "path"), rows, numbers=(0,))
