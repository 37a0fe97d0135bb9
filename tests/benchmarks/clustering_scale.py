"""Seconds, memory and inertia of clustering many wide rows, beside scikit-learn's on the matrix in memory.

    python tests/benchmarks/clustering_scale.py --rows 100000
    python tests/benchmarks/clustering_scale.py --rows 1000000 --no-reference --memory 2000000000

The rows lie in a feature store, and are read and checked as `imgcluster cluster` does it. Reading the store
once is timed too. Inertias are taken in both spaces: that of scikit-learn's PCA and that of the clustering.
`--prepare l2 --pca 64` clusters in scikit-learn's own space.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import Normalizer

from imgcluster.analysis.centroids import means_of
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster, model_points
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.machine import default_memory
from imgcluster.records import FeatureSpace, SilentProgress
from imgcluster.store.store import FeatureStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgcluster.records import Clustering, Embeddings, EmbeddingSource, Keys

BLOCK = 8192
GROUPS = 10
SPACE = FeatureSpace("benchmark", "00", 299)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--memory", type=int, default=default_memory(), help="bytes for embeddings")
    parser.add_argument("--prepare", choices=["auto", "l2", "none"], default="auto")
    parser.add_argument("--pca", type=int)
    parser.add_argument("--reference", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.h5"
        keys = make(path, options.rows, options.dimension)
        with FeatureStore(path) as store:
            source = store.source(SPACE.name, keys)
            reading = timed(lambda: sum(len(block) for block in source.blocks()))[1]
            before = peak()
            result, seconds = timed(lambda: clustered(source, options))
            print(f"{options.rows} x {options.dimension}, k = {GROUPS}, prepare {options.prepare}")
            print(f"reading once          {reading:8.1f} s")
            print(f"imgcluster            {seconds:8.1f} s   {seconds / reading:.1f} times reading once")
            print(f"peak memory           {before:8.2f} GB before, {peak():.2f} GB after")
            if options.reference:
                compare(source, result, seconds)


def make(path: Path, rows: int, dimension: int) -> Keys:
    """Store rows that look like features: rectified, around overlapping groups, with a falling spectrum."""
    random = np.random.default_rng(0)
    latent = random.normal(size=(GROUPS, 48)).astype(np.float32) * 1.2
    mixing = (random.normal(size=(48, dimension)) / np.sqrt(np.arange(1, 49))[:, None]).astype(np.float32)
    keys = random.integers(256, size=(rows, 32), dtype=np.uint8)
    with FeatureStore(path, "a") as store:
        store.add_space(SPACE, dimension)
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            hidden = latent[random.integers(GROUPS, size=count)] + random.normal(size=(count, 48))
            noise = random.standard_normal((count, dimension), np.float32)
            block = np.maximum(hidden.astype(np.float32) @ mixing + noise, 0)
            store.append(SPACE.name, keys[start : start + count], block)
            store.commit()
    return keys


def clustered(source: EmbeddingSource, options: argparse.Namespace) -> Clustering:
    """Do what `imgcluster cluster` does between finding the images and building folders."""
    return cluster(
        [source],
        [SPACE.name],
        PrepareSettings(options.prepare, options.pca),
        ClusterSettings(GROUPS, memory=options.memory),
        SilentProgress(),
    )


def compare(source: EmbeddingSource, result: Clustering, seconds: float) -> None:
    """Print what scikit-learn makes of the same rows."""
    rows = np.concatenate(list(source.blocks()))
    (labels, space), reference = timed(lambda: scikit_learn(rows))
    print(f"scikit-learn          {reference:8.1f} s   imgcluster takes {seconds / reference:.2f} of it")
    points = model_points(result.model, [rows])
    for name, where in (("scikit-learn's", space), ("imgcluster's", points)):
        ours, theirs = inertia(where, result.labels), inertia(where, labels)
        print(f"inertia in {name:15} space: imgcluster {ours:.2f}, scikit-learn {theirs:.2f}")


def scikit_learn(rows: Embeddings) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Give the labels of the usual three lines, and the points that they were found in."""
    points = PCA(64, random_state=0).fit_transform(Normalizer().fit_transform(rows))
    return KMeans(GROUPS, n_init=10, random_state=0).fit(points).labels_, points


def inertia(points: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    """Sum of squared distances to the clusters' means."""
    return float(np.square(points - means_of(points, labels, GROUPS)[labels], dtype=np.float64).sum())


def timed(work):
    """Run it, and give its answer and its seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def peak() -> float:
    """Largest memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
