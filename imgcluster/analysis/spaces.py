"""The spaces in which clusters are looked for: the features of all images, and the points made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.features import allocate
from imgcluster.analysis.fusion import pca_whiten, whiten_within_clusters
from imgcluster.analysis.transforms import transform
from imgcluster.records import FeatureTransform


@dataclass(frozen=True)
class Space:
    """Points of all images, (N, d) float32, and the step that makes them of features, if there is one."""

    points: NDArray[np.float32]
    step: FeatureTransform | None = None


SmallClusters = dict[tuple[bytes, int, int], tuple[NDArray[np.int32], NDArray[np.float32]]]
"""By a digest of points, the number of clusters and that of restarts: labels and centroids."""


@dataclass(frozen=True)
class Spaces:
    """Features, and what can be made of them.

    Attributes
    ----------
    rows
        (N, w) float32, one row per distinct image, in the order of their keys: so nothing depends on the
        order of files, and the first rows are a random sample. May lie in a memory map.
    k
        How many clusters are looked for.
    memory
        Bytes that there are for points.
    small
        Small clusters found so far: those for another k are often the same.
    """

    rows: NDArray[np.float32]
    k: int
    memory: int | None = None
    small: SmallClusters = field(default_factory=dict)

    @cached_property
    def plain(self) -> Space:
        """The one in which clusters are first looked for."""
        return self.made(pca_whiten(self.rows, self.k))

    def narrowed(self, labels: NDArray[np.int32], *, unit: bool | None = None) -> Space:
        """Make directions narrow in which these clusters are wide; `unit` as in `whiten_within_clusters`."""
        return self.made(whiten_within_clusters(self.rows, labels, self.k, unit=unit))

    def made(self, step: FeatureTransform | None) -> Space:
        """Give the space that a step leads to; without one, that of the features."""
        if step is None:
            return Space(self.rows)
        width = len(step.components) or self.rows.shape[1]
        return Space(transform(step, self.rows, allocate((len(self.rows), width), self.memory)), step)

    def sample(self, count: int) -> Spaces:
        """Give a random sample of the images."""
        return Spaces(self.rows[:count], self.k, small=self.small)
