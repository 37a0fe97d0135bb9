"""`imgcluster extract`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imgcluster.cli import console, interrupts
from imgcluster.cli.options import DEFAULT_STORE, Json, NetworkName, NoLock, Store, Weights

if TYPE_CHECKING:
    from imgcluster.records import JsonObject
    from imgcluster.workflows.extract import ExtractResult

Pooling = Literal["avg", "max", "flatten"]
Dtype = Literal["float32", "float16"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
Runtime = Literal["auto", "tensorflow", "openvino"]


def extract(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders; default: here.")] = None,
    *,
    store: Store = DEFAULT_STORE,
    network: NetworkName = "inception_v3",
    weights: Weights = "imagenet",
    pooling: Annotated[Pooling, typer.Option(help="How the last feature map becomes a vector.")] = "avg",
    input_size: Annotated[
        int | None, typer.Option(help="Side of the input square; default: the network's.")
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="How a new feature space keeps embeddings.")] = "float32",
    precision: Annotated[Precision, typer.Option(help="What the network computes in.")] = "auto",
    runtime: Annotated[Runtime, typer.Option(help="What runs the network.")] = "auto",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images per call of the network.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any file failed.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try failed files again though they did not change.")
    ] = False,
    accept_truncated: Annotated[
        bool, typer.Option("--accept-truncated", help="Take images that are only partly there.")
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links out of the folders.")
    ] = False,
    max_pixels: Annotated[int | None, typer.Option(min=1, help="Refuse larger images.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to read and decode one file.")] = 60.0,
    failures: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the failed files as CSV.")
    ] = None,
    no_lock: NoLock = False,
    json: Json = False,
) -> None:
    """Embed every image below PATHS that the store does not know yet."""
    from imgcluster.cli.places import network_chooser
    from imgcluster.workflows import extract as workflow

    options = workflow.ExtractOptions(
        store=str(store),
        network=network,
        weights=weights,
        pooling=pooling,
        input_size=input_size,
        dtype=dtype,
        precision=precision,
        runtime=runtime,
        batch_size=batch_size,
        retry_failed=retry_failed,
        accept_truncated=accept_truncated,
        follow_links=follow_links,
        max_pixels=max_pixels or workflow.DEFAULT_LIMITS.max_pixels,
        timeout=timeout,
        failures=str(failures) if failures else None,
        lock=not no_lock,
    )
    with (
        console.progress() as progress,
        interrupts.keeping_work(progress, since=workflow.EMBEDDING),
    ):
        result = workflow.extract(paths or [Path()], options, choose=network_chooser(), progress=progress)
    if json:
        console.show_json(_as_json(result))
    else:
        _show(result)
    if strict and result.failed:
        raise typer.Exit(1)


def _as_json(result: ExtractResult) -> JsonObject:
    return {
        "found": result.found,
        "new": result.new,
        "cached": result.cached,
        "failed": result.failed,
        "duplicates": result.duplicates,
        "hidden": result.hidden,
        "seconds": round(result.seconds, 3),
        "images_per_second": result.images_per_second and round(result.images_per_second, 2),
        "store": result.store,
        "network": result.network,
        "space": result.space,
        "failures": console.failures_json([(failure.path, failure.reason) for failure in result.failures]),
    }


def _show(result: ExtractResult) -> None:
    speed = f" at {result.images_per_second:.1f} images/s" if result.images_per_second else ""
    parts = [f"{result.new} new{speed}", f"{result.cached} known"]
    if result.duplicates:
        parts.append(f"{result.duplicates} duplicates")
    if result.failed:
        parts.append(f"{result.failed} failed")
    console.say(
        f"{result.found} images: {', '.join(parts)}; {result.seconds:.1f} s, {result.store} ({result.space})"
    )
    console.show_failures(
        [(failure.path, failure.reason) for failure in result.failures], in_full="--json or --failures FILE"
    )
