"""Diff: what changed from one clustering to another, by the images that both hold."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np

from imgcluster.analysis.succession import inherit
from imgcluster.errors import ImgclusterError
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress
from imgcluster.tabular import Tabular
from imgcluster.workflows.cluster_identities import Successor, successors
from imgcluster.workflows.cluster_result import ClusterResult, read_clusters


@dataclass(frozen=True)
class ClusterChange(Successor):
    """What became of a cluster of the first clustering.

    `verdict` is ``stayed``, ``merged`` (most of it is in a cluster that is rather another one), or ``split``.
    """

    verdict: str


@dataclass(frozen=True, slots=True)
class MovedOn:
    """An image that is not where its old cluster is; `before` and `after` are numbers, -1: in no cluster."""

    path: str
    key: bytes
    before: int
    after: int
    silhouette: float


@dataclass(frozen=True)
class Difference(Tabular, rows="moved", of=MovedOn):
    """The clusters of the first, the images that moved, the least sure first, and how many one lacks."""

    clusters: tuple[ClusterChange, ...]
    moved: tuple[MovedOn, ...]
    only_in_first: int
    only_in_second: int


def diff(
    first: str | os.PathLike[str] | ClusterResult,
    second: str | os.PathLike[str] | ClusterResult,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> Difference:
    """Compare two clusterings, folders or results; images are known by their content.

    Raises
    ------
    ImgclusterError
        Where one is none, or they have no image in common.
    """
    (were, before), (are, after) = (read_clusters(one, owner, progress.note) for one in (first, second))
    old, new = ({placement.key: placement for placement in those} for those in (were, are))
    common = sorted(old.keys() & new.keys())
    if not common:
        raise ImgclusterError("the two clusterings have no image in common")
    numbers = [each.number for each in after]
    row_of = {number: row for row, number in enumerate(numbers)} | {-1: -1}
    heritage = inherit(
        np.array([old[key].cluster for key in common]),
        np.array([row_of[new[key].cluster] for key in common]),
        len(numbers),
    )
    clusters = tuple(
        ClusterChange(**vars(each), verdict=_verdict(each))
        for each in successors(heritage, numbers, {each.number: each.name for each in before})
    )
    now = {each.number: each.now for each in clusters} | {-1: -1}
    moved = [
        MovedOn(new[key].original, key, old[key].cluster, new[key].cluster, new[key].silhouette)
        for key in common
        if now[old[key].cluster] != new[key].cluster
    ]
    moved.sort(key=lambda image: (math.inf if math.isnan(image.silhouette) else image.silhouette, image.key))
    return Difference(clusters, tuple(moved), len(old.keys() - new.keys()), len(new.keys() - old.keys()))


def _verdict(of: Successor) -> str:
    if of.now is not None:
        return "stayed"
    return "merged" if of.shares and of.shares[0].share > 0.5 else "split"
