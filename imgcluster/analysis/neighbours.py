"""The images that are most similar to one, by exact cosines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.embeddings import key_order
from imgcluster.analysis.transforms import unit_length
from imgcluster.records import EmbeddingSource


def most_similar(
    query: NDArray[np.float32], source: EmbeddingSource, top: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Find the rows most similar to a query.

    Parameters
    ----------
    query
        (D,) float32.
    source
        N embeddings.
    top
        How many at most.

    Returns
    -------
    indices
        (min(top, N),) rows of the source, the most similar first; equally similar ones by their key.
    cosines
        (min(top, N),) float32. A row of zeros is similar to nothing: 0.
    """
    wanted = unit_length(query[None])[0]
    # Row by row, for equal rows are to be equally similar to the last bit.
    parts = [np.einsum("ij,j->i", unit_length(block), wanted) for block in source.blocks()]
    cosines = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    rank = np.empty(len(cosines), np.intp)
    rank[key_order(source.keys)] = np.arange(len(cosines))
    best = np.lexsort((rank, -cosines))[: max(top, 0)]
    return best, cosines[best]
