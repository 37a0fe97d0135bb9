"""New images into the clusters of a finished clustering, without a refit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcluster.analysis.joining import apply_join
from imgcluster.analysis.nearest import find_nearest, prepare_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from imgcluster.records import ClusterModel, Embeddings


def assign(
    model: ClusterModel, embeddings: Sequence[Embeddings]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find each image's cluster; an image that was clustered gets its cluster again.

    Parameters
    ----------
    model
        Of a clustering.
    embeddings
        One (N, D) float32 per feature space of the model, in its order, the same images in each.

    Returns
    -------
    labels
        (N,) int32.
    distances
        (N,) float32, Euclidean, to the own centroid.
    """
    nearest = find_nearest(model_points(model, embeddings), model.centroids)
    return nearest.labels, nearest.distances


def model_points(model: ClusterModel, embeddings: Sequence[Embeddings]) -> NDArray[np.float32]:
    """Give the points in which a clustering measured its distances: (N, d) float32, for a map of them.

    Parameters
    ----------
    model
        Of a clustering.
    embeddings
        One (N, D) float32 per feature space of the model, in its order.
    """
    return apply_join(model.joint, prepare_all(model.preparations, embeddings))
