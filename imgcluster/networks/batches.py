"""Batches of one shape, and of no more images than memory can take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.records import Embeddings, Pixels

_OUT_OF_MEMORY = re.compile(
    r"out of memory|\bOOM\b|bad_alloc|ResourceExhausted|(can|could) ?no?t allocate|fail\w* to allocate",
    re.IGNORECASE,
)


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


@contextmanager
def memory_explained(batch_size: int) -> Iterator[None]:
    """Around calls of a library: turn its word for too little memory into an ImgclusterError.

    Libraries have errors of their own for that, some of which differ from others in the message only.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(
            f"{type(error).__name__}: {error}"
        ):
            raise
        raise ImgclusterError(
            f"there is too little memory to embed {batch_size} images at once: lower --batch-size, or close "
            "other programs"
        ) from error
