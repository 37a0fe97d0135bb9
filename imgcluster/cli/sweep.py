"""`imgcluster sweep`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import console
from imgcluster.cli.options import (
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
    from imgcluster.workflows.sweep import SweepResult


def _numbers(text: str) -> list[int]:
    """Parse ``2:12`` (both ends count) or ``2,5,8``."""
    try:
        if ":" in text:
            first, last = (int(part) for part in text.split(":"))
            ks = list(range(first, last + 1))
        else:
            ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        ks = []
    if not ks or ks[0] < 1:
        raise typer.BadParameter(f"{text} is no range of numbers from 1 on: write 2:12 or 2,5,8")
    return ks


def sweep(
    paths: Annotated[list[Path] | None, typer.Argument(help="Only the images below.")] = None,
    *,
    k: Annotated[str, typer.Option("--k", help="Numbers of clusters: 2:12 or 2,5,8.")] = "2:12",
    store: Store = DEFAULT_STORE,
    clusters: MovedTo = None,
    network: Networks = None,
    space: Space = None,
    prepare: Prepare = "auto",
    pca: Pca = None,
    whiten: Whiten = None,
    seed: Seed = 0,
    memory: Memory = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a PNG or SVG.")] = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Try a range of cluster numbers and suggest one."""
    from imgcluster.workflows import sweep as workflow
    from imgcluster.workflows.cluster import ClusterOptions

    options = ClusterOptions(
        store=str(store),
        clusters=str(clusters) if clusters else None,
        network=tuple(network or ()),
        space=space,
        prepare=prepare,
        pca=pca,
        whiten=whiten,
        seed=seed,
        memory=memory or default_memory(),
        lock=not no_lock,
    )
    with console.progress() as progress:
        result = workflow.sweep(
            _numbers(k), paths or (), options, plot=str(plot) if plot else None, progress=progress
        )
    if json:
        console.show_json(_as_json(result))
    else:
        _show(result)


def _as_json(result: SweepResult) -> JsonObject:
    from imgcluster.records import json_number

    return {
        "images": result.images,
        "rows": [
            {
                "k": row.k,
                "inertia": json_number(row.inertia),
                "silhouette": json_number(row.silhouette),
                "stability": json_number(row.stability),
            }
            for row in result.sweep.rows
        ],
        "suggestion": result.sweep.suggestion,
        "reason": result.sweep.reason,
    }


def _show(result: SweepResult) -> None:
    def number(value: float) -> str:
        return "not defined" if math.isnan(value) else f"{value:.3f}"

    rows = [
        (str(row.k), f"{row.inertia:.1f}", number(row.silhouette), number(row.stability))
        for row in result.sweep.rows
    ]
    console.show_table(("k", "inertia", "silhouette", "stability"), rows, numbers=(0, 1, 2, 3))
    console.say(f"suggestion: k = {result.sweep.suggestion}: {result.sweep.reason}")
