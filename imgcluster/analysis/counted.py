"""Embeddings whose reading can be watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcluster.records import Embeddings, EmbeddingSource, Keys, Progress


@dataclass(frozen=True)
class Counted:
    """Embeddings that are counted as they are read (an `EmbeddingSource`)."""

    source: EmbeddingSource
    progress: Progress

    @property
    def keys(self) -> Keys:
        """Those of the source."""
        return self.source.keys

    @property
    def dimension(self) -> int:
        """That of the source."""
        return self.source.dimension

    def blocks(self) -> Iterator[Embeddings]:
        """Yield the source's blocks, and count their rows."""
        for block in self.source.blocks():
            yield block
            self.progress.advance(len(block))
