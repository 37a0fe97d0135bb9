"""How the store does at scale: python tests/benchmarks/store_scale.py [ROWS] [DIMENSION] [FOLDER]."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import contextmanager

import numpy as np

from imgcluster.records import FeatureSpace, PathEntry
from imgcluster.store.store import FeatureStore

SPACE = FeatureSpace("benchmark", "00", 32)


@contextmanager
def timed(what):
    start = time.perf_counter()
    yield
    print(f"{what:<60} {time.perf_counter() - start:8.3f} s")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    dimension = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    random = np.random.default_rng(0)
    keys = random.integers(0, 256, (rows, 32), np.uint8)
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as folder:
        path = os.path.join(folder, "features.h5")
        with (
            timed(f"write {rows} rows of {dimension}, a commit each 16,384"),
            FeatureStore(path, "a") as store,
        ):
            store.add_space(SPACE, dimension)
            for start in range(0, rows, 16384):
                part = keys[start : start + 16384]
                store.append(SPACE.name, part, random.random((len(part), dimension), np.float32))
                store.commit()
        with timed("open"):
            store = FeatureStore(path)
        asked = np.concatenate(
            [keys[random.integers(0, rows, 50_000)], random.integers(0, 256, (50_000, 32), np.uint8)]
        )
        with timed("membership of 100,000 keys, index built first"):
            assert store.contains(SPACE.name, asked).sum() == 50_000
        with timed("membership of 100,000 keys again"):
            store.contains(SPACE.name, asked)
        for name in ("read all rows with checksums", "read all rows with checksums again"):
            source = store.source(SPACE.name, keys)
            start = time.perf_counter()
            total = sum(block.nbytes for block in source.blocks())
            seconds = time.perf_counter() - start
            print(f"{name:<60} {seconds:8.3f} s {total / seconds / 1e6:8.0f} MB/s")
        with timed("read 256 scattered rows"):
            store.read(SPACE.name, keys[random.integers(0, rows, 256)])
        store.close()
        paths = [
            PathEntry(f"{folder}/images/{i % 100}/photo {i}.jpg", i, i, i, keys[i % rows].tobytes())
            for i in range(100_000)
        ]
        with timed("record 100,000 paths and commit"), FeatureStore(path, "a") as store:
            store.record_paths(paths)
        with timed("open and load 100,000 paths"), FeatureStore(path) as store:
            assert len(store.paths()) == 100_000
        batches = [random.integers(0, 256, (32, 32), np.uint8) for _ in range(20)]
        with FeatureStore(path, "a") as store:
            store.contains(SPACE.name, batches[0])
            start = time.perf_counter()
            for batch in batches:
                store.append(SPACE.name, batch, random.random((32, dimension), np.float32))
                store.commit()
            print(f"{'append and commit 32 rows':<60} {(time.perf_counter() - start) / 20:8.4f} s")


if __name__ == "__main__":
    main()
