"""Numbers and names that stay: a new clustering gets those of the one that the folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.succession import fill_numbers, inherit, reorder
from imgcluster.errors import quantity
from imgcluster.records import Clustering
from imgcluster.workflows.corrections import numbers_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcluster.workflows.standing import Standing

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
            return f"{who}: gone{where and f': {where}'}"
        verb = "still" if self.now == self.number else "now"
        return f"{who}: {verb} {self.now} ({first.share:.0%}".replace("%", " %)") + (where and f", {where}")


@dataclass(frozen=True)
class Identities:
    """Clusters in the order of their numbers.

    Attributes
    ----------
    numbers
        Of the clusters, in this order; they may have gaps.
    names
        Of those that have one, by their numbers.
    kept
        What became of each old cluster.
    called
        What edits call clusters from now on, by what they called them before.
    """

    clustering: Clustering
    numbers: list[int]
    names: dict[int, str]
    kept: tuple[Successor, ...]
    called: dict[str, str]


def keep_identities(
    before: Standing | None, clustering: Clustering, spoken: Mapping[int, str], *, renumber: bool
) -> Identities:
    """Give new clusters the numbers and names of the old ones that they are.

    Parameters
    ----------
    spoken
        What edits call the clusters of some rows: names, or numbers as text.
    renumber
        Names alone.

    """
    numbers_spoken = numbers_of(tuple(spoken.values()), before)
    settled = {row: numbers_spoken.get(name) for row, name in spoken.items()}
    old_names = {} if before is None else before.told.manifest.names
    placements = () if before is None else before.told.placements
    known = {image.key: image.cluster for image in placements}
    old = np.array([known.get(bytes(key), -1) for key in clustering.keys], np.int32)
    heritage = inherit(old, clustering.labels, clustering.k, old_names, settled)
    kept_numbers = {row: number for row, number in settled.items() if number is not None}
    kept_numbers |= {each.heir: each.number for each in heritage if each.heir is not None}
    numbers = fill_numbers({} if renumber else kept_numbers, clustering.k)
    names = {
        int(numbers[each.heir]): old_names[each.number]
        for each in heritage
        if each.heir is not None and each.number in old_names
    }
    names |= {int(numbers[row]): name for row, name in spoken.items() if name != str(settled[row])}
    kept = tuple(
        Successor(
            each.number,
            old_names.get(each.number, ""),
            None if each.heir is None else int(numbers[each.heir]),
            tuple(Share(int(numbers[row]), share) for row, share in each.shares),
        )
        for each in heritage
    )
    order = np.argsort(numbers)
    called = {name: names.get(int(numbers[row]), str(numbers[row])) for row, name in spoken.items()}
    return Identities(reorder(clustering, order), numbers[order].tolist(), names, kept, called)


def what_happened(kept: Sequence[Successor]) -> str:
    """Say in one line what became of old clusters: those with names, and those that are not as before."""
    told = [each for each in kept if each.name or each.now != each.number]
    parts = [str(each) for each in told]
    others = len(kept) - len(told)
    if others:
        parts.append(f"{quantity(others, 'other' if told else 'cluster')} as before")
    return "; ".join(parts).replace(" %)", " % of its images)", 1)
