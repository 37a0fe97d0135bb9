"""`imgcluster assign`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console, interrupts
from imgcluster.cli.extract import Precision, Runtime
from imgcluster.cli.options import DEFAULT_CLUSTERS, Clusters, Json, NoLock, StoreOfClusters, WeightsAsBefore

if TYPE_CHECKING:
    from imgcluster.records import JsonObject
    from imgcluster.workflows.assign import AssignResult


def assign(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    *,
    clusters: Clusters = DEFAULT_CLUSTERS,
    store: StoreOfClusters = None,
    weights: WeightsAsBefore = None,
    precision: Annotated[Precision, typer.Option(help="What the network computes in.")] = "auto",
    runtime: Annotated[Runtime, typer.Option(help="What runs the network.")] = "auto",
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write a CSV file.")] = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Tell which existing cluster each image belongs to; nothing is fitted again."""
    from imgcluster.cli.places import network_chooser
    from imgcluster.workflows import assign as workflow
    from imgcluster.workflows.extract import EMBEDDING

    options = workflow.AssignOptions(
        clusters=str(clusters),
        store=str(store) if store else None,
        weights=weights,
        precision=precision,
        runtime=runtime,
        out=str(out) if out else None,
        lock=not no_lock,
    )
    with console.progress() as progress, interrupts.keeping_work(progress, since=EMBEDDING):
        result = workflow.assign(paths, options, choose=network_chooser(), progress=progress)
    if json:
        console.show_json(_as_json(result, str(clusters)))
    else:
        _show(result)


def _as_json(result: AssignResult, clusters: str) -> JsonObject:
    return {
        "clusters": clusters,
        "new": result.new,
        "failed": len(result.failures),
        "images": [
            {"path": image.path, "cluster": image.cluster, "distance": image.distance}
            for image in result.images
        ],
        "failures": console.failures_json(_failures(result)),
    }


def _show(result: AssignResult) -> None:
    rows = [(str(image.cluster), f"{image.distance:.3f}", image.path) for image in result.images]
    console.show_table(("cluster", "distance", "path"), rows, numbers=(0, 1))
    failed = f", {len(result.failures)} failed" if result.failures else ""
    console.say(f"{len(result.images)} images{failed}")
    console.show_failures(_failures(result))


def _failures(result: AssignResult) -> list[tuple[str, str]]:
    return [(failure.path, failure.reason) for failure in result.failures]
