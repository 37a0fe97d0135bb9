"""The commands as Python functions; keyword arguments are named as the options, with the same defaults.

A text is read as on the command line (``k="auto"``, ``k="2:12"``, ``memory="2GB"``). Folders for weights,
converted models and thumbnails are those that the command line uses. ``progress=True`` shows a bar, in a
terminal or in a notebook. Every result is a table, too: ``to_frame()``.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, SupportsIndex, get_args, get_origin

from imgcluster import __all__ as _names
from imgcluster.cli import cluster as finding
from imgcluster.cli import clusterings, images
from imgcluster.cli import extract as extraction
from imgcluster.cli import store as storing
from imgcluster.cli.command import Answer, Answers, working
from imgcluster.cli.places import Runner
from imgcluster.errors import UsageError
from imgcluster.options import keywords
from imgcluster.records import SILENT, Progress
from imgcluster.typed import DEFAULT_CLUSTERS
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


def _function(
    command: Callable[..., Answers], *kinds: type, what: str = "path", about: str = ""
) -> Callable[..., Any]:
    """Make a function of a command: it gives the result; `progress` is a bar where it is True, and else none.

    What the command takes as a list comes one by one, or in a list; all of it are of `kinds`, each a `what`.
    """
    work = working(command)
    with_keywords = keywords(work) if "options" in inspect.signature(command).parameters else work
    parameters = inspect.signature(with_keywords, eval_str=True).parameters
    by_name = {name for name, each in parameters.items() if each.kind is inspect.Parameter.KEYWORD_ONLY}
    first = [each for name, each in parameters.items() if name not in by_name]
    a_list = any(_of_list(each.annotation) for each in first)
    typed_alone = {name for name in by_name if _is_typed(parameters[name].annotation)}

    @functools.wraps(command)
    def function(*arguments: Any, progress: Progress | bool | None = None, **given: Any) -> Any:
        if arguments and not first:
            raise UsageError(f"{function.__name__}() takes its options by name, such as clusters=")
        if a_list and not arguments and first[0].default is inspect.Parameter.empty:
            raise TypeError(f"{function.__name__}() needs a {what}")
        if exit_codes := given.keys() & typed_alone:
            raise TypeError(f"{function.__name__}() has no option {min(exit_codes)!r}")
        taken = (_each(arguments, *kinds, what=what),) if a_list else arguments
        if progress is not True:
            answer, _ = with_keywords(*taken, run=Runner(progress or SILENT), **given)
        else:
            from imgcluster.cli.progress import progress as shown_progress

            with shown_progress() as bars:
                answer, _ = with_keywords(*taken, run=Runner(bars), **given)
        return answer.json if answer.of is None else answer.of

    shown = [parameters[name] for name in parameters if name in by_name - typed_alone - {"run"}]
    function.__signature__ = _signature(first, shown, a_list=a_list)  # type: ignore[attr-defined]
    function.__doc__ = f"{command.__doc__}\n\n{about}".rstrip()
    return function


def _signature(
    first: Sequence[inspect.Parameter], by_name: Sequence[inspect.Parameter], *, a_list: bool
) -> inspect.Signature:
    """Show what Python code may give."""
    parameter, taken = inspect.Parameter, [each.replace(annotation=Any) for each in first]
    if a_list:
        taken = [parameter(each.name, parameter.VAR_POSITIONAL, annotation=_Path) for each in first]
    bar = parameter("progress", parameter.KEYWORD_ONLY, default=None, annotation=Progress | bool | None)
    return inspect.Signature([*taken, *by_name, bar])


def _is_typed(annotation: Any) -> bool:
    """Whether a parameter is one of the command line: an argument, or an option of it alone."""
    return get_origin(annotation) is Annotated


def _of_list(annotation: Any) -> bool:
    plain = get_args(annotation)[0] if _is_typed(annotation) else annotation
    return list in {get_origin(part) for part in (plain, *get_args(plain))}


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
    return tuple(os.fspath(each) if isinstance(each, os.PathLike) else each for each in found)


def _is_one(given: Any) -> bool:
    """Whether that is a thing by itself, as an array without dimensions is, which claims to be iterable."""
    has_items = isinstance(given, Iterable) and getattr(given, "ndim", None) != 0
    return isinstance(given, str | os.PathLike | Mapping) or not has_items


def _evaluate(labels: Any = FOLDERS, *, clusters: Any = DEFAULT_CLUSTERS, run: Runner) -> Answers:
    """Compare a clustering, a folder or a result, with classes; images without a label are left out.

    `labels` are ``folders``, a CSV file with the columns path and label, labels by path (a mapping or a
    Series), or one for each image in the order of the clustering's paths.
    """
    from imgcluster.workflows import evaluate as workflow
    from imgcluster.workflows.cluster_result import ClusterResult

    if isinstance(labels, ClusterResult):
        raise UsageError("a result is given by name: evaluate(clusters=…)")
    yield Answer(run(workflow.evaluate, labels, clusters=clusters))


_SOURCE = "`source` is a network of your own in place of the one that options choose, here and in `assign`."
_ARRAYS = (
    "The result has an array for each thing that is known of every image; with ``out=None`` nothing is "
    "written and it has the points as well."
)
_NAME = "name such as 0=cats"

extract: Callable[..., ExtractResult] = _function(extraction.extract, about=_SOURCE)
cluster: Callable[..., ClusterResult] = _function(finding.cluster, about=_ARRAYS)
sweep: Callable[..., SweepResult] = _function(finding.sweep)
compare: Callable[..., CompareResult] = _function(finding.compare)
assign: Callable[..., AssignResult] = _function(clusterings.assign, about=_SOURCE)
similar: Callable[..., SimilarImages] = _function(images.similar)
duplicates: Callable[..., DuplicatesResult | Applied] = _function(images.duplicates)
inventory: Callable[..., InventoryResult] = _function(images.inventory)
report: Callable[..., ReportResult] = _function(clusterings.report)
contact_sheet: Callable[..., int] = _function(clusterings.contact_sheet)
correct: Callable[..., Corrected] = _function(clusterings.correct)
name: Callable[..., Changed] = _function(clusterings.name, str, Mapping, what=_NAME)
merge: Callable[..., Changed] = _function(clusterings.merge, str, SupportsIndex, what="number or name")
pick: Callable[..., PickResult] = _function(clusterings.pick)
diff: Callable[..., Difference] = _function(clusterings.diff)
evaluate: Callable[..., Evaluation] = _function(_evaluate)
undo: Callable[..., Undone] = _function(clusterings.undo)
list_networks: Callable[..., ListedNetworks] = _function(extraction.networks)
demo_images: Callable[..., DemoImages] = _function(extraction.demo_images)
store_info: Callable[..., StoreInfo] = _function(storing.info)
store_verify: Callable[..., Verification] = _function(storing.verify)
store_repair: Callable[..., Repair] = _function(storing.repair)
store_prune: Callable[..., Pruned] = _function(storing.prune)
store_merge: Callable[..., Merged] = _function(storing.merge)
store_export: Callable[..., StoredSpace] = _function(storing.export)
store_cache: Callable[..., tuple[CachePart, ...]] = _function(storing.cache)
for _name in set(_names) & globals().keys():
    globals()[_name].__name__ = _name
