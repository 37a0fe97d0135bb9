"""Numbers and names that stay: a new clustering gets those of the one that the folder holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.succession import Heritage, fill_numbers, inherit, reorder
from imgcluster.errors import quantity
from imgcluster.records import Clustering, NamedCluster

if TYPE_CHECKING:
    from imgcluster.workflows.user_edits import UserEdits  # loads SciPy

_MOST = 0.5
_WORTH_TELLING = 0.05
"""The share of an old cluster in a new one that is not left unsaid."""


@dataclass(frozen=True)
class Share:
    """How much of an old cluster is in the new one of that number."""

    number: int
    share: float


@dataclass(frozen=True)
class Successor:
    """An old cluster, the number that it has `now` (None: it is gone), and where its images are."""

    number: int
    name: str
    now: int | None
    shares: tuple[Share, ...]

    def __str__(self) -> str:
        first = next((share for share in self.shares if share.number == self.now), None)
        others = [share for share in self.shares if share is not first and share.share >= _WORTH_TELLING]
        where = ", ".join(f"{share.share:.0%} are in {share.number}".replace("%", " %") for share in others)
        who = self.name or str(self.number)
        if first is None:
            verb = "gone" if not others or others[0].share > _MOST else "split"
            return f"{who}: {verb}{where and f': {where}'}"
        verb = "still" if self.now == self.number else "now"
        return f"{who}: {verb} {self.now} ({first.share:.0%}".replace("%", " %)") + (where and f", {where}")


@dataclass(frozen=True)
class SpokenOf:
    """A clustering as it was found, and what was said of its clusters.

    Attributes
    ----------
    called
        What edits call the clusters of some rows: names, or numbers as text.
    own
        Those of them that a person began.
    """

    clustering: Clustering
    called: Mapping[int, str]
    own: frozenset[str]


@dataclass(frozen=True)
class Identities:
    """A clustering, its clusters in the order of their numbers, which may have gaps; files are not counted.

    Attributes
    ----------
    kept
        What became of each old cluster.
    called
        What edits call clusters from now on, by what they called them before.
    own
        The numbers of clusters that a person began.
    """

    clustering: Clustering
    clusters: tuple[NamedCluster, ...]
    kept: tuple[Successor, ...]
    called: dict[str, str]
    own: tuple[int, ...]


def keep_identities(said: UserEdits, found: SpokenOf, *, renumber: bool) -> Identities:
    """Give new clusters the numbers and names of the old ones that they are; names alone to `renumber`."""
    clustering, spoken, own = found.clustering, found.called, found.own
    numbered = {row: said.number_of(name) for row, name in spoken.items()}
    # A new name of a cluster that was found may be that of an old one without a name.
    settled = {row: number for row, number in numbered.items() if number is not None or spoken[row] in own}
    old_names = {each.number: each.name for each in said.clusters if each.name}
    known = said.cluster_of
    old = np.array([known.get(bytes(key), -1) for key in clustering.keys], np.int32)
    apart = [row for row, name in spoken.items() if name in own]
    heritage = inherit(old, clustering.labels, clustering.k, old_names, settled, apart)
    kept_numbers = {row: number for row, number in settled.items() if number is not None}
    kept_numbers |= {each.heir: each.number for each in heritage if each.heir is not None}
    numbers = fill_numbers({} if renumber else kept_numbers, clustering.k).tolist()
    names = {
        each.heir: old_names[each.number]
        for each in heritage
        if each.heir is not None and each.number in old_names
    }
    names |= {row: name for row, name in spoken.items() if name != str(numbered[row])}
    clusters = [NamedCluster(number, names.get(row, ""), 0) for row, number in enumerate(numbers)]
    kept = successors(heritage, numbers, old_names)
    order = np.argsort(numbers)
    called = {name: clusters[row].reference for row, name in spoken.items()}
    begun = tuple(sorted(numbers[row] for row in apart))
    return Identities(reorder(clustering, order), tuple(clusters[row] for row in order), kept, called, begun)


def successors(
    heritage: Sequence[Heritage], numbers: Sequence[int], names: Mapping[int, str]
) -> tuple[Successor, ...]:
    """Say what became of old clusters that had `names`; `numbers` are those of the new rows."""
    return tuple(
        Successor(
            each.number,
            names.get(each.number, ""),
            None if each.heir is None else numbers[each.heir],
            tuple(Share(numbers[row], share) for row, share in each.shares),
        )
        for each in heritage
    )


def what_happened(kept: Sequence[Successor]) -> str:
    """Say in one line what became of old clusters: those with names, and those that are not as before."""
    parts = [str(each) for each in kept if not _as_before(each)]
    if others := list(filter(_as_before, kept)):
        least = math.floor(100 * min(map(_left, others)))
        of_each = f" (at least {least} % of each)" if least < 100 else ""
        parts.append(f"{quantity(len(others), 'other' if parts else 'cluster')} as before{of_each}")
    return "; ".join(parts).replace(" %)", " % of its images)", 1)


def _as_before(cluster: Successor) -> bool:
    return not cluster.name and cluster.now == cluster.number and _left(cluster) > 1 - _WORTH_TELLING


def _left(cluster: Successor) -> float:
    """Give the share of its images that are in the cluster of its number still."""
    return sum(share.share for share in cluster.shares if share.number == cluster.number)
