"""A flat map of points, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import find_nearest
from imgcluster.analysis.parallel import alone
from imgcluster.analysis.pca import principal_components

LARGEST_TSNE = 5000
"""t-SNE of so many points takes seconds; further ones are placed beside those that they resemble."""
_FEWEST_TSNE = 12


@dataclass(frozen=True)
class Projection:
    """A map.

    Attributes
    ----------
    xy
        (N, 2) float32.
    method
        How it was made: ``t-SNE``, ``PCA`` or ``line`` (fewer than three points).
    """

    xy: NDArray[np.float32]
    method: str


def project(points: NDArray[np.float32], seed: int = 0) -> Projection:
    """Lay points out in a plane so that neighbours stay neighbours; time grows linearly with their number.

    Parameters
    ----------
    points
        (N, d) float32, any N.
    seed
        Fixes the map.
    """
    if len(points) < 3:
        return Projection(np.eye(2, dtype=np.float32)[: len(points)], "line")
    if len(points) < _FEWEST_TSNE or find_spec("openTSNE") is None:
        return Projection(_principal_plane(points), "PCA")
    if len(points) <= LARGEST_TSNE:
        return Projection(_tsne(points, seed), "t-SNE")
    chosen = np.sort(np.random.default_rng(seed).choice(len(points), LARGEST_TSNE, replace=False))
    xy = _tsne(points[chosen], seed)
    return Projection(_place_beside(points, points[chosen], xy, seed), "t-SNE")


def _tsne(points: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    from openTSNE import TSNE

    start = _principal_plane(points).astype(np.float64)
    start *= 1e-4 / max(float(start[:, 0].std()), 1e-12)
    # Equal points need a spark of distance to be laid out at all.
    start += np.random.default_rng(seed).normal(scale=1e-6, size=start.shape)
    perplexity = min(30.0, (len(points) - 1) / 4)
    layout = TSNE(
        perplexity=perplexity, initialization=start, neighbors="exact", n_jobs=1, random_state=seed % 2**32
    )
    return np.asarray(alone(lambda: layout.fit(points.astype(np.float64))), np.float32)


def _principal_plane(points: NDArray[np.float32]) -> NDArray[np.float32]:
    found = principal_components(points, 2)
    plane = np.zeros((len(points), 2), np.float32)
    plane[:, : len(found.axes)] = (points - found.mean) @ found.axes.T
    return plane


def _place_beside(
    points: NDArray[np.float32], placed: NDArray[np.float32], xy: NDArray[np.float32], seed: int
) -> NDArray[np.float32]:
    """Give each point the place of the most similar placed point, a little beside it."""
    nearest = find_nearest(points, placed)
    aside = np.random.default_rng(seed).normal(size=(len(points), 2)).astype(np.float32)
    width = 0.005 * float(np.ptp(xy, axis=0).max())
    aside[nearest.distances == 0] = 0
    return np.asarray(xy[nearest.labels] + aside * width, np.float32)
