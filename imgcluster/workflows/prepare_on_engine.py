"""Embeddings prepared by the workers of an engine, where the stores lie: only features come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.embeddings import key_order
from imgcluster.analysis.features import Prepared, Spread
from imgcluster.analysis.transforms import SAMPLED_ROWS
from imgcluster.child import ChildDied, TimedOut
from imgcluster.engines.protocol import Engine, in_order, result_of
from imgcluster.errors import ImgclusterError
from imgcluster.records import Embeddings, EmbeddingSource, StoredSpace
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.embedded_images import EmbeddedImages

_BLOCK_BYTES = 16 << 20
_TRIES = 3
"""So often a block is done again whose worker died."""


@dataclass(frozen=True)
class Block:
    """Images by their number, and for each space the stores, rows there and places in the block."""

    number: int
    images: int
    spaces: tuple[tuple[StoredSpace, tuple[tuple[str, NDArray[np.int64], NDArray[np.int64]], ...]], ...]


@dataclass(frozen=True)
class Prepare:
    """The job of workers that read the stores themselves."""

    work: Callable[[Sequence[Embeddings]], Prepared]
    lock: bool

    def start(self) -> Callable[[Block], Prepared]:
        """Open nothing yet: a worker has to do with few of the stores."""
        return partial(self._do, cache(partial(FeatureStore, lock=self.lock)))

    def _do(self, opened: Callable[[str], FeatureStore], block: Block) -> Prepared:
        embeddings = []
        for space, parts in block.spaces:
            rows = np.empty((block.images, space.dimension), np.float32)
            for path, numbers, places in parts:
                rows[places] = opened(path).rows_at(space.name, numbers)
            embeddings.append(rows)
        return self.work(embeddings)


def spread_over(
    engine: Engine, collection: EmbeddedImages, sources: Sequence[EmbeddingSource], *, lock: bool
) -> Spread | None:
    """Have an engine's workers prepare the embeddings of sources; None where they live in this process."""
    store, spaces = collection.store, collection.spaces
    if engine.shares_memory:
        return None
    keys = sources[0].keys
    first = keys[key_order(keys)[:SAMPLED_ROWS]]

    def each(work: Callable[[Sequence[Embeddings]], Prepared]) -> Iterator[Prepared]:
        held: dict[int, Prepared] = {}  # what was done again comes later
        following = 0
        blocks = _blocks(store, spaces, sources)
        for outcome in in_order(engine, Prepare(work, lock), blocks, tries=_TRIES):
            if isinstance(outcome.error, ChildDied | TimedOut):
                raise ImgclusterError(f"{_TRIES} workers died preparing the same embeddings: {outcome.error}")
            held[outcome.item.number] = result_of(outcome)
            while following in held:
                yield held.pop(following)
                following += 1

    return Spread([store.source(space.name, first) for space in spaces], each)


def _blocks(
    store: FeatureReader, spaces: Sequence[StoredSpace], sources: Sequence[EmbeddingSource]
) -> Iterator[Block]:
    """Cut the images, in the order of the sources, as they are cut where they are read here."""
    keys = sources[0].keys
    count = max(1, _BLOCK_BYTES // (4 * max(space.dimension for space in spaces)))
    for number, start in enumerate(range(0, len(keys), count)):
        block = keys[start : start + count]
        parts = []
        for space in spaces:
            rows = store.rows_of(space.name, block)
            order = np.argsort(rows)
            lying, at = [], 0
            for path, numbers in store.lying_at(space.name, rows[order]):
                lying.append((path, numbers, order[at : at + len(numbers)]))
                at += len(numbers)
            parts.append((space, tuple(lying)))
        yield Block(number, len(block), tuple(parts))
