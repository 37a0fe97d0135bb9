"""`imgcluster similar`."""

from pathlib import Path
from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.command import Answer, Answers, Runner
from imgcluster.workflows.options import SimilarOptions


def similar(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image that was extracted.")],
    *,
    options: SimilarOptions,
    run: Runner,
) -> Answers:
    """List the images most similar to one, by the cosine of their embeddings."""
    from imgcluster.workflows import similar as workflow

    found = run(workflow.similar, image, options)
    yield Answer({"image": str(image.absolute()), "similar": found})
    console.show_rows(found, cosine=".3f", path="")
