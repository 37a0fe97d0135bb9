"""`imgcluster compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console, interrupts
from imgcluster.cli.options import DEFAULT_STORE, Json, Memory, NoLock, Pca, Prepare, Store, Whiten
from imgcluster.machine import default_memory

if TYPE_CHECKING:
    from imgcluster.records import JsonObject
    from imgcluster.workflows.compare import CompareResult, Comparison

_COLUMNS = (
    "network", "algorithm", "accuracy", "spread", "errors", "ARI", "NMI", "extraction", "clustering",
)  # fmt: skip


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def compare(
    paths: Annotated[list[Path], typer.Argument(help="Labelled images: files and folders.")],
    *,
    k: Annotated[int, typer.Option("--k", min=1, help="Number of clusters.")] = 2,
    labels: Annotated[
        str, typer.Option(help="`folders`, or a CSV file with the columns path,label.")
    ] = "folders",
    networks: Annotated[
        str, typer.Option(help="Names with commas between; a+b joins two side by side.")
    ] = "vgg16,vgg19,inception_v3,resnet152",
    algorithms: Annotated[
        str, typer.Option(help="kmeans, minibatch-kmeans, or both.")
    ] = "kmeans,minibatch-kmeans",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 5,
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Weights under the names that Keras publishes; what is not there is fetched."
        ),
    ] = None,
    store: Store = DEFAULT_STORE,
    prepare: Prepare = "auto",
    pca: Pca = None,
    whiten: Whiten = None,
    restarts: Annotated[int | None, typer.Option(min=1, help="Default: by the number of images.")] = None,
    memory: Memory = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Compare networks and algorithms on images whose classes are known; by default the published table."""
    from imgcluster.cli.places import network_chooser
    from imgcluster.workflows import compare as workflow
    from imgcluster.workflows.extract import EMBEDDING

    options = workflow.CompareOptions(
        k=k,
        labels=labels,
        networks=_names(networks),
        algorithms=_names(algorithms),
        seeds=seeds,
        weights_dir=str(weights_dir) if weights_dir else None,
        store=str(store),
        prepare=prepare,
        pca=pca,
        whiten=whiten,
        restarts=restarts,
        memory=memory or default_memory(),
        lock=not no_lock,
    )
    with console.progress() as progress, interrupts.keeping_work(progress, since=EMBEDDING):
        result = workflow.compare(paths, options, choose=network_chooser(), progress=progress)
    if json:
        console.show_json(_as_json(result, options.k, options.seeds))
    else:
        _show(result, options.k, options.seeds)


def _as_json(result: CompareResult, k: int, seeds: int) -> JsonObject:
    return {
        "images": result.images,
        "k": k,
        "seeds": seeds,
        "rows": [
            {
                "network": row.network,
                "algorithm": row.algorithm,
                "accuracy": row.accuracy,
                "spread": row.spread,
                "accuracies": list(row.accuracies),
                "errors": row.errors,
                "ari": row.ari,
                "nmi": row.nmi,
                "new": row.extraction.new,
                "extraction_seconds": round(row.extraction.seconds, 3),
                "clustering_seconds": round(row.clustering_seconds, 3),
            }
            for row in result.rows
        ],
        "unavailable": [{"network": each.network, "reason": each.reason} for each in result.unavailable],
    }


def _show(result: CompareResult, k: int, seeds: int) -> None:
    rows = [_cells(row) for row in result.rows]
    blanks = ("-",) * (len(_COLUMNS) - 2)
    rows += [(each.network, "left out", *blanks) for each in result.unavailable]
    console.show_table(_COLUMNS, rows, numbers=range(2, len(_COLUMNS)))
    for each in result.unavailable:
        console.say(f"{each.network}: {each.reason}")
    console.say(f"{result.images} images, k = {k}; means over {seeds} seeds, spread: highest less lowest")


def _cells(row: Comparison) -> tuple[str, ...]:
    return (
        row.network,
        row.algorithm,
        f"{row.accuracy:.4f}",
        f"{row.spread:.4f}",
        f"{row.errors:.1f}",
        f"{row.ari:.3f}",
        f"{row.nmi:.3f}",
        f"{row.extraction.seconds:.1f} s" if row.extraction.new else "in the store",
        f"{row.clustering_seconds:.2f} s",
    )
