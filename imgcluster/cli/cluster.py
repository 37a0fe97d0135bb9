"""`imgcluster cluster`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imgcluster.cli import console
from imgcluster.cli.options import (
    DEFAULT_CLUSTERS,
    DEFAULT_STORE,
    Json,
    Memory,
    MovedTo,
    Networks,
    NoLock,
    Pca,
    Prepare,
    Seed,
    Space,
    Store,
    Whiten,
)
from imgcluster.machine import default_memory

if TYPE_CHECKING:
    from imgcluster.records import JsonObject
    from imgcluster.workflows.cluster import ClusterResult

Mode = Literal["auto", "hardlink", "symlink", "copy", "move"]
Algorithm = Literal["minibatch-kmeans", "kmeans"]


def _number_of_clusters(text: str) -> int | None:
    """Parse a number from 1 on, or ``auto``: None."""
    if text == "auto":
        return None
    try:
        k = int(text)
    except ValueError:
        k = 0
    if k < 1:
        raise typer.BadParameter(f"{text} is neither a number from 1 on nor auto")
    return k


def cluster(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Only the images below; default: all in the store that still exist."),
    ] = None,
    *,
    k: Annotated[str, typer.Option("--k", help="Number of clusters, or auto.")] = "2",
    store: Store = DEFAULT_STORE,
    network: Networks = None,
    space: Space = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")] = DEFAULT_CLUSTERS,
    clusters: MovedTo = None,
    mode: Annotated[Mode, typer.Option(help="How files come into the folders.")] = "auto",
    algorithm: Annotated[Algorithm, typer.Option(help="How clusters are found.")] = "minibatch-kmeans",
    prepare: Prepare = "auto",
    pca: Pca = None,
    whiten: Whiten = None,
    seed: Seed = 0,
    restarts: Annotated[int | None, typer.Option(min=1, help="Default: by the number of images.")] = None,
    memory: Memory = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made; write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace our files though others lie among them; those are kept.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Also write the pages to look at.")
    ] = False,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Sort the embedded images into one folder per cluster."""
    from imgcluster.workflows import cluster as workflow

    options = workflow.ClusterOptions(
        k=_number_of_clusters(k),
        store=str(store),
        network=tuple(network or ()),
        space=space,
        out=str(out),
        clusters=str(clusters) if clusters else None,
        mode=mode,
        algorithm=algorithm,
        prepare=prepare,
        pca=pca,
        whiten=whiten,
        seed=seed,
        restarts=restarts,
        memory=memory or default_memory(),
        dry_run=dry_run,
        force=force,
        lock=not no_lock,
    )
    if report and not dry_run:
        _require_report_libraries()
    with console.progress() as progress:
        result = workflow.cluster(paths or (), options, progress=progress)
        if report and dry_run:
            progress.note("a dry run writes no report")
        page = _write_report(str(out), no_lock=no_lock, progress=progress) if report and not dry_run else None
    if json:
        console.show_json({**_as_json(result), "report": page})
    else:
        _show(result)
        if page:
            console.say(f"open {page}")


def _require_report_libraries() -> None:
    """Raise now what `_write_report` would raise once the folders are made, and images perhaps moved."""
    from imgcluster.workflows.report import require_report_libraries

    require_report_libraries()


def _write_report(out: str, *, no_lock: bool, progress: console.ConsoleProgress) -> str:
    from imgcluster.cli.places import thumbnail_folder
    from imgcluster.workflows.report import report

    return report(out, thumbnails=thumbnail_folder(), lock=not no_lock, progress=progress).page


def _as_json(result: ClusterResult) -> JsonObject:
    from imgcluster.records import json_number

    return {
        "k": result.k,
        "images": result.images,
        "missing": result.missing,
        "changed": result.changed,
        "unembedded": result.unembedded,
        "sizes": list(result.sizes),
        "out": result.out,
        "mode": result.mode,
        "algorithm": result.algorithm,
        "prepare": result.prepare,
        "seed": result.seed,
        "inertia": result.inertia,
        "silhouette": json_number(result.silhouette),
        "seconds": round(result.seconds, 3),
        "dry_run": result.dry_run,
        "bytes_to_copy": result.bytes_to_copy,
        "fallbacks": result.fallbacks,
    }


def _show(result: ClusterResult) -> None:
    verb = "would sort" if result.dry_run else "sorted"
    silhouette = "not defined" if math.isnan(result.silhouette) else f"{result.silhouette:.2f}"
    console.say(
        f"{verb} {result.images} images into {result.k} clusters in {result.out} ({result.mode}), "
        f"silhouette {silhouette}, {result.seconds:.1f} s"
    )
    for number, size in enumerate(result.sizes):
        console.say(f"  {result.out}/{number}: {size} images")
    if result.dry_run:
        console.say(f"  {result.bytes_to_copy} bytes to copy; nothing was written")
