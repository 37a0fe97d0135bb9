"""Finished batches into the store, each durable at once; and what was done so far, counted in files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from imgcluster.errors import NetworkUnavailable, quantity
from imgcluster.readings import Readings
from imgcluster.records import Embeddings, Failure, FeatureSpace, Keys, Progress, key_rows
from imgcluster.store.reader import FeatureReader
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.batch import Batch, KnownKeys

_MOST_NOTES = 10
_FEWEST_BATCHES = 3
"""One slow file among fewer would decide about the speed."""


@dataclass
class BatchWriter:
    """The last stage of an extraction, in the thread of the command.

    Attributes
    ----------
    stores
        Whatever had embeddings as the run began: `store` itself, or a set of stores with it.
    dtype
        Of a new feature space.
    cached, failures
        To begin with, those of the files that need not be read.
    """

    store: FeatureStore
    stores: FeatureReader
    known_keys: KnownKeys
    space: FeatureSpace
    dtype: str
    readings: Readings
    progress: Progress
    cached: int
    failures: list[Failure]
    new: int = 0
    duplicates: int = 0
    same_picture: int = 0
    with_pages: int = 0
    provenance: Mapping[str, str] = field(default_factory=dict)
    _notes: int = 0
    _batches: list[tuple[float, int]] = field(default_factory=list)

    def write(self, batch: Batch) -> None:
        """Keep what became of the files of a batch; NetworkUnavailable where the first rows are no use."""
        if batch.embeddings is not None and batch.keys:
            if not self.new:
                _check_first(batch.embeddings)
            self._append(key_rows(batch.keys), batch.embeddings)
        self.store.record_pictures(batch.pictures)
        self.readings.add_looks((key, looks.tobytes()) for key, looks in batch.pictures.items())
        if batch.copies:
            copies, shown = (key_rows(keys) for keys in zip(*batch.copies, strict=True))
            self._append(copies, self._read(shown))
        self.store.record_picture_keys(batch.picture_keys)
        self.store.record_paths(batch.entries)
        self.store.record_failures(batch.failures)
        self.store.commit()
        self.readings.add((e.path, e.inode, e.size, e.mtime_ns, e.key) for e in batch.entries if e.inode)
        self._count(batch)

    def _append(self, keys: Keys, rows: Embeddings) -> None:
        self.store.add_space(self.space, rows.shape[1], self.dtype)
        self.store.append(self.space.name, keys, rows)

    def _read(self, keys: Keys) -> Embeddings:
        """Read rows from where they are; `stores` do not see what was written since it was opened."""
        store, space = self.store, self.space.name
        if store is self.stores:
            return store.read(space, keys)
        has_space = any(stored.name == space for stored in store.spaces)
        here = store.contains(space, keys) if has_space else np.zeros(len(keys), np.bool_)
        each = zip(keys, here, strict=True)
        return np.concatenate([(store if own else self.stores).read(space, key[None]) for key, own in each])

    def _count(self, batch: Batch) -> None:
        cached = sum(self.known_keys.is_stored(entry.key) for entry in batch.entries)
        cached += sum(self.known_keys.is_stored(shown) for _, shown in batch.copies)
        self.same_picture += len(batch.copies)
        self.new += len(batch.keys)
        self.cached += cached
        self.duplicates += len(batch.entries) - cached - len(batch.keys)
        self.failures += batch.failures
        self.with_pages += batch.with_pages
        for note in batch.notes[: max(_MOST_NOTES - self._notes, 0)]:
            self.progress.note(note)
        self._notes += len(batch.notes)
        if batch.keys:
            self.provenance = batch.provenance
            self._batches.append((time.perf_counter(), len(batch.keys)))
        self.progress.advance(len(batch.paths), failed=len(batch.failures))

    def summarise_notes(self) -> None:
        """Say how many notes were not passed on, and how many files have more than what was looked at."""
        note = self.progress.note
        if self.same_picture:
            pictures = quantity(self.same_picture, "picture")
            note(f"{pictures} known already, with other metadata: the embedding is the same")
        if self.with_pages:
            has = "has" if self.with_pages == 1 else "have"
            note(f"{quantity(self.with_pages, 'TIFF')} {has} further pages: only the first is looked at")
        if self._notes > _MOST_NOTES:
            note(f"… and {self._notes - _MOST_NOTES} more files with such remarks")

    @property
    def images_per_second(self) -> float | None:
        """From the first to the last whole batch; None where these are too few for a speed."""
        sizes = [size for _, size in self._batches]
        largest = max(sizes, default=0)
        last = max((at for at, size in enumerate(sizes) if size == largest), default=0)
        if last + 1 < _FEWEST_BATCHES:
            return None
        return sum(sizes[1 : last + 1]) / (self._batches[last][0] - self._batches[0][0])


def _check_first(embeddings: Embeddings) -> None:
    """Raise NetworkUnavailable where no row is finite; a single one among others may be as it likes."""
    if not np.isfinite(embeddings).all(axis=1).any():
        raise NetworkUnavailable(
            f"the network gives only NaN or infinity for the first images, {embeddings.shape} "
            f"{embeddings.dtype}: nothing of that is kept"
        )
