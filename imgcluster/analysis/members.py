"""The model of clusterers that know images only: a new one belongs where the most similar of these does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import find_nearest
from imgcluster.analysis.clusterer import Found

MOST_MEMBERS = 5_000
"""Of more images so many, a random sample, settle the clusters."""


@dataclass(frozen=True)
class NearestMember:
    """A `ClustererModel`.

    Attributes
    ----------
    members
        (n, d) float32: points.
    labels
        (n,) int32, -1 where one fits nowhere.
    """

    members: NDArray[np.float32]
    labels: NDArray[np.int32]

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[np.generic]]) -> NearestMember:
        """Make it of its arrays."""
        return cls(np.asarray(arrays["members"], np.float32), np.asarray(arrays["labels"], np.int32))

    def predict(self, points: NDArray[np.float32]) -> NDArray[np.int32]:
        """Give each point the label of the nearest member."""
        return self.labels[find_nearest(points, self.members).labels]

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Give the members and their labels."""
        return {"members": self.members, "labels": self.labels}


def found_among(
    points: NDArray[np.float32], members: NDArray[np.float32], labels: NDArray[np.integer]
) -> Found:
    """Give all points the labels that were found of some; equal points get equal ones."""
    model = NearestMember(np.array(members), labels.astype(np.int32))
    return model.predict(points), model
