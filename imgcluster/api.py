"""The commands as Python functions; keyword arguments are named as the options, with the same defaults.

A text is read as on the command line (``k="auto"``, ``k="2:12"``, ``memory="2GB"``). Folders for weights,
converted models and thumbnails are those that the command line uses. ``progress=True`` shows a bar, in a
terminal or in a notebook. Every result is a table, too: ``to_frame()``.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, SupportsIndex, get_args, get_origin

from imgcluster import __all__ as _names
from imgcluster.cli import cluster as finding
from imgcluster.cli import clusterings, images
from imgcluster.cli import extract as extraction
from imgcluster.cli import store as storing
from imgcluster.cli.command import Answer, Answers, is_typed, working
from imgcluster.cli.places import Runner
from imgcluster.errors import UsageError
from imgcluster.options import keywords, show_parameters
from imgcluster.records import SILENT, Progress
from imgcluster.typed import DEFAULT_CLUSTERS, did_you_mean
from imgcluster.workflows.options import FOLDERS

if TYPE_CHECKING:
    from imgcluster.caches import CachePart
    from imgcluster.output.undo import Undone
    from imgcluster.records import Evaluation, StoredSpace
    from imgcluster.store.merge import Merged
    from imgcluster.store.prune import Pruned
    from imgcluster.store.repair import Repair, Verification
    from imgcluster.workflows.apply_plan import Applied
    from imgcluster.workflows.assign import AssignResult
    from imgcluster.workflows.cluster_result import ClusterResult
    from imgcluster.workflows.clustering_folder import Changed
    from imgcluster.workflows.compare import CompareResult
    from imgcluster.workflows.correct import Corrected
    from imgcluster.workflows.demo_images import DemoImages
    from imgcluster.workflows.diff import Difference
    from imgcluster.workflows.duplicates import DuplicatesResult
    from imgcluster.workflows.extract import ExtractResult
    from imgcluster.workflows.inventory import InventoryResult
    from imgcluster.workflows.networks import ListedNetworks
    from imgcluster.workflows.pick import PickResult
    from imgcluster.workflows.report import ReportResult
    from imgcluster.workflows.similar import SimilarImages
    from imgcluster.workflows.store import StoreInfo
    from imgcluster.workflows.sweep import SweepResult

_Path = str | os.PathLike[str]
_BAR = inspect.Parameter(
    "progress", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Progress | bool | None
)


def _function(
    name: str, command: Callable[..., Answers], about: str = "", *, kind: Any = _Path, what: str = "path"
) -> Callable[..., Any]:
    """Make a function of a command: it gives the result; `progress` is a bar where it is True, and else none.

    What the command takes as a list comes one by one, or in a list; all of it is of a `kind`, each a `what`.
    `about` is its description where that of the command is not all.
    """
    work = working(command)
    work.__name__ = name
    with_keywords = keywords(work) if "options" in inspect.signature(command).parameters else work
    parameters = inspect.signature(with_keywords, eval_str=True).parameters.values()
    first = [each for each in parameters if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    of_python = [each for each in parameters if not is_typed(each) and each.name != "run"]
    a_list = any(map(_is_list, first))
    shown = [*(_listed(first[0], kind) if a_list else map(_plain, first))]
    shown += [each for each in of_python if each not in first]
    by_name = {each.name for each in shown if each.kind not in _NAMELESS}

    def function(*arguments: Any, progress: Progress | bool | None = None, **given: Any) -> Any:
        if len(arguments) > len(first) and not a_list:
            raise UsageError(f"{name}() takes its options by name, such as clusters=")
        if a_list and not arguments and first[0].default is inspect.Parameter.empty:
            raise UsageError(f"{name}() needs a {what}")
        for unknown in given.keys() - by_name:
            raise TypeError(f"{name}() has no option {unknown!r}{did_you_mean(unknown, by_name)}")
        if not (progress is None or isinstance(progress, bool) or hasattr(progress, "begin")):
            raise UsageError(f"progress={progress!r} is no progress: True shows a bar, and None nothing")
        taken = (_each(arguments, get_args(kind), what=what),) if a_list else arguments
        if progress is not True:
            answer, _ = with_keywords(*taken, run=Runner(progress or SILENT), **given)
        else:
            from imgcluster.cli.progress import progress as shown_progress

            with shown_progress() as bars:
                answer, _ = with_keywords(*taken, run=Runner(bars), **given)
        return answer.json if answer.of is None else answer.of

    show_parameters(function, [*shown, _BAR])
    function.__name__ = function.__qualname__ = name
    function.__doc__ = about or command.__doc__
    return function


_NAMELESS = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}


def _listed(parameter: inspect.Parameter, kind: Any) -> list[inspect.Parameter]:
    """Show what comes one by one or in a list, the first apart where there has to be one."""
    taken, more = kind | Iterable[kind], inspect.Parameter.VAR_POSITIONAL
    rest = inspect.Parameter(parameter.name, more, annotation=taken)
    if parameter.default is not inspect.Parameter.empty:
        return [rest]
    return [inspect.Parameter("first", inspect.Parameter.POSITIONAL_ONLY, annotation=taken), rest]


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(annotation=_Path) if is_typed(parameter) else parameter


def _is_list(parameter: inspect.Parameter) -> bool:
    kind = get_args(parameter.annotation)[0] if is_typed(parameter) else None
    return list in {get_origin(part) for part in (kind, *get_args(kind))}


def _each(given: Iterable[Any], kinds: Iterable[Any], *, what: str) -> tuple[Any, ...]:
    """Take things one by one, or in a list. UsageError for what is none, or where a list has none."""
    types = tuple(get_origin(kind) or kind for kind in kinds)
    one_by_one = [[each] if _is_one(each) else each for each in given]
    found = tuple(each for some in one_by_one for each in some)
    for each in found:
        if not isinstance(each, types):
            raise UsageError(
                f"{each!r} is no {what}: give one after the other or in one list, and options by name"
            )
    if one_by_one and not found:
        raise UsageError(f"there is no {what} in the list that was given")
    return tuple(os.fspath(each) if isinstance(each, os.PathLike) else each for each in found)


def _is_one(given: Any) -> bool:
    """Whether that is a thing by itself, as an array without dimensions is, which claims to be iterable."""
    has_items = isinstance(given, Iterable) and getattr(given, "ndim", None) != 0
    return isinstance(given, str | os.PathLike | Mapping) or not has_items


def _evaluate(
    labels: _Path | Mapping[Any, Any] | Iterable[Any] = FOLDERS,
    *,
    clusters: _Path = DEFAULT_CLUSTERS,
    run: Runner,
) -> Answers:
    """Compare a clustering, a folder or a result, with classes; images without a label are left out.

    `labels` are ``folders``, a CSV file with the columns path and label, labels by path (a mapping or a
    Series), or one for each image in the order of the clustering's paths.
    """
    from imgcluster.workflows import evaluate as workflow
    from imgcluster.workflows.cluster_result import ClusterResult

    if isinstance(labels, ClusterResult):
        raise UsageError("a result is given by name: evaluate(clusters=…)")
    yield Answer(run(workflow.evaluate, labels, clusters=clusters))


extract: Callable[..., ExtractResult] = _function(
    "extract",
    extraction.extract,
    """Embed every image below `paths` (default: the current folder) that the store does not know yet.

    `source` is a network of your own in place of the one that the options choose. Raises `ImgclusterError`
    where nothing came of it; single files that failed are in the result.
    """,
)
cluster: Callable[..., ClusterResult] = _function(
    "cluster",
    finding.cluster,
    """Sort the embedded images below `paths` (default: all) into one folder per cluster.

    The result has an array for each thing that is known of every image; with ``out=None`` nothing is written
    and it has the points as well.
    """,
)
sweep: Callable[..., SweepResult] = _function("sweep", finding.sweep)
compare: Callable[..., CompareResult] = _function("compare", finding.compare)
assign: Callable[..., AssignResult] = _function(
    "assign",
    clusterings.assign,
    """Tell which existing cluster each image belongs to; nothing is fitted again.

    A `source` that `extract` was given is to be given again, for new images.
    """,
)
similar: Callable[..., SimilarImages] = _function("similar", images.similar)
duplicates: Callable[..., DuplicatesResult | Applied] = _function(
    "duplicates",
    images.duplicates,
    """Group images that are equal or look alike, and say which copy is the best.

    Nothing is deleted; with `apply`, a plan is carried out.
    """,
)
inventory: Callable[..., InventoryResult] = _function("inventory", images.inventory)
report: Callable[..., ReportResult] = _function(
    "report",
    clusterings.report,
    "Write pages to look at into the folder that `cluster` made; the result names the page to open.",
)
contact_sheet: Callable[..., int] = _function(
    "contact_sheet",
    clusterings.contact_sheet,
    "Draw one cluster as one picture, .png or .jpg; return how many images are on it.",
)
correct: Callable[..., Corrected] = _function(
    "correct",
    clusterings.correct,
    "Keep what was moved between cluster folders by hand as a file for ``cluster(edits=...)``.",
)
name: Callable[..., Changed] = _function(
    "name",
    clusterings.name,
    """Give clusters names, ``"0=cats"`` or ``{0: "cats"}``, which folders and later clusterings bear.""",
    kind=str | Mapping[int | str, str],
    what="name such as 0=cats",
)
merge: Callable[..., Changed] = _function(
    "merge",
    clusterings.merge,
    "Make one cluster of several, given by numbers or names; the first takes the others.",
    kind=str | SupportsIndex,
    what="number or name",
)
pick: Callable[..., PickResult] = _function("pick", clusterings.pick)
diff: Callable[..., Difference] = _function(
    "diff", clusterings.diff, "Tell what changed from one clustering, a folder or a result, to another."
)
evaluate: Callable[..., Evaluation] = _function("evaluate", _evaluate)
undo: Callable[..., Undone] = _function("undo", clusterings.undo)
list_networks: Callable[..., ListedNetworks] = _function("list_networks", extraction.networks)
demo_images: Callable[..., DemoImages] = _function("demo_images", extraction.demo_images)
store_info: Callable[..., StoreInfo] = _function("store_info", storing.info)
store_verify: Callable[..., Verification] = _function(
    "store_verify", storing.verify, "Check structure and every checksum of the store."
)
store_repair: Callable[..., Repair] = _function("store_repair", storing.repair)
store_prune: Callable[..., Pruned] = _function(
    "store_prune",
    storing.prune,
    "Forget paths that are gone and rows that no path leads to; `dry_run` only tells.",
)
store_merge: Callable[..., Merged] = _function("store_merge", storing.merge)
store_export: Callable[..., StoredSpace] = _function(
    "store_export", storing.export, "Write one feature space for other programs; return which."
)
store_cache: Callable[..., tuple[CachePart, ...]] = _function(
    "store_cache",
    storing.cache,
    "Tell how much room thumbnails and converted networks take, all stores' together; `clear` removes them.",
)
for _name in set(_names) & globals().keys():  # a signature names the result, without loading what makes it
    _made, _result = globals()[_name], __annotations__[_name].removeprefix("Callable[..., ")[:-1]
    _made.__signature__ = _made.__signature__.replace(return_annotation=_result)
