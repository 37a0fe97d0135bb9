"""The commands as Python functions; keyword arguments are named as the options, with the same defaults.

A text is read as on the command line (``k="auto"``, ``k="2:12"``, ``memory="2GB"``). Folders for weights,
converted models and thumbnails are those that the command line uses. ``progress=True`` shows a bar, in a
terminal or in a notebook. Every result is a table, too: ``to_frame()``.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsIndex, TypeVar

from imgcluster import caches
from imgcluster.cli.places import Runner, cache_folder
from imgcluster.errors import UsageError
from imgcluster.options import keywords, show_parameters
from imgcluster.output.undo import Undone
from imgcluster.records import SILENT, Evaluation, NetworkSource, Progress, StoredSpace
from imgcluster.typed import DEFAULT_CLUSTERS
from imgcluster.workflows import assign as assigning
from imgcluster.workflows import cluster as clustering
from imgcluster.workflows import compare as comparing
from imgcluster.workflows import correct as correcting
from imgcluster.workflows import diff as comparing_clusters
from imgcluster.workflows import duplicates as duplicating
from imgcluster.workflows import evaluate as evaluating
from imgcluster.workflows import extract as extraction
from imgcluster.workflows import inventory as listing
from imgcluster.workflows import merge as merging
from imgcluster.workflows import name as naming
from imgcluster.workflows import pick as picking
from imgcluster.workflows import report as reporting
from imgcluster.workflows import similar as searching
from imgcluster.workflows import store as storing
from imgcluster.workflows import sweep as sweeping
from imgcluster.workflows.apply_plan import Applied, apply_plan
from imgcluster.workflows.cluster_result import ClusterResult
from imgcluster.workflows.clustering_folder import Changed
from imgcluster.workflows.contact_sheet import make_contact_sheet
from imgcluster.workflows.demo_images import DemoImages, make_demo_images
from imgcluster.workflows.duplicates_report import report_duplicates
from imgcluster.workflows.export import export
from imgcluster.workflows.labels import Labels
from imgcluster.workflows.networks import ListedNetworks
from imgcluster.workflows.networks import list_networks as networks_here
from imgcluster.workflows.options import (
    FOLDERS,
    AssignOptions,
    CacheOptions,
    ClusterOptions,
    CompareOptions,
    ContactSheetOptions,
    CorrectOptions,
    DuplicatesOptions,
    ExportOptions,
    ExtractOptions,
    InventoryOptions,
    MergeOptions,
    NameOptions,
    PickOptions,
    PruneOptions,
    ReadStoreOptions,
    ReportOptions,
    SimilarOptions,
    StoreOptions,
    SweepOptions,
    UndoOptions,
)
from imgcluster.workflows.sweep_report import report_sweep
from imgcluster.workflows.undo import undo as take_away

Path = str | os.PathLike[str]
Paths = Path | Iterable[Path]
Clusters = Path | ClusterResult
_Result = TypeVar("_Result")
_Changed = TypeVar("_Changed", ClusterResult, assigning.AssignResult, Changed, Undone)

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
    "list_networks",
    "merge",
    "name",
    "pick",
    "report",
    "similar",
    "store_cache",
    "store_export",
    "store_info",
    "store_merge",
    "store_prune",
    "store_repair",
    "store_verify",
    "sweep",
    "undo",
]


def _command(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Take the options as keywords, and `progress`, a bar where it is True, in place of `run`."""
    own = inspect.signature(function).parameters
    with_keywords = keywords(function) if "options" in own else function
    takes_more = any(each.kind is not inspect.Parameter.KEYWORD_ONLY for each in own.values())

    @functools.wraps(with_keywords)
    def run(*arguments: Any, progress: Progress | bool | None = None, **given: Any) -> _Result:
        if arguments and not takes_more:
            raise UsageError(f"{function.__name__}() takes its options by name, such as clusters=")
        if progress is not True:
            return with_keywords(*arguments, run=Runner(progress or SILENT), **given)
        from imgcluster.cli.progress import progress as shown_progress

        with shown_progress() as bars:
            return with_keywords(*arguments, run=Runner(bars), **given)

    parameters = dict(inspect.signature(with_keywords, eval_str=True).parameters)
    bar = parameters.pop("run").replace(name="progress", default=None, annotation=Progress | bool | None)
    show_parameters(run, [*parameters.values(), bar])
    return run


def _each(given: Iterable[Any], *kinds: type, what: str = "path") -> tuple[Any, ...]:
    """Take things one by one, or in a list. UsageError for what is none, or where a list has none."""
    kinds = kinds or (str, os.PathLike)
    one_by_one = [[each] if _is_one(each) else each for each in given]
    found = tuple(each for some in one_by_one for each in some)
    for each in found:
        if not isinstance(each, kinds):
            raise UsageError(
                f"{each!r} is no {what}: give one after the other or in one list, and options by name"
            )
    if one_by_one and not found:
        raise UsageError(f"there is no {what} in the list that was given")
    return found


def _is_one(given: Any) -> bool:
    """Whether that is a thing by itself, as an array without dimensions is, which claims to be iterable."""
    has_items = isinstance(given, Iterable) and getattr(given, "ndim", None) != 0
    return isinstance(given, str | os.PathLike | Mapping) or not has_items


def _with_report(result: _Changed, clusters: str | None, run: Runner, **more: Any) -> _Changed:
    """Make the report again, if there was one before the change."""
    if result.had_report and clusters is not None:
        run.report_again(clusters, **more)
    return result


@_command
def extract(
    *paths: Paths, options: ExtractOptions, source: NetworkSource | None = None, run: Runner
) -> extraction.ExtractResult:
    """Embed every image below `paths` (default: the current folder) that the store does not know yet.

    `source` is a network of your own in place of the one that the options choose. Raises `ImgclusterError`
    where nothing came of it; single files that failed are in the result.
    """
    return run(extraction.extract, _each(paths) or (".",), options, source=source)


@_command
def cluster(*paths: Paths, options: ClusterOptions, run: Runner) -> ClusterResult:
    """Sort the embedded images below `paths` (default: all) into one folder per cluster.

    The result has an array for each thing that is known of every image; with ``out=None`` nothing is written
    and it has the points as well. `network` is a name or several. Raises `ImgclusterError` where the store
    knows no image, or the folder is not ours to replace.
    """
    found = run(clustering.cluster, _each(paths), options)
    return _with_report(found, found.out, run, no_lock=options.no_lock, wait=options.wait_for_folder)


@_command
def sweep(*paths: Paths, options: SweepOptions, run: Runner) -> sweeping.SweepResult:
    """Try numbers of clusters and suggest one; `plot` is a PNG or SVG file, `report` a page in `out`."""
    places = _each(paths)
    result = run(sweeping.sweep, places, options)
    if options.report:
        run(report_sweep, result, options, places)
    return result


@_command
def compare(path: Paths, *paths: Paths, options: CompareOptions, run: Runner) -> comparing.CompareResult:
    """Compare networks and algorithms on labelled images; `networks` and `algorithms` are names."""
    return run(comparing.compare, _each((path, *paths)), options)


@_command
def assign(
    path: Paths, *paths: Paths, options: AssignOptions, source: NetworkSource | None = None, run: Runner
) -> assigning.AssignResult:
    """Tell which existing cluster each image below `paths` belongs to; nothing is fitted again.

    A `source` that `extract` was given is to be given again, for new images.
    """
    result = run(assigning.assign, _each((path, *paths)), options, source=source)
    return _with_report(result, options.clusters, run, no_lock=options.no_lock)


@_command
def similar(image: Path, *, options: SimilarOptions, run: Runner) -> searching.SimilarImages:
    """List the images most similar to one that was extracted."""
    return run(searching.similar, image, options)


@_command
def duplicates(
    *paths: Paths, options: DuplicatesOptions, run: Runner
) -> duplicating.DuplicatesResult | Applied:
    """Group images that are equal or look alike, and say which copy is the best.

    Nothing is deleted; with `apply`, a plan is carried out.
    """
    if options.apply and options.trash:
        return run(apply_plan, options.apply, options.trash)
    result = run(duplicating.duplicates, _each(paths), options)
    if options.report:
        run(report_duplicates, result, options.out)
    return result


@_command
def inventory(*paths: Paths, options: InventoryOptions, run: Runner) -> listing.InventoryResult:
    """List every file that was ever looked at: format, size, date, cluster, duplicates, reason of failure."""
    return run(listing.inventory, _each(paths), options)


@_command
def report(*, options: ReportOptions, run: Runner) -> reporting.ReportResult:
    """Write pages to look at into the folder that `cluster` made; the result names the page to open."""
    return run(reporting.report, options)


@_command
def contact_sheet(*, options: ContactSheetOptions, run: Runner) -> int:
    """Draw one cluster as one picture, .png or .jpg; return how many images are on it."""
    return run(make_contact_sheet, options)


@_command
def correct(*, options: CorrectOptions, run: Runner) -> correcting.Corrected:
    """Keep what was moved between cluster folders by hand as a file for ``cluster(edits=...)``."""
    return run(correcting.correct, options)


@_command
def merge(*clusters_to_merge: int | str, options: NameOptions, run: Runner) -> Changed:
    """Make one cluster of several, given by numbers or names; the first takes the others."""
    given = _each(clusters_to_merge, str, SupportsIndex, what="number or name")
    return _with_report(run(merging.merge, given, options), options.clusters, run)


@_command
def pick(*, options: PickOptions, run: Runner) -> picking.PickResult:
    """Choose a few images that stand for a clustering; `out` makes a folder of links or copies of them."""
    return run(picking.pick, options)


@_command
def diff(first: Clusters, second: Clusters, *, run: Runner) -> comparing_clusters.Difference:
    """Tell what changed from one clustering, a folder or a result, to another."""
    return run(comparing_clusters.diff, first, second)


@_command
def evaluate(labels: Labels = FOLDERS, *, clusters: Clusters = DEFAULT_CLUSTERS, run: Runner) -> Evaluation:
    """Compare a clustering, a folder or a result, with classes; images without a label are left out.

    `labels` are ``folders``, a CSV file with the columns path and label, labels by path (a mapping or a
    Series), or one for each image in the order of the clustering's paths.
    """
    if isinstance(labels, ClusterResult):
        raise UsageError("a result is given by name: evaluate(clusters=…)")
    return run(evaluating.evaluate, labels, clusters=clusters)


@_command
def name(*names: str | Mapping[int | str, str], options: NameOptions, run: Runner) -> Changed:
    """Give clusters names, ``"0=cats"`` or ``{0: "cats"}``; their folders and later clusterings bear them."""
    given = _each(names, str, Mapping, what="name such as 0=cats")
    return _with_report(run(naming.name, given, options), options.clusters, run)


@_command
def undo(*, options: UndoOptions, run: Runner) -> Undone:
    """Go one step back; where there is none, or for `all`, take the clusters away; moved images go home."""
    done = run(take_away, options)
    return _with_report(done, options.clusters, run) if done.clusters is not None else done


@_command
def list_networks(*, run: Runner) -> ListedNetworks:
    """List the networks, and whether their weights are here."""
    return run(networks_here)


@_command
def demo_images(folder: Path, *, run: Runner) -> DemoImages:
    """Fill a folder with views of a few freely licensed photographs, to try things out."""
    return run(make_demo_images, folder)


@_command
def store_info(*, options: ReadStoreOptions, run: Runner) -> storing.StoreInfo:
    """Tell what is in the store."""
    return run(storing.info, options)


@_command
def store_verify(*, options: ReadStoreOptions, run: Runner) -> storing.Verification:
    """Check structure and every checksum of the store."""
    return run(storing.verify, options)


@_command
def store_repair(*, options: StoreOptions, run: Runner) -> storing.Repair:
    """Keep every sound row of a damaged store, and tell what was lost."""
    return run(storing.repair, options)


@_command
def store_prune(*, options: PruneOptions, run: Runner) -> storing.Pruned:
    """Forget paths that are gone and rows that no path leads to; `dry_run` only tells."""
    return run(storing.prune, options)


@_command
def store_merge(store: Paths, *stores: Paths, options: MergeOptions, run: Runner) -> storing.Merged:
    """Join stores into a new one."""
    paths = [os.fspath(each) for each in _each((store, *stores))]
    return run(storing.merge, paths, options)


@_command
def store_export(*, options: ExportOptions, run: Runner) -> StoredSpace:
    """Write one feature space for other programs; return which."""
    return run(export, options)


@_command
def store_cache(*, options: CacheOptions, run: Runner) -> tuple[caches.CachePart, ...]:
    """Tell how much room thumbnails and converted networks take; `clear` removes them."""
    return run(caches.clear if options.clear else caches.usage, cache_folder())
