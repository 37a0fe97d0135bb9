"""The commands as Python functions; keyword arguments are named as the options, with the same defaults.

A text is read as on the command line (``k="auto"``, ``k="2:12"``, ``memory="2GB"``). Folders for weights,
converted models and thumbnails are those that the command line uses. ``progress=True`` shows a bar, in a
terminal or in a notebook. Every result is a table, too: ``to_frame()``.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar

from imgcluster.cli.places import Runner, network_places
from imgcluster.options import keywords, show_parameters
from imgcluster.output.undo import Undone
from imgcluster.records import SILENT, NetworkSource, Progress
from imgcluster.workflows import assign as assigning
from imgcluster.workflows import cluster as clustering
from imgcluster.workflows import compare as comparing
from imgcluster.workflows import correct as correcting
from imgcluster.workflows import diff as comparing_clusters
from imgcluster.workflows import duplicates as duplicating
from imgcluster.workflows import extract as extraction
from imgcluster.workflows import inventory as listing
from imgcluster.workflows import merge as merging
from imgcluster.workflows import name as naming
from imgcluster.workflows import pick as picking
from imgcluster.workflows import report as reporting
from imgcluster.workflows import similar as searching
from imgcluster.workflows import sweep as sweeping
from imgcluster.workflows.apply_plan import Applied, apply_plan
from imgcluster.workflows.cluster_result import ClusterResult
from imgcluster.workflows.clustering_folder import Changed
from imgcluster.workflows.contact_sheet import make_contact_sheet
from imgcluster.workflows.demo_images import DemoImages, make_demo_images
from imgcluster.workflows.duplicates_report import report_duplicates
from imgcluster.workflows.evaluate import evaluate
from imgcluster.workflows.networks import ListedNetwork, list_networks
from imgcluster.workflows.options import (
    AssignOptions,
    ClusterOptions,
    CompareOptions,
    ContactSheetOptions,
    CorrectOptions,
    DuplicatesOptions,
    ExtractOptions,
    InventoryOptions,
    NameOptions,
    PickOptions,
    ReportOptions,
    SimilarOptions,
    SweepOptions,
    UndoOptions,
)
from imgcluster.workflows.sweep_report import report_sweep
from imgcluster.workflows.undo import undo as take_away

Path = str | os.PathLike[str]
_Result = TypeVar("_Result")

__all__ = [
    "assign",
    "cluster",
    "compare",
    "contact_sheet",
    "correct",
    "demo_images",
    "diff",
    "duplicates",
    "evaluate",
    "extract",
    "inventory",
    "merge",
    "name",
    "networks",
    "pick",
    "report",
    "similar",
    "sweep",
    "undo",
]


def _command(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Take the options as keywords, and `progress`, a bar where it is True, in place of `run`."""
    with_keywords = keywords(function)

    @functools.wraps(with_keywords)
    def run(*arguments: Any, progress: Progress | bool | None = None, **given: Any) -> _Result:
        if progress is not True:
            return with_keywords(*arguments, run=Runner(progress or SILENT), **given)
        from imgcluster.cli import console

        with console.progress() as bars:
            return with_keywords(*arguments, run=Runner(bars), **given)

    parameters = dict(inspect.signature(with_keywords).parameters)
    bar = parameters.pop("run").replace(name="progress", default=None, annotation=Progress | bool | None)
    show_parameters(run, [*parameters.values(), bar])
    return run


@_command
def extract(
    *paths: Path, options: ExtractOptions, source: NetworkSource | None = None, run: Runner
) -> extraction.ExtractResult:
    """Embed every image below `paths` (default: the current folder) that the store does not know yet.

    `source` is a network of your own in place of the one that the options choose. Raises `ImgclusterError`
    where nothing came of it; single files that failed are in the result.
    """
    return run(extraction.extract, paths or (".",), options, source=source)


@_command
def cluster(*paths: Path, options: ClusterOptions, run: Runner) -> ClusterResult:
    """Sort the embedded images below `paths` (default: all) into one folder per cluster.

    The result has an array for each thing that is known of every image; with ``out=None`` nothing is written
    and it has the points as well. `network` is a name or several. Raises `ImgclusterError` where the store
    knows no image, or the folder is not ours to replace.
    """
    return run(clustering.cluster, paths, options)


@_command
def sweep(*paths: Path, options: SweepOptions, run: Runner) -> sweeping.SweepResult:
    """Try numbers of clusters and suggest one; `plot` is a PNG or SVG file, `report` a page in `out`."""
    result = run(sweeping.sweep, paths, options)
    if options.report:
        run(report_sweep, result, options, paths)
    return result


@_command
def compare(*paths: Path, options: CompareOptions, run: Runner) -> comparing.CompareResult:
    """Compare networks and algorithms on labelled images; `networks` and `algorithms` are names."""
    return run(comparing.compare, paths, options)


@_command
def assign(
    *paths: Path, options: AssignOptions, source: NetworkSource | None = None, run: Runner
) -> assigning.AssignResult:
    """Tell which existing cluster each image below `paths` belongs to; nothing is fitted again.

    A `source` that `extract` was given is to be given again, for new images.
    """
    return run(assigning.assign, paths, options, source=source)


@_command
def similar(image: Path, *, options: SimilarOptions, run: Runner) -> searching.SimilarImages:
    """List the images most similar to one that was extracted."""
    return run(searching.similar, image, options)


@_command
def duplicates(
    *paths: Path, options: DuplicatesOptions, run: Runner
) -> duplicating.DuplicatesResult | Applied:
    """Group images that are equal or look alike, and say which copy is the best.

    Nothing is deleted; with `apply`, a plan is carried out.
    """
    if options.apply and options.trash:
        return run(apply_plan, options.apply, options.trash)
    result = run(duplicating.duplicates, paths, options)
    if options.report:
        run(report_duplicates, result, options.out)
    return result


@_command
def inventory(*paths: Path, options: InventoryOptions, run: Runner) -> listing.InventoryResult:
    """List every file that was ever looked at: format, size, date, cluster, duplicates, reason of failure."""
    return run(listing.inventory, paths, options)


@_command
def report(*, options: ReportOptions, run: Runner) -> reporting.ReportResult:
    """Write pages to look at into the folder that `cluster` made; the result names the page to open."""
    return run(reporting.report, options)


@_command
def contact_sheet(*, options: ContactSheetOptions, run: Runner) -> int:
    """Draw one cluster as one picture, .png or .jpg; return how many images are on it."""
    return run(make_contact_sheet, **vars(options))


@_command
def correct(*, options: CorrectOptions, run: Runner) -> correcting.Corrected:
    """Keep what was moved between cluster folders by hand as a file for ``cluster(edits=...)``."""
    return run(correcting.correct, options)


@_command
def merge(*clusters_to_merge: str, options: NameOptions, run: Runner) -> Changed:
    """Make one cluster of several, given by numbers or names; the first takes the others."""
    return run(merging.merge, clusters_to_merge, options)


@_command
def pick(*, options: PickOptions, run: Runner) -> picking.PickResult:
    """Choose a few images that stand for a clustering; `out` makes a folder of links or copies of them."""
    return run(picking.pick, options)


def diff(first: Path, second: Path) -> comparing_clusters.Difference:
    """Tell what changed from one clustering to another."""
    return comparing_clusters.diff(os.fspath(first), os.fspath(second))


@_command
def name(*names: str, options: NameOptions, run: Runner) -> Changed:
    """Give clusters names, each as ``"0=cats"``; their folders and later clusterings bear them."""
    return run(naming.name, names, options)


@_command
def undo(*, options: UndoOptions, run: Runner) -> Undone:
    """Go one step back; where there is none, or for `all`, take the clusters away; moved images go home."""
    return run(take_away, **vars(options))


def networks() -> tuple[ListedNetwork, ...]:
    """List the networks, and whether their weights are here."""
    return list_networks(network_places())


def demo_images(folder: Path) -> DemoImages:
    """Fill a folder with views of a few freely licensed photographs, to try things out."""
    return make_demo_images(folder)
