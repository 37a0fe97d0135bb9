"""Which new cluster is which old one, by the images that they share."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgcluster.records import Clustering


@dataclass(frozen=True)
class Heritage:
    """What became of one old cluster.

    Attributes
    ----------
    number
        Its number.
    heir
        The row of the new cluster that is this one; None where none holds more than half of its images, or
        another old cluster has a better right to it.
    shares
        Row and share of its images, the largest share first; what fits nowhere is in none of them.
    """

    number: int
    heir: int | None
    shares: tuple[tuple[int, float], ...]


def inherit(
    before: NDArray[np.integer],
    after: NDArray[np.integer],
    k: int,
    favoured: Container[int] = (),
    settled: Mapping[int, int | None] | None = None,
    apart: Sequence[int] = (),
) -> tuple[Heritage, ...]:
    """Find for each old cluster the new one that holds more than half of its images, one to one.

    Parameters
    ----------
    before
        (N,) numbers of the old clusters of the images that both know; -1 for what fitted nowhere.
    after
        (N,) rows of their new clusters, below `k`, or -1.
    favoured
        Old clusters that go before others where two fall together; else the one with more images there does.
    settled
        Of rows whose old cluster is known otherwise that cluster, or None where they are none of them.
    apart
        Rows whose images a person put apart: no old cluster misses them.
    """
    settled = settled or {}
    numbers = np.unique(before[before >= 0])
    counts = {
        number: np.bincount(after[(before == number) & (after >= 0)], minlength=k) for number in numbers
    }
    totals = {number: np.count_nonzero(before == number) for number in numbers}
    rest = {number: np.where(np.isin(np.arange(k), apart), 0, counts[number]) for number in numbers}
    rights = sorted(numbers, key=lambda number: (number not in favoured, -rest[number].max(), number))
    heirs = {number: row for row, number in settled.items() if number is not None}
    for number in rights:
        row, put_apart = int(rest[number].argmax()), counts[number].sum() - rest[number].sum()
        taken = number in heirs or row in settled or row in heirs.values()
        if 2 * rest[number][row] > totals[number] - put_apart and not taken:
            heirs[int(number)] = row
    return tuple(
        Heritage(
            int(number),
            heirs.get(int(number)),
            tuple(
                (int(row), float(counts[number][row] / totals[number]))
                for row in np.argsort(-counts[number], kind="stable")
                if counts[number][row]
            ),
        )
        for number in numbers
    )


def fill_numbers(kept: Mapping[int, int], k: int) -> NDArray[np.int32]:
    """(k,): rows keep the numbers that they have, the others get the lowest that are free."""
    free = iter(sorted(set(range(k + len(kept))) - set(kept.values())))
    return np.array([kept[row] if row in kept else next(free) for row in range(k)], np.int32)


def reorder(clustering: Clustering, order: NDArray[np.integer]) -> Clustering:
    """Put the clusters, (k,) of them, into another order; images keep theirs."""
    place = np.empty(len(order) + 1, np.int32)
    place[order], place[-1] = np.arange(len(order)), -1  # what fits nowhere has the label -1
    model = clustering.model
    model = replace(model, centroids=model.centroids[order], numbers=model.numbers[order])
    return replace(clustering, labels=place[clustering.labels], model=model)


def follow(labels: Sequence[NDArray[np.integer]]) -> tuple[NDArray[np.int32], ...]:
    """Follow clusters through several clusterings: each keeps the number of the one that it came from.

    Parameters
    ----------
    labels
        (N,) rows from 0 on, or -1, of the same images each time.

    Returns
    -------
    tuple
        (N,) int32 each; of the parts of a cluster, the largest keeps its number, and others get new ones.
    """
    followed: list[NDArray[np.int32]] = []
    fresh = 0
    for rows in labels:
        k = int(rows.max(initial=-1)) + 1
        kept: dict[int, int] = {}
        both = np.zeros((fresh, k), np.int64)
        if followed:
            inside = (rows >= 0) & (followed[-1] >= 0)
            np.add.at(both, (followed[-1][inside], rows[inside]), 1)
        for place in np.argsort(-both, axis=None, kind="stable")[: np.count_nonzero(both)]:
            number, row = divmod(int(place), k)
            if row not in kept and number not in kept.values():
                kept[row] = number
        numbers = np.full(k + 1, -1, np.int32)
        for row in range(k):
            numbers[row] = kept.get(row, fresh)
            fresh = max(fresh, int(numbers[row]) + 1)
        followed.append(numbers[rows])
    return tuple(followed)
