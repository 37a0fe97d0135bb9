"""What an extraction has done so far, counted in files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from imgcluster.records import Failure, Progress
from imgcluster.workflows.pipeline import Batch, KnownKeys

_MOST_NOTES = 10


class ExtractStats:
    """Counts, measures the speed from the first batch to the last, and passes the first notes on.

    `cached` and `failures` are those of the files that need not be read.
    """

    def __init__(self, cached: int, failures: Sequence[Failure], progress: Progress) -> None:
        self.cached = cached
        self.failures = [*failures]
        self.new = self.duplicates = 0
        self.provenance: Mapping[str, str] = {}
        self.progress = progress
        self._notes = 0
        self._first_batch: tuple[float, int] | None = None
        self._last_batch = 0.0

    def count(self, batch: Batch, known: KnownKeys) -> None:
        """Add what became of the files of a batch."""
        cached = sum(known.is_stored(entry.key) for entry in batch.entries)
        self.new += len(batch.keys)
        self.cached += cached
        self.duplicates += len(batch.entries) - cached - len(batch.keys)
        self.failures += batch.failures
        for note in batch.notes[: max(_MOST_NOTES - self._notes, 0)]:
            self.progress.note(note)
        self._notes += len(batch.notes)
        if len(batch.keys):
            self.provenance = batch.provenance
            self._last_batch = time.perf_counter()
            self._first_batch = self._first_batch or (self._last_batch, self.new)
        self.progress.advance(len(batch.paths), failed=len(batch.failures))

    def summarise_notes(self) -> None:
        """Say how many notes were not passed on."""
        if self._notes > _MOST_NOTES:
            self.progress.note(f"… and {self._notes - _MOST_NOTES} more files with such remarks")

    @property
    def images_per_second(self) -> float | None:
        """None where there were fewer than two batches."""
        if self._first_batch is None or self.new == self._first_batch[1]:
            return None
        since, already = self._first_batch
        return (self.new - already) / (self._last_batch - since)
