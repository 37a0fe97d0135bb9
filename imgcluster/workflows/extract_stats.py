"""What an extraction has done so far, counted in files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from imgcluster.errors import quantity
from imgcluster.records import Failure, Progress
from imgcluster.workflows.pipeline import Batch, KnownKeys

_MOST_NOTES = 10
_FEWEST_BATCHES = 3
"""One slow file among fewer would decide about the speed."""


class ExtractStats:
    """Counts, measures the speed from the first batch to the last, and passes the first notes on.

    `cached` and `failures` are those of the files that need not be read.
    """

    def __init__(self, cached: int, failures: Sequence[Failure], progress: Progress) -> None:
        self.cached = cached
        self.failures = [*failures]
        self.new = self.duplicates = self.with_pages = self.same_picture = 0
        self.provenance: Mapping[str, str] = {}
        self.progress = progress
        self._notes = 0
        self._batches: list[tuple[float, int]] = []

    def count(self, batch: Batch, known: KnownKeys) -> None:
        """Add what became of the files of a batch."""
        cached = sum(known.is_stored(entry.key) for entry in batch.entries)
        cached += sum(known.is_stored(shown) for _, shown in batch.copies)
        self.same_picture += len(batch.copies)
        self.new += len(batch.keys)
        self.cached += cached
        self.duplicates += len(batch.entries) - cached - len(batch.keys)
        self.failures += batch.failures
        self.with_pages += batch.with_pages
        for note in batch.notes[: max(_MOST_NOTES - self._notes, 0)]:
            self.progress.note(note)
        self._notes += len(batch.notes)
        if len(batch.keys):
            self.provenance = batch.provenance
            self._batches.append((time.perf_counter(), len(batch.keys)))
        self.progress.advance(len(batch.paths), failed=len(batch.failures))

    def summarise_notes(self) -> None:
        """Say how many notes were not passed on, and how many files have more than what was looked at."""
        if self.same_picture:
            pictures = quantity(self.same_picture, "picture")
            self.progress.note(f"{pictures} with other metadata than before: the embedding is the same")
        if self.with_pages:
            has = "has" if self.with_pages == 1 else "have"
            self.progress.note(
                f"{quantity(self.with_pages, 'TIFF')} {has} further pages: only the first is looked at"
            )
        if self._notes > _MOST_NOTES:
            self.progress.note(f"… and {self._notes - _MOST_NOTES} more files with such remarks")

    @property
    def images_per_second(self) -> float | None:
        """From the first to the last whole batch; None where these are too few for a speed."""
        sizes = [size for _, size in self._batches]
        last = max((at for at, size in enumerate(sizes) if size == max(sizes)), default=0)
        if last + 1 < _FEWEST_BATCHES:
            return None
        return sum(sizes[1 : last + 1]) / (self._batches[last][0] - self._batches[0][0])
