"""What the analysis may take of a machine: threads, and memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import sklearn.cluster
from analysis_data import blobs, source_of
from threadpoolctl import threadpool_info

from imgcluster.analysis.choose_k import sweep
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.scoring import SILHOUETTE_SAMPLE, silhouette
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import SilentProgress

MANY = 20_000
FULL_MATRIX = MANY * MANY * 4


def threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info()]


@pytest.mark.parametrize("algorithm", ["KMeans", "MiniBatchKMeans"])
def test_a_fit_runs_on_one_thread(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Report D4: scikit-learn warns of batches that are too small for its threads."""
    seen: list[list[int]] = []

    def watch(estimator: type, name: str) -> None:
        original = getattr(estimator, name)

        def fit(self, points):  # type: ignore[no-untyped-def]
            seen.append(threads())
            return original(self, points)

        monkeypatch.setattr(estimator, name, fit)

    watch(getattr(sklearn.cluster, algorithm), "fit")
    before = threads()
    rows, _ = blobs((600, 400), dimension=8)
    name = {"KMeans": "kmeans", "MiniBatchKMeans": "minibatch-kmeans"}[algorithm]
    settings = ClusterSettings(2, name, restarts=2)
    cluster([source_of(rows)], ["a"], PrepareSettings(), settings, SilentProgress())
    assert seen
    assert all(set(used) == {1} for used in seen)
    assert threads() == before


def peak_of(work) -> int:  # type: ignore[no-untyped-def]
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_silhouette_of_many_images_holds_no_matrix_of_all_pairs() -> None:
    """Report D5."""
    points = np.random.default_rng(0).normal(size=(MANY, 16)).astype(np.float32)
    labels = (points[:, 0] > 0).astype(np.int32)
    assert peak_of(lambda: silhouette(points, labels)) < FULL_MATRIX / 4
    assert SILHOUETTE_SAMPLE**2 * 8 < FULL_MATRIX


@pytest.mark.slow
def test_neither_clustering_nor_a_sweep_of_many_images_holds_a_matrix_of_all_pairs() -> None:
    """Reports D5 and D9."""
    rows, _ = blobs((MANY // 2, MANY // 2), dimension=16)
    source, prepare = source_of(rows), PrepareSettings()
    settings = ClusterSettings(2, restarts=1)
    assert peak_of(lambda: cluster([source], ["a"], prepare, settings, SilentProgress())) < FULL_MATRIX / 4
    assert peak_of(lambda: sweep([source], ["a"], prepare, [2], settings, SilentProgress())) < FULL_MATRIX / 4
