"""What very many images cost: the part `scale` of the benchmark, and the tables of docs/scale.md.

python -m tests.benchmarks.scale [--rows N] [--shards N] [--ray IMAGES]

A set of stores is compared with the one store that has the same rows. With --ray, the images of a folder are
extracted by two processes of one core, a shard each, and by two Ray workers of a core each. Seconds are
processor time, of the processes that a command starts as well, which may be measured beside other work; those
by the clock, called wall, may not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from imgcluster.analysis.centroids import means_of, nearest_labels
from imgcluster.records import FeatureSpace, PathEntry
from imgcluster.store.store import FeatureStore

SPACE = FeatureSpace("benchmark", "00" * 32, 32)
DIMENSION = 1280
K = 1000
LOOK_SECONDS = 0.05


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


def cluster(store: Path) -> dict[str, float]:
    """Find 50 clusters; the processor's seconds, and the peak of memory in MB."""
    code = f"import imgcluster; imgcluster.cluster(k=50, restarts=2, out=None, store={str(store)!r})"
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"cluster of {store} ended with {process.returncode}")
    wall = time.perf_counter() - started
    return {"seconds": usage.ru_utime + usage.ru_stime, "wall_s": wall, "mb": usage.ru_maxrss / 1024}


def extract(folder: Path, images: Path, name: str, *options: tuple[str, ...]) -> tuple[float, float]:
    """Run a command for each of `options`, side by side: seconds of the processor, and by the clock."""
    shared = ["--network", "efficientnet_lite0", "--precision", "float32", "--runtime", "openvino", "--quiet"]
    started = time.perf_counter()
    commands = [
        psutil.Popen(
            [
                sys.executable,
                "-m",
                "imgcluster",
                "extract",
                str(images),
                *shared,
                "--store",
                str(folder / f"{name}-{number}.h5"),
                *chosen,
            ],
            stdout=subprocess.DEVNULL,
        )
        for number, chosen in enumerate(options)
    ]
    seconds: dict[tuple[int, float], float] = {}
    while any(command.poll() is None for command in commands):
        for command in commands:
            try:
                for each in (command, *command.children(recursive=True)):
                    used = each.cpu_times()
                    seconds[each.pid, each.create_time()] = used.user + used.system
            except psutil.Error:  # it has just ended
                continue
        time.sleep(LOOK_SECONDS)
    if any(command.returncode for command in commands):
        raise SystemExit(f"extract {options} failed")
    return sum(seconds.values()), time.perf_counter() - started


def compare_engines(folder: Path, images: Path) -> dict[str, float]:
    """Milliseconds an image: what more images take, without the start."""
    few, many = folder / "few", folder / "many"
    found = sorted(images.rglob("*.jpg"))
    for place, chosen in ((few, found[: len(found) // 5]), (many, found)):
        place.mkdir()
        for number, image in enumerate(chosen):
            os.link(image, place / f"{number}.jpg")
    ways = {
        "local": [("--shard", "1/2", "--threads", "1"), ("--shard", "2/2", "--threads", "1")],
        "ray": [("--engine", "ray", "--workers", "2")],
        "one_ray": [("--engine", "ray", "--workers", "1")],
    }
    figures = {}
    for name, options in ways.items():
        spent = [extract(folder, place, f"{name}-{place.name}", *options) for place in (few, many)]
        for kind, (first, both) in zip(("", "_wall"), zip(*spent, strict=True), strict=True):
            each = (both - first) / (len(found) - len(found) // 5)
            figures[f"{name}{kind}_ms"] = 1000 * each
            figures[f"{name}{kind}_start_s"] = max(first - each * (len(found) // 5), 0.0)
    return figures


def measure(rows: int, shards: int, images: Path | None = None) -> dict[str, float]:
    """All figures by their names."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, rows, shards)
        figures: dict[str, float] = {"row_bytes": os.path.getsize(folder / "all.h5") / rows}
        for kind, store in (("one", "all.h5"), ("set", "features-*.h5")):
            found = cluster(folder / store)
            figures |= {f"{kind}_{what}": value for what, value in found.items()}
        points = np.random.default_rng(0).random((rows, 64), np.float32)
        started = time.process_time()
        means_of(points, nearest_labels(points, points[:K]), K)
        figures["pass_us"] = 1e6 * (time.process_time() - started) / rows
        return figures | (compare_engines(folder, images) if images else {})


def main() -> None:
    """Measure and print, the last line for programs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--ray", type=Path)
    options = parser.parse_args()
    figures = measure(options.rows, options.shards, options.ray)
    for what, value in figures.items():
        print(f"{what:<20}{value:12.2f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
