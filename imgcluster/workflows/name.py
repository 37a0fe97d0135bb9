"""Name: what the clusters of a folder are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.errors import UsageError, quantity
from imgcluster.output.names import checked_name
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import NamedCluster, Progress, SilentProgress
from imgcluster.workflows.options import NameOptions
from imgcluster.workflows.standing import read_standing, remake, rename

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcluster.output.manifest import ClusteringManifest


@dataclass(frozen=True)
class Changed:
    """The clusters of a folder after a change, and whether it had a report, which is about those before."""

    clusters: tuple[NamedCluster, ...]
    had_report: bool


def name(
    given: Sequence[str],
    options: NameOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
) -> Changed:
    """Give clusters names.

    Parameters
    ----------
    given
        ``0=cats``: a number or a name, and the name that the cluster gets; its number takes the name away.

    Raises
    ------
    UsageError
        Where a name cannot be, a cluster gets two, or two get one. Nothing is changed then.
    ImgclusterError
        Where there is no clustering, or no such cluster in it.
    """
    options, progress = options or NameOptions(), progress or SilentProgress()
    if not given:
        raise UsageError("no name was given: write imgcluster name 0=cats")
    standing = read_standing(options.clusters, owner, progress)
    told = standing.told
    names: dict[int, str] = {}
    for text in given:
        which, equals, wanted = text.partition("=")
        if not equals:
            raise UsageError(f"{text} gives no name: write {text}=NAME")
        number = find_cluster(told.manifest, which).number
        if number in names:
            raise UsageError(f"cluster {number} was given two names")
        names[number] = checked_name(wanted)
    renamed = rename(told, told.manifest.names | names)
    clusters = remake(standing, renamed, (*standing.steps, standing.as_step()), progress, owner)
    return Changed(clusters, standing.has_report)


def find_cluster(manifest: ClusteringManifest, which: str) -> NamedCluster:
    """Find a cluster by its number or its name. UsageError where there is none."""
    which = which.strip()
    by_number = {str(cluster.number): cluster for cluster in manifest.clusters}
    by_name = {cluster.name: cluster for cluster in manifest.clusters if cluster.name}
    found = by_number.get(which) or by_name.get(which)
    if found is None:
        raise UsageError(f"no cluster is called {which}: there are {', '.join(titles(manifest))}")
    return found


def titles(manifest: ClusteringManifest) -> list[str]:
    """Name the clusters for people, at most twenty of them."""
    listed = [cluster.title for cluster in manifest.clusters[:20]]
    rest = len(manifest.clusters) - len(listed)
    return [*listed, *([f"and {quantity(rest, 'other')}"] if rest else [])]
