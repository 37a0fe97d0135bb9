"""Small sources and keys for the tests of the analysis."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.embeddings import Watched
from imgcluster.records import Embeddings, Keys, SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDING = {"rtol": 1e-5, "atol": 1e-5}
"""On some processors the last bits of a row's sums depend on the rows beside it."""


class Steps(SilentProgress):
    """A Progress that counts."""

    steps, total = 0, 0

    def begin(self, what: str, total: int | None = None) -> None:
        self.steps, self.total = 0, total or 0

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        self.steps += steps


@dataclass(frozen=True)
class ArraySource:
    """An EmbeddingSource over arrays, in blocks of any size."""

    keys: Keys
    rows: Embeddings
    block: int = 1 << 30

    @property
    def dimension(self) -> int:
        return int(self.rows.shape[1])

    def blocks(self) -> Iterator[Embeddings]:
        for start in range(0, len(self.rows), self.block):
            yield self.rows[start : start + self.block]

    def taken(self, order: NDArray[np.intp], block: int = 1 << 30) -> ArraySource:
        return ArraySource(self.keys[order], self.rows[order], block)


def watched(rows: Embeddings, block: int = 1 << 30, memory: int | None = None) -> Watched:
    return Watched(source_of(rows, block), SilentProgress(), memory)


def keys_of(count: int, salt: str = "") -> Keys:
    digests = [hashlib.sha256(f"{salt}{number}".encode()).digest() for number in range(count)]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(count, 32).copy()


def source_of(rows: Embeddings, block: int = 1 << 30) -> ArraySource:
    return ArraySource(keys_of(len(rows)), np.asarray(rows, np.float32), block)


def blobs(
    sizes: tuple[int, ...], dimension: int = 40, spread: float = 0.3, seed: int = 0
) -> tuple[Embeddings, NDArray[np.int32]]:
    """Rows around well separated random centres, as rectified features are: not negative."""
    random = np.random.default_rng(seed)
    centres = random.gamma(0.5, 1.0, (len(sizes), dimension))
    truth = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    truth = random.permutation(truth)
    rows = np.abs(centres[truth] + spread * random.normal(size=(len(truth), dimension)))
    return rows.astype(np.float32), truth
