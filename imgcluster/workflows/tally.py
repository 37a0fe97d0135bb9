"""What an extraction has done so far, counted in files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcluster.records import Failure, Progress
    from imgcluster.workflows.pipeline import EmbeddedBatch
    from imgcluster.workflows.recognise import Known

_MOST_NOTES = 10


class Tally:
    """Counts, and measures the speed from the first batch to the last."""

    def __init__(self, known: Known, failures: Sequence[Failure] = ()) -> None:
        self.cached = known.cached
        self.new = 0
        self.duplicates = 0
        self.failures = [*failures, *known.failures]
        self._notes = 0
        self.provenance: Mapping[str, str] = {}
        self._keys_of_this_run: set[bytes] = set()
        self._first_batch: tuple[float, int] | None = None
        self._last_batch = 0.0

    def count(self, batch: EmbeddedBatch) -> None:
        """Add what became of the files of a batch."""
        new_keys = {bytes(key) for key in batch.keys}
        self.new += len(new_keys)
        self._keys_of_this_run |= new_keys
        of_this_run = sum(entry.key in self._keys_of_this_run for entry in batch.entries)
        self.duplicates += of_this_run - len(new_keys)
        self.cached += len(batch.entries) - of_this_run
        self.failures += batch.failures
        if new_keys:
            self.provenance = batch.provenance
            self._last_batch = time.perf_counter()
            self._first_batch = self._first_batch or (self._last_batch, self.new)

    def pass_on(self, notes: Sequence[str], progress: Progress) -> None:
        """Let the user read the first notes; count the rest."""
        for note in notes[: max(_MOST_NOTES - self._notes, 0)]:
            progress.note(note)
        self._notes += len(notes)

    def summarise_notes(self, progress: Progress) -> None:
        """Say how many notes were not passed on."""
        if self._notes > _MOST_NOTES:
            progress.note(f"… and {self._notes - _MOST_NOTES} more files with such remarks")

    @property
    def images_per_second(self) -> float | None:
        """None where there were fewer than two batches."""
        if self._first_batch is None or self.new == self._first_batch[1]:
            return None
        since, already = self._first_batch
        return (self.new - already) / (self._last_batch - since)
