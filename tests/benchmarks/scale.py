"""What a million images cost in processor time, and what follows for more: the tables of docs/scale.md.

python -m tests.benchmarks.scale [--rows N] [--shards N] [--ray IMAGES]

A store set is compared with the one store that has the same rows. With --ray, the images of a folder are
extracted by threads and by one and two Ray workers of a core each.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from imgcluster.analysis.centroids import means_of, nearest_labels
from imgcluster.records import FeatureSpace, PathEntry
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.cluster import cluster
from imgcluster.workflows.extract import extract
from imgcluster.workflows.options import ClusterOptions, ExtractOptions

SPACE = FeatureSpace("benchmark", "00" * 32, 32)
DIMENSION = 1280
K = 1000
SECONDS: dict[str, float] = {}


@contextmanager
def measured(what: str, count: int) -> Iterator[None]:
    """Print the processor's time for `count` images, and for one."""
    start = time.process_time()
    yield
    SECONDS[what] = (time.process_time() - start) / count
    print(f"{what:<60} {SECONDS[what] * count:9.2f} s {SECONDS[what] * 1e6:9.1f} µs an image", flush=True)


def fill(folder: Path, rows: int, shards: int) -> None:
    """Write one store and as many shards with the same rows and paths; the files are links to one."""
    random = np.random.default_rng(0)
    centres = random.random((50, DIMENSION), np.float32)
    (folder / "one.jpg").write_bytes(b"image")
    (folder / "photos").mkdir()
    keys, entries = [], []
    status = os.stat(folder / "one.jpg")
    for number in range(rows):
        path = folder / "photos" / f"{number}.jpg"
        os.symlink("../one.jpg", path)
        keys.append(hashlib.sha256(str(number).encode()).digest())
        entries.append(PathEntry(str(path), status.st_size, status.st_mtime_ns, 0, keys[-1]))
    all_keys = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32)
    names = ["all.h5", *(f"features-{n + 1}-of-{shards}.h5" for n in range(shards))]
    stores = [FeatureStore(folder / name, "a") for name in names]
    for store in stores:
        store.add_space(SPACE, DIMENSION, "float16")
    for start in range(0, rows, 8192):
        part = slice(start, min(rows, start + 8192))
        count = part.stop - start
        block = centres[random.integers(0, 50, count)] + random.random((count, DIMENSION), np.float32)
        for store in (stores[0], stores[1 + start // 8192 % shards]):
            store.append(SPACE.name, all_keys[part], block)
            store.record_paths(entries[part])
            store.commit()
    for store in stores:
        store.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--ray", type=Path)
    options = parser.parse_args()
    rows = options.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, rows, options.shards)
        print(f"bytes an image: {os.path.getsize(folder / 'all.h5') / rows:.0f} in the store")
        for store in ("all.h5", "features-*.h5"):
            with measured(f"cluster --k 50 --dry-run --store {store}", rows):
                settings = ClusterOptions(
                    k=50, store=str(folder / store), out=str(folder / "out"), dry_run=True, restarts=2
                )
                cluster((), settings)
        one, several = list(SECONDS.values())[:2]
        print(f"the set of {options.shards} takes {several / one:.2f} of the time of the one store")
        points = np.random.default_rng(0).random((rows, 64), np.float32)
        with measured(f"one pass of Lloyd's iteration, k = {K}", rows):
            means_of(points, nearest_labels(points, points[:K]), K)
        if options.ray:
            compare_engines(options.ray, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"peak memory of this process: {peak} MB")


def compare_engines(images: Path, folder: Path) -> None:
    """Extract with threads, and with Ray: wall time, for the work is done elsewhere."""
    for number, settings in enumerate([{}, {"engine": "ray", "workers": 1}, {"engine": "ray", "workers": 2}]):
        chosen = ExtractOptions(
            store=str(folder / f"extracted {number}.h5"), network="efficientnet_lite0", **settings
        )
        result = extract([images], chosen)
        print(f"{settings or 'threads'}: {result.new} images, {result.images_per_second:.1f} images/s")


if __name__ == "__main__":
    main()
