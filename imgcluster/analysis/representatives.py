"""Which few images stand for many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def farthest_points(points: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Choose points that lie far from each other: k-centre greedy (Gonzalez 1985).

    Parameters
    ----------
    points
        (N, d) float32; of equally far ones the first is taken.
    count
        How many, at most; the first is the nearest to the mean.

    Returns
    -------
    NDArray
        Their rows, in the order in which they were chosen.
    """
    points = np.asarray(points, np.float64)
    gaps = np.square(points - points.mean(axis=0)).sum(axis=1)
    chosen = [int(gaps.argmin())]
    gaps = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        gaps = np.minimum(gaps, np.square(points - points[chosen[-1]]).sum(axis=1))
        gaps[chosen] = -1.0
        chosen.append(int(gaps.argmax()))
    return np.array(chosen, np.intp)
