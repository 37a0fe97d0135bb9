"""`imgcluster duplicates`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from imgcluster.workflows.defaults import NEAR_DUPLICATE

if TYPE_CHECKING:
    from imgcluster.records import JsonObject
    from imgcluster.workflows.duplicates import DuplicatesResult


def duplicates(
    paths: Annotated[list[Path] | None, typer.Argument(help="Only the images below.")] = None,
    *,
    threshold: Annotated[
        float, typer.Option(min=0.01, max=1, help="Smallest cosine of near duplicates.")
    ] = NEAR_DUPLICATE,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write which copies to keep as CSV; nothing is deleted."),
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV of pairs key_a,key_b that are no duplicates.")
    ] = None,
    store: Store = DEFAULT_STORE,
    clusters: Clusters = DEFAULT_CLUSTERS,
    network: Network = None,
    space: Space = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Group images that are equal or look alike, and say which copy is the best."""
    from imgcluster.workflows import duplicates as workflow
    from imgcluster.workflows.collection import SpaceChoice

    with console.progress() as progress:
        result = workflow.duplicates(
            paths or (),
            threshold=threshold,
            where=SpaceChoice(str(store), network, space, not no_lock, str(clusters)),
            decisions=str(decisions) if decisions else None,
            plan=str(plan) if plan else None,
            progress=progress,
        )
    if json:
        console.show_json(_as_json(result))
    else:
        _show(result)


def _as_json(result: DuplicatesResult) -> JsonObject:
    return {
        "images": result.images,
        "groups": [
            {"keep": group.keep.path, "could_go": [copy.path for copy in group.others]}
            for group in result.groups
        ],
    }


def _show(result: DuplicatesResult) -> None:
    could_go = sum(len(group.others) for group in result.groups)
    console.say(f"{len(result.groups)} groups among {result.images} images; {could_go} copies could go")
    for group in result.groups:
        console.say(f"  keep {group.keep.path}")
        for copy in group.others:
            console.say(f"       {copy.path}")
