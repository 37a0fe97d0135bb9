"""`imgcluster contact-sheet`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import DEFAULT_CLUSTERS, Clusters, Json


def contact_sheet(
    *,
    cluster: Annotated[int, typer.Option("--cluster", min=0, help="The number of the cluster.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The picture: .png or .jpg.")],
    clusters: Clusters = DEFAULT_CLUSTERS,
    count: Annotated[int, typer.Option(min=1, help="How many images, the nearest to the centre first.")] = 48,
    columns: Annotated[int, typer.Option(min=1, help="Images per row.")] = 8,
    json: Json = False,
) -> None:
    """Draw one cluster as one picture."""
    from imgcluster.workflows.contact_sheet import make_contact_sheet

    with console.progress() as progress:
        images = make_contact_sheet(
            cluster, str(out), clusters=clusters, count=count, columns=columns, progress=progress
        )
    if json:
        console.show_json({"out": str(out), "cluster": cluster, "images": images})
    else:
        console.say(f"{images} images of cluster {cluster} drawn in {out}")
