"""A deterministic stream of rows: what batch number i holds is known without looking at any store."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.records import FeatureSpace, PathEntry
from imgcluster.store.store import FeatureStore

if TYPE_CHECKING:
    from pathlib import Path

SPACE = FeatureSpace("fake", "ab" * 32, 32)
OTHER = FeatureSpace("other", "cd" * 32, 64, pooling="max")
DIMENSION = 12


@cache
def _row(number: int, dimension: int) -> tuple[bytes, np.ndarray]:
    key = hashlib.sha256(f"row {number}".encode()).digest()
    return key, np.random.default_rng(number).standard_normal(dimension).astype(np.float32)


def rows(start, count, dimension=DIMENSION):
    """Keys and embeddings number `start` to `start + count`."""
    found = [_row(number, dimension) for number in range(start, start + count)]
    return (
        np.frombuffer(b"".join(key for key, _ in found), np.uint8).reshape(-1, 32),
        np.asarray([embedding for _, embedding in found], np.float32).reshape(-1, dimension),
    )


def entry(folder: str | Path, i: int) -> PathEntry:
    """The path of row `i`."""
    return PathEntry(
        os.path.join(folder, f"image {i}.jpg"),
        i,
        i * 10,
        i * 10 + 5,
        hashlib.sha256(f"row {i}".encode()).digest(),
    )


def fill(path, count, *, space=SPACE, start=0, folder=None):
    """A store with `count` rows, and with a path for each in `folder`."""
    with FeatureStore(path, "a") as store:
        store.add_space(space, DIMENSION)
        store.append(space.name, *rows(start, count))
        if folder is not None:
            store.record_paths(entry(folder, i) for i in range(start, start + count))


def write_batch(store: FeatureStore, number: int, size: int, dimension: int, folder: str) -> None:
    """Append batch `number`: rows, their paths, and at times what makes HDF5 change more than the columns."""
    if number % 7 == 3:
        store.add_space(FeatureSpace(f"extra{number}", "00", 8), 3)
    store.append(SPACE.name, *rows(number * size, size, dimension))
    store.record_paths(entry(folder, i) for i in range(number * size, number * size + size))


def assert_holds_batches(path, at_least: int, size: int, dimension: int, folder: str, lines=None) -> int:
    """Check that the store holds a prefix of the stream of at least so many batches; return of how many."""
    with FeatureStore(path, notify=None if lines is None else lines.append) as store:
        held = store.find_space(name=SPACE.name).rows
        assert held % size == 0, "half a batch"
        assert held >= at_least * size, f"{at_least * size - held} committed rows lost"
        keys, embeddings = rows(0, held, dimension)
        np.testing.assert_array_equal(store.keys(SPACE.name), keys)
        np.testing.assert_array_equal(store.read(SPACE.name, keys), embeddings)
        expected = sorted((entry(folder, i) for i in range(held)), key=lambda e: os.fsencode(e.path))
        assert store.paths() == tuple(expected)
        return held // size
