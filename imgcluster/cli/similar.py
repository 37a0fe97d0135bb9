"""`imgcluster similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import (
    DEFAULT_CLUSTERS,
    DEFAULT_STORE,
    Clusters,
    Json,
    Network,
    NoLock,
    Space,
    Store,
)


def similar(
    image: Annotated[Path, typer.Argument(help="An image that was extracted.")],
    *,
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    store: Store = DEFAULT_STORE,
    clusters: Clusters = DEFAULT_CLUSTERS,
    network: Network = None,
    space: Space = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """List the images most similar to one, by the cosine of their embeddings."""
    from imgcluster.workflows import similar as workflow
    from imgcluster.workflows.collection import SpaceChoice

    with console.progress() as progress:
        found = workflow.similar(
            image,
            top=top,
            where=SpaceChoice(str(store), network, space, not no_lock, str(clusters)),
            progress=progress,
        )
    if json:
        images = [{"path": image.path, "cosine": round(image.cosine, 6)} for image in found]
        console.show_json({"image": str(image.absolute()), "similar": images})
    else:
        rows = [(f"{image.cosine:.3f}", image.path) for image in found]
        console.show_table(("cosine", "path"), rows, numbers=(0,))
