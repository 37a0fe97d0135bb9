"""Batches of one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcluster.records import Embeddings, Pixels


def embed_padded(
    run: Callable[[Pixels], Embeddings], pixels: Pixels, batch_size: int, size: int, part: int = 0
) -> Embeddings:
    """Run (n, S, S, 3) uint8 pixels, filled up with black images to whole parts; (n, D) float32.

    `part` is how many images are computed together, a divisor of `batch_size`, and by default all of it.

    ValueError where the pixels are not 1 to `batch_size` images of `size`.
    """
    count = len(pixels)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3) or not 1 <= count <= batch_size:
        raise ValueError(
            f"expected 1 to {batch_size} uint8 images of {size} x {size}, got {pixels.dtype} {pixels.shape}"
        )
    missing = -count % (part or batch_size)
    if missing:
        padding = np.zeros((missing, size, size, 3), np.uint8)
        pixels = np.concatenate((pixels, padding))
    return run(pixels)[:count]
