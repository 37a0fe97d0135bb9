"""Embeddings as they are read: in the order of their keys, looked through, held where they are few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgcluster.records import Embeddings, EmbeddingSource, Keys, Progress

_WORD = np.dtype(">u8")
_HELD_BYTES = 256 << 20


def key_order(keys: Keys) -> NDArray[np.intp]:
    """Give the rows in the order of their keys' bytes: row ``order[i]`` of (N, 32) uint8 has the i-th key.

    Keys are digests, so the first rows of that order are a random sample, whatever order the rows lie in.
    """
    return np.lexsort(np.ascontiguousarray(keys).view(_WORD).astype(np.uint64).reshape(len(keys), -1).T[::-1])


def finite_rows(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which rows of (N, D) hold finite numbers only: (N,) bool."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(rows.sum()):  # one number that is not would have spoilt the sum
            return np.ones(len(rows), np.bool_)
    return np.asarray(np.isfinite(rows).all(axis=1))


@dataclass(frozen=True)
class Watched:
    """Embeddings that are counted and looked through as they are read (an `EmbeddingSource`).

    Rows that are not finite come as zeros, and are known by `broken` from then on. What `memory` holds with
    ease is read once.
    """

    source: EmbeddingSource
    progress: Progress
    memory: int | None = None

    @property
    def keys(self) -> Keys:
        """Those of the source."""
        return self.source.keys

    @property
    def dimension(self) -> int:
        """That of the source."""
        return self.source.dimension

    @cached_property
    def broken(self) -> NDArray[np.bool_]:
        """(N,): which of the rows that were read are not finite."""
        return np.zeros(len(self.keys), np.bool_)

    def blocks(self) -> Iterator[Embeddings]:
        """Yield the source's blocks."""
        size = 4 * len(self.keys) * self.dimension
        hold = size <= _HELD_BYTES and (self.memory is None or size <= self.memory // 4)
        held, start = list(self._held), 0
        read: list[Embeddings] = []
        for block in held or self.source.blocks():
            finite = finite_rows(block)
            if not held:
                self.broken[start : start + len(block)] = ~finite
                start += len(block)
            sound = block if finite.all() else np.where(finite[:, None], block, np.float32(0))
            if hold:
                read.append(sound)
            yield sound
            self.progress.advance(len(block))
        if not self._held:  # only what was read to the end, and once where two read at a time
            self._held.extend(read)

    @cached_property
    def _held(self) -> list[Embeddings]:
        return []


def aligned(sources: Sequence[EmbeddingSource]) -> Iterator[list[Embeddings]]:
    """Yield the same rows of all sources at a time, as many as the smallest block holds."""
    streams = [source.blocks() for source in sources]
    held: list[Embeddings] = [np.zeros((0, 0), np.float32)] * len(streams)
    while True:
        for place, stream in enumerate(streams):
            if not len(held[place]):
                following = next(stream, None)
                if following is None:
                    return
                held[place] = following
        count = min(len(block) for block in held)
        yield [block[:count] for block in held]
        held = [block[count:] for block in held]
