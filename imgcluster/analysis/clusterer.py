"""What a clusterer is: points to labels, and a model that predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.features import allocate
from imgcluster.analysis.spaces import Space, Spaces

DEFAULT_ALGORITHM = "kmeans-or-mixture"
NOWHERE = -1
"""The label of a point that fits in no cluster."""


LeaveOut = float | Literal["auto"] | None
"""Which images are in no cluster: `ClusterSettings` says more."""


@dataclass(frozen=True)
class ClusterSettings:
    """How clusters are found.

    Attributes
    ----------
    k
        How many clusters.
    algorithm
        Name of a clusterer.
    seed
        Any integer; fixes everything. The default algorithm begins alike for all where `restarts` is None.
    restarts
        How many; None: as many as a fixed budget of work allows, with exchanges of centroids. 1: one run, as
        it comes.
    memory
        Bytes that embeddings and points may take; what takes more lies in a file. None: no limit.
    leave_out
        Share of the images that fit nowhere; auto: those in clusters of strangers, if there are any. 0, None:
        every image is in a cluster, if the algorithm has it so.
    quick
        Whether two restarts at most are enough, as of halves of the images, which are compared alone.
    """

    k: int
    algorithm: str = DEFAULT_ALGORITHM
    seed: int = 0
    restarts: int | None = None
    memory: int | None = None
    leave_out: LeaveOut = None
    quick: bool = False


class ClustererModel(Protocol):
    """Clusters as they were found."""

    def predict(self, points: NDArray[np.float32]) -> NDArray[np.int32]:
        """Give the label of each of (N, d) points: (N,) ints, -1 where one fits nowhere."""

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Give all of it as arrays of numbers or text, for a file that is never a pickle."""


Found = tuple[NDArray[np.int32], ClustererModel]
"""(N,) labels, any numbers from 0 on, -1 where a point fits nowhere; and the model that predicts them."""


class Clusterer(Protocol):
    """A way to find clusters."""

    def fit(self, points: NDArray[np.float32], weights: NDArray[np.int64]) -> Found:
        """Find clusters.

        Parameters
        ----------
        points
            (N, d) float32, finite, one row per distinct image, in the order of their keys: so nothing depends
            on the order of files, and the first rows are a random sample. May lie in a memory map.
        weights
            (N,): how many files show each image.
        """


@dataclass(frozen=True)
class FoundIn:
    """Labels (N,) and a model, as of `Clusterer.fit`, and the space whose points the model predicts."""

    labels: NDArray[np.int32]
    model: ClustererModel
    space: Space


def find_within(spaces: Spaces, inside: NDArray[np.bool_], find: Callable[[Spaces], FoundIn]) -> FoundIn:
    """Find clusters of some of the images, (N,) bool; the others fit nowhere."""
    if inside.all():
        return find(spaces)
    places = np.flatnonzero(inside)
    rows = allocate((len(places), spaces.rows.shape[1]), spaces.memory)
    found = find(replace(spaces, rows=np.take(spaces.rows, places, axis=0, out=rows)))
    labels = np.full(len(inside), NOWHERE, np.int32)
    labels[inside] = found.labels
    return FoundIn(labels, found.model, spaces.made(found.space.step))


@runtime_checkable
class SpacesClusterer(Clusterer, Protocol):
    """A clusterer that looks for clusters in several spaces, such as those that its clusters make narrow."""

    def fit_spaces(self, spaces: Spaces, weights: NDArray[np.int64]) -> FoundIn:
        """Find clusters, and say in which space."""


@dataclass(frozen=True)
class ClustererKind:
    """A clusterer as the table of them names it.

    Attributes
    ----------
    make
        How it is made.
    load
        How its model comes back from arrays.
    finds_k
        Whether it finds the number of clusters itself, and does not look at k.
    """

    make: Callable[[ClusterSettings], Clusterer]
    load: Callable[[Mapping[str, NDArray[np.generic]]], ClustererModel]
    finds_k: bool = False
