"""The features of all images, prepared once, in the order of their keys: in memory, or in a memory map."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.embeddings import Watched, aligned, finite_rows, key_order
from imgcluster.analysis.transforms import PrepareSettings, fit_transform, transform
from imgcluster.errors import ImgclusterError, NotFinite
from imgcluster.records import Embeddings, EmbeddingSource, FeatureTransform, Progress

_SHARE = 4
"""The features, the points, a working copy and all else have a quarter of the memory each."""
_ZEROS = bytes(1 << 20)


@dataclass(frozen=True)
class Features:
    """Prepared embeddings, the spaces side by side.

    Attributes
    ----------
    transforms
        One per space.
    rows
        (N, w) float32 in the order of the keys, all finite.
    order
        (N,) for each row its place in the sources; fewer than these have where embeddings are not finite.
    """

    transforms: tuple[FeatureTransform, ...]
    rows: NDArray[np.float32]
    order: NDArray[np.intp]


Prepared = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""(n, w) features of a block of images, and (n,) which of them are finite."""


@dataclass(frozen=True)
class Spread:
    """A way to prepare embeddings where they lie, and not to bring them here.

    Attributes
    ----------
    samples
        One per space: the first `SAMPLED_ROWS` images in the order of their keys.
    each
        Gives what a function, one that can be pickled, makes of the embeddings of each space, a block of the
        same images at a time, in the order of the sources.
    """

    samples: Sequence[EmbeddingSource]
    each: Callable[[Callable[[Sequence[Embeddings]], Prepared]], Iterator[Prepared]]


def load_features(
    sources: Sequence[EmbeddingSource],
    prepare: PrepareSettings,
    memory: int | None,
    progress: Progress,
    spread: Spread | None = None,
) -> Features:
    """Fit each space's transform, and apply it to all embeddings.

    Parameters
    ----------
    sources
        One per feature space; the same keys in the same order in each.
    prepare
        How embeddings become features.
    memory
        Bytes that there are for it.
    progress
        Told about the stages.
    spread
        Where the embeddings are prepared; None: here.

    Raises
    ------
    NotFinite
        Where not one embedding is finite.
    """
    keys = sources[0].keys
    watched = [Watched(source, progress, memory) for source in sources]
    samples = [Watched(source, progress, memory) for source in spread.samples] if spread else watched
    progress.begin("preparing the features", sum(len(source.keys) for source in samples))
    transforms = tuple(fit_transform(source, prepare) for source in samples)
    progress.begin("reading the embeddings", len(keys) * len(sources))
    width = sum(len(t.components) or source.dimension for t, source in zip(transforms, sources, strict=True))
    rows = allocate((len(keys), width), memory)
    order = key_order(keys)
    place = np.argsort(order)
    sound = np.empty(len(keys), np.bool_)
    start = 0
    work = partial(prepare_block, transforms)
    for part, finite in spread.each(work) if spread else map(work, aligned(watched)):
        places = place[start : start + len(part)]
        rows[places], sound[places] = part, finite
        start += len(part)
        if spread:
            progress.advance(len(part) * len(sources))
    sound &= ~np.logical_or.reduce([source.broken for source in watched])[order]
    if not sound.all():
        if not sound.any():
            raise NotFinite
        rows, order = rows[sound], order[sound]
    return Features(transforms, rows, order)


def prepare_block(transforms: Sequence[FeatureTransform], block: Sequence[Embeddings]) -> Prepared:
    """Prepare the same images' embeddings of each space; what is not finite counts as zeros."""
    finite = [finite_rows(rows) for rows in block]
    sound = [
        rows if good.all() else np.where(good[:, None], rows, np.float32(0))
        for rows, good in zip(block, finite, strict=True)
    ]
    return transform_all(transforms, sound), np.logical_and.reduce(finite)


def transform_all(
    transforms: Sequence[FeatureTransform], embeddings: Sequence[Embeddings]
) -> NDArray[np.float32]:
    """Prepare the same images' embeddings of each space, and put them side by side: (N, sum of d) float32."""
    parts = [transform(*pair) for pair in zip(transforms, embeddings, strict=True)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def allocate(shape: tuple[int, int], memory: int | None) -> NDArray[np.float32]:
    """Make room for numbers: in memory, or, beyond its share of that, in a file without a name.

    Raises
    ------
    ImgclusterError
        Where there is no room on the disk.
    """
    size = 4 * shape[0] * shape[1]
    if memory is None or size <= memory // _SHARE:
        return np.empty(shape, np.float32)
    with tempfile.TemporaryFile(prefix="imgcluster-") as file:
        try:
            # A hole in a file is filled when it is written to, and ends the process where the disk is full.
            for start in range(0, size, len(_ZEROS)):
                file.write(_ZEROS[: size - start])
            file.flush()
        except OSError as error:
            raise ImgclusterError(
                f"no room for {size >> 20} MB in {tempfile.gettempdir()} ({error.strerror}): "
                "free some, or give more --memory"
            ) from error
        return np.memmap(file, np.float32, "r+", shape=shape)
