"""The options that several commands share, each defined once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def _bytes(text: str) -> int:
    """Parse ``2GB``, ``512MB`` or a plain number of bytes."""
    units = {"GB": 10**9, "MB": 10**6, "KB": 10**3, "B": 1}
    number = text.strip().upper()
    for unit, factor in units.items():
        if number.endswith(unit):
            number, scale = number.removesuffix(unit), factor
            break
    else:
        scale = 1
    try:
        value = int(float(number) * scale)
    except (ValueError, OverflowError):  # `inf` overflows
        value = 0
    if value < 1:
        raise typer.BadParameter(f"{text} is no amount of memory: write for example 2GB")
    return value


def _weights(text: str) -> Any:
    return typer.Option(
        "--weights",
        envvar="IMGCLUSTER_WEIGHTS",
        parser=os.path.expanduser,  # no shell does it after `--weights=`, nor in a variable
        metavar="TEXT",
        help=text,
    )


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
Store = Annotated[Path, typer.Option("--store", help="The feature store.", metavar="FILE")]
StoreOfClusters = Annotated[
    Path | None,
    typer.Option("--store", help="The feature store; default: that of the clustering.", metavar="FILE"),
]
Clusters = Annotated[Path, typer.Option("--clusters", help="The folder that `cluster` made.", metavar="DIR")]
MovedTo = Annotated[
    Path | None,
    typer.Option(
        "--clusters", help="The folder that an earlier `cluster --mode move` put images into.", metavar="DIR"
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Fixes everything random.", min=0)]
Space = Annotated[
    str | None, typer.Option("--space", help="A feature space by name, where the store has several.")
]
Networks = Annotated[
    list[str] | None,
    typer.Option(
        "--network", help="The feature space of this network, or one by its full name; again to join several."
    ),
]
Network = Annotated[str | None, typer.Option("--network", help="The feature space of this network.")]
NetworkName = Annotated[str, typer.Option("--network", help="A name that `imgcluster networks` lists.")]
Weights = Annotated[str, _weights("imagenet, random, or a Keras no-top weights file.")]
WeightsAsBefore = Annotated[
    str | None, _weights("As for `extract`; default: what the clustering's embeddings were made with.")
]
NoLock = Annotated[bool, typer.Option("--no-lock", help="For file systems without locks.")]
Prepare = Annotated[
    Literal["auto", "l2", "none"], typer.Option("--prepare", help="How embeddings are prepared for k-means.")
]
Pca = Annotated[int | None, typer.Option("--pca", min=1, help="Components to keep; default: by the data.")]
Whiten = Annotated[
    float | None, typer.Option("--whiten", min=0, max=1, help="0: none, 0.5: half, 1: full whitening.")
]
Memory = Annotated[
    int | None,
    typer.Option(
        "--memory",
        parser=_bytes,
        metavar="SIZE",
        help="Most memory for embeddings, such as 2GB; default: a quarter of the machine's.",
    ),
]

DEFAULT_STORE = Path("features.h5")
DEFAULT_CLUSTERS = Path("clusters")
