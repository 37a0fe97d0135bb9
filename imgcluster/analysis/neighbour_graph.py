"""The graph of each point's nearest neighbours, and how many of its edges a clustering cuts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from imgcluster.analysis.parallel import alone

NEIGHBOURS = 15
_SEVERAL = (7, 10, 15)


def neighbour_graph(points: NDArray[np.float32], neighbours: int = NEIGHBOURS) -> csr_array:
    """Join each of (N, d) points with its nearest: (N, N), 2 where each is the other's neighbour, else 1."""
    from sklearn.neighbors import kneighbors_graph

    count = min(neighbours, len(points) - 1)
    if not count:
        return csr_array((len(points), len(points)))
    edges = csr_array(alone(lambda: kneighbors_graph(points, count)))
    return edges + edges.T


def normalised_cut(graph: csr_array, labels: NDArray[np.int32]) -> float:
    """Give the share of a cluster's edges that leave it, in the mean of the clusters (Shi and Malik 2000)."""
    return float(np.nanmean(cluster_cuts(graph, labels)))


def cluster_cuts(graph: csr_array, labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Give for each cluster the share of its edges that leave it: (k,), NaN for one without edges."""
    edges = graph.tocoo()
    k = int(labels.max()) + 1
    ends = labels[edges.row]
    volumes = np.bincount(ends, edges.data, k)
    inside = np.bincount(ends, edges.data * (ends == labels[edges.col]), k)
    with np.errstate(invalid="ignore"):
        return np.asarray(1 - inside / volumes, np.float64)


def eigengaps(points: NDArray[np.float32], most: int) -> NDArray[np.float64]:
    """Tell for each k by how much the graph falls apart into k groups rather than into more.

    Of k groups that hardly touch, the k least eigenvalues of the normalised Laplacian are small, the next
    is not (von Luxburg 2007, "A tutorial on spectral clustering"). The graph joins several numbers of
    neighbours: of one alone gaps come and go by chance.

    Parameters
    ----------
    points
        (N, d).
    most
        The largest k.

    Returns
    -------
        (most + 1,): at place k the eigenvalue after the k-th one less that one; 0 at place 0, and from N on.
    """
    from scipy.linalg import eigh
    from scipy.sparse.csgraph import laplacian

    gaps = np.zeros(most + 1)
    count = min(most, len(points) - 1)
    if count:
        graph = sum(neighbour_graph(points, each) for each in _SEVERAL)
        normalised = laplacian(graph.toarray().astype(np.float64), normed=True)
        values = alone(lambda: eigh(normalised, eigvals_only=True, subset_by_index=[0, count]))
        gaps[1 : count + 1] = np.diff(values)
    return gaps
