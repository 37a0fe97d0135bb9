"""The commands as Python functions; keyword arguments are named as the options, with the same defaults.

Folders for weights, converted models and thumbnails are those that the command line uses.
"""

from __future__ import annotations

import inspect
import os
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

from imgcluster.cli.places import network_chooser, network_places, thumbnail_folder
from imgcluster.machine import default_memory
from imgcluster.workflows import assign as assigning
from imgcluster.workflows import cluster as clustering
from imgcluster.workflows import compare as comparing
from imgcluster.workflows import duplicates as duplicating
from imgcluster.workflows import extract as extraction
from imgcluster.workflows import report as reporting
from imgcluster.workflows import similar as searching
from imgcluster.workflows import sweep as sweeping
from imgcluster.workflows.collection import SpaceChoice
from imgcluster.workflows.contact_sheet import make_contact_sheet
from imgcluster.workflows.defaults import NEAR_DUPLICATE
from imgcluster.workflows.demo_images import make_demo_images
from imgcluster.workflows.evaluate import evaluate
from imgcluster.workflows.networks import list_networks
from imgcluster.workflows.undo import undo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imgcluster.records import NetworkSource, Progress
    from imgcluster.workflows.demo_images import DemoImages
    from imgcluster.workflows.networks import ListedNetwork

    Path = str | os.PathLike[str]

__all__ = [
    "assign",
    "cluster",
    "compare",
    "contact_sheet",
    "demo_images",
    "duplicates",
    "evaluate",
    "extract",
    "networks",
    "report",
    "similar",
    "sweep",
    "undo",
]

_Function = TypeVar("_Function", bound="Callable[..., Any]")
_Options = TypeVar("_Options")
_AUTO = "auto"
_NOT_OF_SWEEP = ("k", "out", "mode", "algorithm", "restarts", "dry_run", "force")


def _shows_options(options: type[Any], *, without: Iterable[str] = ()) -> Callable[[_Function], _Function]:
    """Have `help` show the fields of `options` as a function's keyword arguments."""

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        shown = [_parameter(field) for field in fields(options) if field.name not in without]
        function.__signature__ = signature.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
        return function

    return decorate


def _parameter(field: Any) -> inspect.Parameter:
    name, default = field.name, None if field.default is MISSING else field.default
    if name == "lock":
        name, default = "no_lock", not default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)


def _made(kind: type[_Options], options: dict[str, Any]) -> _Options:
    """Make the options of a workflow of keyword arguments named as on the command line."""
    given = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in options.items()
    }
    if "no_lock" in given:
        given["lock"] = not given.pop("no_lock")
    if given.get("weights"):
        given["weights"] = os.path.expanduser(given["weights"])
    if "memory" in {field.name for field in fields(kind)}:  # type: ignore[arg-type]
        given["memory"] = given.get("memory") or default_memory()
    return kind(**given)


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


@_shows_options(extraction.ExtractOptions)
def extract(
    *paths: Path, source: NetworkSource | None = None, progress: Progress | None = None, **options: Any
) -> extraction.ExtractResult:
    """Embed every image below `paths` (default: the current folder) that the store does not know yet.

    `source` is a network of your own in place of the one that the options choose. Raises `ImgclusterError`
    where nothing came of it; single files that failed are in the result.
    """
    return extraction.extract(
        paths or (".",),
        _made(extraction.ExtractOptions, options),
        source=source,
        choose=network_chooser(),
        progress=progress,
    )


@_shows_options(clustering.ClusterOptions)
def cluster(*paths: Path, progress: Progress | None = None, **options: Any) -> clustering.ClusterResult:
    """Sort the embedded images below `paths` (default: all) into one folder per cluster.

    `k` is a number or ``"auto"``, `network` a name or several, `memory` a number of bytes. Raises
    `ImgclusterError` where the store knows no image, or the folder is not ours to replace.
    """
    return clustering.cluster(paths, _cluster_options(options), progress=progress)


def _cluster_options(options: dict[str, Any]) -> clustering.ClusterOptions:
    given = dict(options)
    if given.get("k") == _AUTO:
        given["k"] = None
    given["network"] = _names(given.get("network") or ())
    return _made(clustering.ClusterOptions, given)


@_shows_options(clustering.ClusterOptions, without=_NOT_OF_SWEEP)
def sweep(
    *paths: Path,
    k: Iterable[int] = range(2, 13),
    plot: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> sweeping.SweepResult:
    """Try numbers of clusters and suggest one; nothing is written but the `plot`, a PNG or SVG file."""
    drawn = None if plot is None else os.fspath(plot)
    return sweeping.sweep([*k], paths, _cluster_options(options), plot=drawn, progress=progress)


@_shows_options(comparing.CompareOptions)
def compare(*paths: Path, progress: Progress | None = None, **options: Any) -> comparing.CompareResult:
    """Compare networks and algorithms on labelled images; `networks` and `algorithms` are names."""
    given = {
        name: _names(value) if name in {"networks", "algorithms"} else value
        for name, value in options.items()
    }
    return comparing.compare(
        paths, _made(comparing.CompareOptions, given), choose=network_chooser(), progress=progress
    )


@_shows_options(assigning.AssignOptions)
def assign(*paths: Path, progress: Progress | None = None, **options: Any) -> assigning.AssignResult:
    """Tell which existing cluster each image below `paths` belongs to; nothing is fitted again."""
    return assigning.assign(
        paths, _made(assigning.AssignOptions, options), choose=network_chooser(), progress=progress
    )


@_shows_options(SpaceChoice)
def similar(
    image: Path, *, top: int = 20, progress: Progress | None = None, **options: Any
) -> tuple[searching.SimilarImage, ...]:
    """List the images most similar to one that was extracted."""
    return searching.similar(image, top=top, where=_made(SpaceChoice, options), progress=progress)


@_shows_options(SpaceChoice)
def duplicates(
    *paths: Path,
    threshold: float = NEAR_DUPLICATE,
    plan: Path | None = None,
    decisions: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> duplicating.DuplicatesResult:
    """Group images that are equal or look alike, and say which copy is the best; nothing is deleted."""
    return duplicating.duplicates(
        paths,
        threshold=threshold,
        where=_made(SpaceChoice, options),
        decisions=None if decisions is None else os.fspath(decisions),
        plan=None if plan is None else os.fspath(plan),
        progress=progress,
    )


def report(
    *,
    clusters: Path = "clusters",
    store: Path | None = None,
    labels: str | None = None,
    no_lock: bool = False,
    progress: Progress | None = None,
) -> reporting.ReportResult:
    """Write pages to look at into the folder that `cluster` made; the result names the page to open."""
    return reporting.report(
        clusters,
        store=None if store is None else os.fspath(store),
        thumbnails=thumbnail_folder(),
        labels=labels,
        lock=not no_lock,
        progress=progress,
    )


def contact_sheet(
    *,
    cluster: int,
    out: Path,
    clusters: Path = "clusters",
    count: int = 48,
    columns: int = 8,
    progress: Progress | None = None,
) -> int:
    """Draw one cluster as one picture, .png or .jpg; return how many images are on it."""
    return make_contact_sheet(
        cluster, os.fspath(out), clusters=clusters, count=count, columns=columns, progress=progress
    )


def networks() -> tuple[ListedNetwork, ...]:
    """List the networks, and whether their weights are here."""
    return list_networks(network_places())


def demo_images(folder: Path) -> DemoImages:
    """Fill a folder with views of a few freely licensed photographs, to try things out."""
    return make_demo_images(folder)
