"""How many images can be looked at together in the memory that there is for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcluster.records import EmbeddingSource, Preparation

_BYTES = 4 * 4
"""A fit holds the features, the points, a copy of them and its own working arrays, of 4 bytes a number."""
LEAST_MEMORY = 32 << 20
"""Less does not count: clusters that are found on fewer than thousands of images are worse (by 4 points where
1,000 of 1,500 photographs were looked at), and the libraries alone take more."""
_FEWEST_ROWS = 1000


def affordable_rows(
    sources: Sequence[EmbeddingSource], preparations: Sequence[Preparation], memory: int | None
) -> int:
    """Give how many of the N images of the sources can be looked at together; all of them for None."""
    count = len(sources[0].keys)
    if memory is None:
        return count
    dimension = sum(
        len(preparation.components) or source.dimension
        for preparation, source in zip(preparations, sources, strict=True)
    )
    return min(count, max(max(memory, LEAST_MEMORY) // (_BYTES * dimension), _FEWEST_ROWS))
