"""What `duplicates` and `similar` take where there are very many images, a fifth of them alike.

python -m tests.benchmarks.duplicates_scale [--rows N] [--cells]

Embeddings lie in a store, around ten groups; pictures are shapes of light and dark. The alike fifth are
frames of one scene, and of the others every hundredth is a copy. With --cells, what is found within cells and
those beside them, as a share of what is found among all pairs.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sized
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis import look_alikes as search
from imgcluster.analysis.duplicates import SamePictures
from imgcluster.analysis.embeddings import Watched
from imgcluster.analysis.look_alikes import Pair, look_alikes
from imgcluster.analysis.looks import Looks
from imgcluster.analysis.neighbours import most_similar
from imgcluster.analysis.transforms import unit_length
from imgcluster.records import PICTURE, SILENT, Embeddings, FeatureSpace, Keys, Pictures
from imgcluster.store.store import FeatureStore

SPACE = FeatureSpace("benchmark", "00" * 32, 32)
DIMENSION, GROUPS, BLOCK = 1280, 10, 8192
THRESHOLD = 0.9


def make_store(path: Path, rows: int, frames: int) -> Keys:
    """Write rectified rows around overlapping groups, the last `frames` around one; their keys."""
    random = np.random.default_rng(0)
    latent = random.normal(size=(GROUPS, 48)).astype(np.float32) * 1.2
    mixing = (random.normal(size=(48, DIMENSION)) / np.sqrt(np.arange(1, 49))[:, None]).astype(np.float32)
    keys = random.integers(256, size=(rows, 32), dtype=np.uint8)
    frame = np.maximum(latent[0] @ mixing + random.normal(size=DIMENSION), 0)
    with FeatureStore(path, "a") as store:
        store.add_space(SPACE, DIMENSION, "float16")
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            hidden = latent[random.integers(GROUPS, size=count)] + random.normal(size=(count, 48))
            noise = random.standard_normal((count, DIMENSION), np.float32)
            block = np.maximum(hidden.astype(np.float32) @ mixing + noise, 0)
            block[50::100] = block[:-50:100] * (1 + noise[50::100] / 10)
            alike = max(start + count - (rows - frames), 0)
            if alike:
                block[-alike:] = frame * (1 + noise[-alike:] / 20)
            store.append(SPACE.name, keys[start : start + count], block)
            store.commit()
    return keys


def make_pictures(rows: int, frames: int) -> Pictures:
    """Large shapes of light and dark; the last `frames` are one of them, a little noisy."""
    random = np.random.default_rng(1)
    pictures = np.zeros(rows, PICTURE)
    pictures["colour"] = random.integers(80, 176, (rows, 1, 1, 2))
    for start in range(0, rows, BLOCK):
        part = slice(start, min(start + BLOCK, rows))
        count = part.stop - start
        light = random.normal(128, 40, (count, 1, 1))  # photographs are darker and brighter as a whole, too
        shapes = np.clip(light + random.normal(0, 50, (count, 8, 8)), 0, 255)
        pictures["grey"][part] = np.kron(shapes, np.ones((1, 4, 4)))
        pictures[part][50::100] = pictures[part][:-50:100]
    one = pictures[0].copy()
    pictures[rows - frames :] = one
    for start in range(rows - frames, rows, BLOCK):
        part = slice(start, min(start + BLOCK, rows))
        noise = random.normal(0, 2, (part.stop - start, 32, 32))
        pictures["grey"][part] = np.clip(one["grey"] + noise, 0, 255)
    return pictures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--cells", action="store_true")
    options = parser.parse_args()
    figures = measure(options.rows, cells=options.cells)
    for what, value in figures.items():
        print(f"{what:<24}{value:12.3f}")
    print(json.dumps(figures))


def measure(rows: int, *, cells: bool) -> dict[str, float]:
    """All figures by their names: processor seconds, and the peaks of memory in MB after each step."""
    frames = rows // 5
    nobody = np.zeros(rows, np.bool_)
    figures: dict[str, float] = {}

    def timed(what: str, work: Callable[[], Sized]) -> int:
        start = time.process_time()
        found = len(work())
        figures[f"{what}_seconds"] = time.process_time() - start
        figures[f"{what}_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return found

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.h5"
        keys = make_store(path, rows, frames)
        with FeatureStore(path) as store:
            source = Watched(store.source(SPACE.name, keys), SILENT)

            def embed(some: NDArray[np.intp]) -> Embeddings:
                return unit_length(store.read(SPACE.name, source.keys[some]))

            def alike() -> list[Pair]:
                return look_alikes(source, embed, THRESHOLD, nobody, SILENT)

            timed("similar", lambda: most_similar(embed(np.array([0]))[0], source, 20)[0])
            found = timed("look_alikes", alike)
            if cells:
                search.MOST_COMPARED = 0
                figures["in_cells_recall"] = timed("in_cells", alike) / found
            same = SamePictures(Looks(make_pictures(rows, frames)), embed, THRESHOLD, {}, SILENT)
            timed("same_pictures", lambda: same.find(np.arange(rows)))
    return figures


if __name__ == "__main__":
    main()
