"""Name: what the clusters of a folder are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from imgcluster.errors import UsageError, quantity
from imgcluster.output.names import checked_name, composed
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, NamedCluster, Progress
from imgcluster.workflows.clustering_folder import Changed, read_folder, remake
from imgcluster.workflows.options import NameOptions


def name(
    given: Sequence[str | Mapping[int | str, str]],
    options: NameOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> Changed:
    """Give clusters names.

    Parameters
    ----------
    given
        ``0=cats``, or ``{0: "cats"}``: a number or a name, and the name that the cluster gets; its number
        takes the name away.

    Raises
    ------
    UsageError
        Where a name cannot be, a cluster gets two, or two get one. Nothing is changed then.
    ImgclusterError
        Where there is no clustering, or no such cluster in it.
    """
    options = options or NameOptions()
    pairs = list(_pairs(given))
    if not pairs:
        raise UsageError("no name was given: write imgcluster name 0=cats")
    folder = read_folder(options.clusters, owner, progress)
    names: dict[int, str] = {}
    for which, wanted in pairs:
        number = find_cluster(folder.clusters, which).number
        if number in names:
            raise UsageError(f"cluster {number} was given two names")
        names[number] = checked_name(wanted)
    return remake(folder, folder.saved.named(folder.saved.manifest.names | names), progress, owner)


def _pairs(given: Sequence[str | Mapping[int | str, str]]) -> Iterator[tuple[int | str, str]]:
    for each in given:
        if isinstance(each, Mapping):
            for which, wanted in each.items():
                if not isinstance(wanted, str):
                    raise UsageError(f"{wanted!r} is no name: write {{{which!r}: 'cats'}}")
                yield which, wanted
            continue
        which, equals, wanted = str(each).partition("=")
        if not equals:
            raise UsageError(f"{each} gives no name: write {each}=NAME")
        yield which, wanted


def find_cluster(clusters: Sequence[NamedCluster], given: int | str) -> NamedCluster:
    """Find a cluster by its number or its name. UsageError where there is none."""
    which = composed(str(given))
    called = {each.name: each for each in clusters} | {str(each.number): each for each in clusters}
    if not which or which not in called:
        titles = [each.title for each in clusters[:20]]
        rest = len(clusters) - len(titles)
        titles += [f"and {quantity(rest, 'other')}"] if rest else []
        raise UsageError(f"no cluster is called {which}: there are {', '.join(titles)}")
    return called[which]
