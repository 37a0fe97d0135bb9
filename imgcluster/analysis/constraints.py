"""Clusters that hold what people say: seeded k-means with constraints (Basu, Banerjee and Mooney 2002).

It goes on from the clusters that any clusterer found. Each group of seeds takes the cluster that most of them
are in, or one of its own; where people began one with some images of another, it gets what is like them, and
the other one keeps the rest. Then seeds stay where they were put, and count more than others in the means.
Where people corrected clusters, what they said spreads to neighbours: an image is where both a mixture and
the images nearest to it say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from imgcluster.analysis.centroids import cluster_sums, distances_to, find_nearest, means_of
from imgcluster.analysis.clusterer import FoundIn, find_within
from imgcluster.analysis.kmeans import NearestCentroid
from imgcluster.analysis.neighbour_graph import neighbour_graph, normalised_cut
from imgcluster.analysis.spaces import Space, Spaces

OUTSIDE = -2
"""The group of an image that is to be in no cluster."""
_ROUNDS = 3
_ITERATIONS = 50
_SPREADINGS = 6
_NEIGHBOURS = 7
_TRUST = 0.15
"""The power to which a mixture's likelihood counts: it takes each of some 64 numbers for news."""
_DOUBT = 0.1
"""The share of the neighbours that any cluster has."""
_SAMPLE = 1 << 13
_NO_IMAGE = 1e-9
_SEED_WEIGHT = 5.0
"""So many times an image counts in the mean of its cluster where a person put it there."""
_PIN_VOTES = 3
"""So many times more than one that was there before, a seed counts where groups choose their clusters."""
_REACHES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15)
"""A cluster that people begin gets images that are nearer to its seeds than so many times the way to the
centroid of theirs: as far as the clearest border among these,"""
_CLEAR_BORDER, _SHORT_REACH = 0.15, 0.75
"""if so small a share of edges crosses it (normalised cut); else there is none: few are like the seeds."""


@dataclass(frozen=True)
class Constraints:
    """What people say about images, one row for each of N.

    Attributes
    ----------
    pinned
        (N,) int32: the group whose cluster an image is in, or -1; `OUTSIDE`: it is in none.
    barred
        (N, groups) bool: the groups in whose clusters an image must not be.
    before
        (N,) int32: the group in whose cluster an image was before, or -1; it need not stay there. Numbers
        from `groups` on are those of clusters of which nobody speaks.
    own
        The groups whose clusters people began themselves, so that no clusterer need find them.
    seeded
        Whether groups start at the means of their images, not at clusters that were found.
    """

    pinned: NDArray[np.int32]
    barred: NDArray[np.bool_]
    before: NDArray[np.int32]
    own: frozenset[int] = frozenset()
    seeded: bool = False

    @property
    def groups(self) -> int:
        """How many there are."""
        return int(self.barred.shape[1])

    @property
    def outside(self) -> int:
        """How many images are in no cluster."""
        return int((self.pinned == OUTSIDE).sum())

    def of(self, rows: NDArray[np.intp]) -> Constraints:
        """Give those of some images, in their order."""
        return replace(self, pinned=self.pinned[rows], barred=self.barred[rows], before=self.before[rows])

    def among(self, k: int) -> Constraints:
        """Give the same for k clusters: what must not be in any of them is outside."""
        nowhere = self.barred.all(axis=1) & (self.groups == k)
        return replace(self, pinned=np.where(nowhere, OUTSIDE, self.pinned).astype(np.int32))


def leave_room(k: int, find: Callable[[int], FoundIn], constraints: Constraints) -> FoundIn:
    """Find as many clusters as leave room, among k, for those of people's own that are not found."""
    for count in range(max(k - len(constraints.own), 1), k + 1):
        found = find(count)
        if count + len(constraints.own - _claims(found.labels, constraints).keys()) >= k:
            break
    return found


def count_together(labels: NDArray[np.int32], constraints: Constraints) -> int:
    """Count the clusters that were found and those of groups that are none of them."""
    unclaimed = {*range(constraints.groups)} - _claims(labels, constraints).keys()
    return int(labels.max(initial=-1)) + 1 + len(unclaimed)


def constrain(
    spaces: Spaces, labels: NDArray[np.int32], constraints: Constraints, *, fuse: bool = True
) -> FoundIn:
    """Go on from the labels of clusters until the constraints hold.

    Parameters
    ----------
    spaces
        Their k is at least the number of groups.
    labels
        (N,) ints, -1 for what fits nowhere.
    fuse
        Whether directions are chosen again by the clusters found.

    Returns
    -------
    FoundIn
        Group g is cluster g; the other clusters follow.
    """
    inside = (labels >= 0) | (constraints.pinned >= 0)
    if not inside.all():
        those = constraints.of(np.flatnonzero(inside))
        return find_within(spaces, inside, lambda part: constrain(part, labels[inside], those, fuse=fuse))
    space = spaces.plain if fuse else Space(spaces.rows)
    start = _start(space.points, labels, constraints, spaces.k)
    if start.begun is not None and fuse:
        found = _numbered(start.begun, start.centroids, space, constraints)
        return _spread(spaces, found, constraints) or found
    anew, centroids = _lloyd(space.points, start.centroids, constraints)
    if not fuse:
        return _numbered(anew, centroids, space, constraints)
    tried = [_narrowed(spaces, anew, constraints)]
    if start.taken is not None:
        tried.insert(0, _narrowed(spaces, start.taken, constraints))
    pinned = constraints.pinned >= 0
    # The clusters as they were tried, unless others say more of the seeds by themselves.
    agreement = [
        np.count_nonzero(find_nearest(space.points[pinned], centroids).labels == constraints.pinned[pinned])
        for _, centroids, space in tried
    ]
    labels, centroids, space = tried[int(np.argmax(agreement))]
    found = _numbered(labels, centroids, space, constraints)
    return found if constraints.seeded or not pinned.any() else _spread(spaces, found, constraints) or found


def _spread(spaces: Spaces, found: FoundIn, constraints: Constraints) -> FoundIn | None:
    """Let labels spread along the graph of neighbours; None if a cluster loses all images.

    Soft labels are those of the neighbours times the likelihood in a mixture, which is fitted to them anew
    after each step. The model is that mixture: of images that are new, or beyond the sample, it knows no
    neighbours.
    """
    pinned = constraints.pinned >= 0
    rows = np.union1d(np.arange(min(len(pinned), _SAMPLE)), np.flatnonzero(pinned)[:_SAMPLE])
    part, said = replace(spaces, rows=spaces.rows[rows]), constraints.of(rows)
    graph = neighbour_graph(part.rows, _NEIGHBOURS).astype(np.float64)
    degrees = np.maximum(graph.sum(axis=1), 1)[:, None]
    corrected = said.pinned >= 0
    weights = np.where(corrected, _SEED_WEIGHT, 1.0)[:, None]
    k = max(int(found.labels.max()) + 1, constraints.groups)
    soft = np.eye(k)[found.labels[rows]]
    for _ in range(_SPREADINGS):
        space = part.narrowed(soft.argmax(axis=1).astype(np.int32), unit=False)
        points = space.points.astype(np.float64)
        counts = np.maximum((weights * soft).sum(axis=0), _NO_IMAGE)
        centroids = (weights * soft).T @ points / counts[:, None]
        # What people pointed at is no random sample: it says nothing of how large clusters are.
        shares = np.maximum(soft[rows < _SAMPLE].sum(axis=0), _NO_IMAGE)
        penalties = -2 * np.log(shares / shares.sum())
        gaps = cdist(points, centroids, "sqeuclidean") + penalties
        _bar(gaps, said)
        likely = np.exp(_TRUST * (gaps.min(axis=1, keepdims=True) - gaps) / 2)
        soft = likely * ((graph @ soft) / degrees + _DOUBT)
        soft /= soft.sum(axis=1, keepdims=True)
        soft[corrected] = np.eye(k)[said.pinned[corrected]]
    space = spaces.made(space.step)
    model = NearestCentroid(centroids.astype(np.float32), penalties.astype(np.float32))
    labels = _held(space.points, model, constraints)
    labels[rows] = soft.argmax(axis=1)
    return FoundIn(labels, model, space) if np.bincount(labels, minlength=k).all() else None


def _held(points: NDArray[np.float32], model: NearestCentroid, constraints: Constraints) -> NDArray[np.int32]:
    """Give each point its nearest centroid's label, or the one that people said."""
    labels = model.predict(points)
    barred = np.flatnonzero(constraints.barred.any(axis=1))
    if len(barred):
        gaps = cdist(points[barred], model.centroids, "sqeuclidean")
        gaps = gaps if model.penalties is None else gaps + model.penalties
        _bar(gaps, constraints.of(barred))
        labels[barred] = gaps.argmin(axis=1)
    pinned = constraints.pinned >= 0
    labels[pinned] = constraints.pinned[pinned]
    return labels


def _bar(gaps: NDArray[np.floating], constraints: Constraints) -> None:
    """Put out of reach the clusters in which images must not be."""
    gaps[:, : constraints.groups][constraints.barred] = np.inf


def _narrowed(
    spaces: Spaces, labels: NDArray[np.int32], constraints: Constraints
) -> tuple[NDArray[np.int32], NDArray[np.float32], Space]:
    for _ in range(_ROUNDS):
        space = spaces.narrowed(labels)
        labels, centroids = _lloyd(space.points, _means(space.points, labels, constraints, None), constraints)
    return labels, centroids, space


def _numbered(
    labels: NDArray[np.int32], centroids: NDArray[np.float32], space: Space, constraints: Constraints
) -> FoundIn:
    used = np.unique(np.concatenate([np.arange(constraints.groups), labels]))
    return FoundIn(np.searchsorted(used, labels).astype(np.int32), NearestCentroid(centroids[used]), space)


def _claims(labels: NDArray[np.int32], constraints: Constraints) -> dict[int, int]:
    """Give groups the clusters that most of their images are in, one to one.

    So do clusters of which nobody speaks, before groups of people's own: these get what no other one is.
    """
    groups, own = constraints.groups, constraints.own
    before = np.where((constraints.before >= groups) & (constraints.pinned >= 0), -1, constraints.before)
    count = max(groups, int(before.max(initial=-1)) + 1)
    votes = np.zeros((count, max(int(labels.max(initial=-1)) + 1, 1)))
    for said, weight in ((constraints.pinned, _PIN_VOTES), (before, 1)):
        both = (said >= 0) & (labels >= 0)
        np.add.at(votes, (said[both], labels[both]), weight)
    taken: dict[int, int] = {}
    order = np.argsort(-votes, axis=None, kind="stable")
    for those in ({*range(groups)} - own, {*range(groups, count)}, own):
        for place in order:
            group, cluster = divmod(int(place), votes.shape[1])
            enough = votes[group, cluster] and 2 * votes[group, cluster] >= votes[group].sum()
            if group in those and enough and group not in taken and cluster not in taken.values():
                taken[group] = cluster
    return taken


@dataclass(frozen=True)
class _Start:
    """Where to go on from.

    Attributes
    ----------
    centroids
        (k, d) or fewer: those of the groups, then those of the clusters that no group takes.
    taken
        (N,) labels with such numbers, if every group takes a cluster that was found, and none is given up.
    begun
        The same where the other groups begin clusters of people's own.
    """

    centroids: NDArray[np.float32]
    taken: NDArray[np.int32] | None = None
    begun: NDArray[np.int32] | None = None


def _start(
    points: NDArray[np.float32], labels: NDArray[np.int32], constraints: Constraints, k: int
) -> _Start:
    count, groups = int(labels.max(initial=-1)) + 1, constraints.groups
    means = means_of(points, labels, count)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    taken = {group: cluster for group, cluster in _claims(labels, constraints).items() if group < groups}
    left = [cluster for cluster in range(count) if cluster not in taken.values()]
    if (constraints.before < 0).all() and not constraints.seeded:
        taken |= _nearest(points, means, left, constraints, [g for g in range(groups) if g not in taken])
        left = [cluster for cluster in left if cluster not in taken.values()]
    own = []
    for group in range(groups):
        seeds = points[constraints.pinned == group]
        if group in taken and not (constraints.seeded and len(seeds)):
            own.append(means[taken[group]])
        elif len(seeds):
            own.append(seeds.mean(axis=0))
        else:
            own.append(points[constraints.before == group].mean(axis=0))
    apart = sorted({*range(groups)} - {*taken})
    renamed = None
    if not constraints.seeded and constraints.own.issuperset(apart) and len(left) <= max(k - groups, 0):
        number = {cluster: group for group, cluster in taken.items()}
        number |= {cluster: groups + place for place, cluster in enumerate(left)}
        renamed = np.array([*(number[cluster] for cluster in range(count)), -1], np.int32)[labels]
        for group in apart:
            renamed[_alike(points, renamed, constraints.pinned == group)] = group
        pinned = constraints.pinned >= 0
        renamed[pinned] = constraints.pinned[pinned]
    while len(left) > max(k - groups, 0):
        others = np.stack([*own, *means[left]])
        left.pop(_least_missed(means[left], sizes[left], others))
    centroids = np.concatenate([np.stack(own), means[left]]).astype(np.float32)
    if renamed is None or not apart:
        return _Start(centroids, taken=renamed)
    return _Start(_means(points, renamed, constraints, centroids), begun=renamed)


def _alike(
    points: NDArray[np.float32], labels: NDArray[np.int32], seeds: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Give the rows of what is like the seeds in the clusters that these are in."""
    part = np.flatnonzero(np.isin(labels, np.unique(labels[seeds])))
    near = np.linalg.norm(points[part] - points[seeds].mean(axis=0), axis=1)
    means = means_of(points, labels, int(labels.max()) + 1)
    ways = near / np.maximum(distances_to(points[part], means, labels[part]), _NO_IMAGE)
    ways[seeds[part]] = 0
    few = np.union1d(np.arange(min(len(part), _SAMPLE)), np.flatnonzero(seeds[part])[:_SAMPLE])
    graph = neighbour_graph(points[part[few]])
    sides = [(ways[few] < reach).astype(np.int32) for reach in _REACHES]
    cuts = [np.inf if side.all() else normalised_cut(graph, side) for side in sides]
    reach = _REACHES[int(np.argmin(cuts))] if min(cuts) < _CLEAR_BORDER else _SHORT_REACH
    return np.asarray(part[ways < reach], np.intp)


def _nearest(
    points: NDArray[np.float32],
    means: NDArray[np.float32],
    left: list[int],
    constraints: Constraints,
    groups: list[int],
) -> dict[int, int]:
    """Give groups the clusters that are left, the nearest to their seeds."""
    if not groups or not left:
        return {}
    seeds = np.stack([points[constraints.pinned == group].mean(axis=0) for group in groups])
    gaps = cdist(seeds, means[left], "sqeuclidean")
    return {groups[row]: left[column] for row, column in zip(*linear_sum_assignment(gaps), strict=True)}


def _least_missed(means: NDArray[np.float32], sizes: NDArray[np.integer], others: NDArray[np.float32]) -> int:
    """Give the cluster whose images lie nearest to another one: what they would lose (Ward 1963)."""
    gaps = cdist(means, others, "sqeuclidean")
    gaps[gaps == 0] = np.inf
    return int(np.argmin(sizes * gaps.min(axis=1)))


def _lloyd(
    points: NDArray[np.float32], centroids: NDArray[np.float32], constraints: Constraints
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    before = None
    for _ in range(_ITERATIONS):
        labels = _held(points, NearestCentroid(centroids), constraints)
        if before is not None and np.array_equal(labels, before):
            break
        before = labels
        centroids = _means(points, labels, constraints, centroids)
    return labels, centroids


def _means(
    points: NDArray[np.float32],
    labels: NDArray[np.int32],
    constraints: Constraints,
    centroids: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """Give the means of clusters, seeds counting more; empty ones keep their centroids."""
    k = len(centroids) if centroids is not None else max(int(labels.max()) + 1, constraints.groups)
    pinned = constraints.pinned >= 0
    extra = _SEED_WEIGHT - 1
    sums = cluster_sums(points, labels, k) + extra * cluster_sums(points[pinned], labels[pinned], k)
    counts = np.bincount(labels, minlength=k) + extra * np.bincount(labels[pinned], minlength=k)
    means = sums / np.maximum(counts, 1)[:, None]
    if centroids is not None:
        means[counts == 0] = centroids[counts == 0]
    return means.astype(np.float32)
