"""`imgcluster assign`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcluster.cli import console, interrupts
from imgcluster.cli.options import DEFAULT_CLUSTERS, Clusters, Json, NetworkName, NoLock, Weights


def assign(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    *,
    clusters: Clusters = DEFAULT_CLUSTERS,
    network: NetworkName = "inception_v3",
    weights: Weights = "imagenet",
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write a CSV file.")] = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Tell which existing cluster each image belongs to; nothing is fitted again."""
    from imgcluster.workflows import assign as workflow
    from imgcluster.workflows.extract import EMBEDDING, ExtractOptions

    options = ExtractOptions(network=network, weights=weights, lock=not no_lock)
    with console.progress() as progress, interrupts.keeping_work(progress, since=EMBEDDING):
        found = workflow.assign(
            paths, options, clusters=clusters, table=str(out) if out else None, progress=progress
        )
    if json:
        images = [
            {"path": image.path, "cluster": image.cluster, "distance": image.distance} for image in found
        ]
        console.show_json({"clusters": str(clusters), "images": images})
    else:
        rows = [(str(image.cluster), f"{image.distance:.3f}", image.path) for image in found]
        console.show_table(("cluster", "distance", "path"), rows, numbers=(0, 1))
