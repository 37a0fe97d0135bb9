"""What the analysis may take of a machine: threads, and memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import sklearn.cluster
from analysis_data import blobs, source_of
from threadpoolctl import threadpool_info

from imgcluster.analysis.choose_k import sweep
from imgcluster.analysis.kmeans import KMeansSettings, cluster
from imgcluster.analysis.prepare import PrepareSettings
from imgcluster.analysis.scoring import SILHOUETTE_SAMPLE, silhouette
from imgcluster.records import SilentProgress

MANY = 20_000
FULL_MATRIX = MANY * MANY * 4


def threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info()]


@pytest.mark.parametrize("count", [1000, 9000], ids=["one batch", "several batches"])
def test_a_fit_runs_on_one_thread_and_in_batches_no_smaller_than_threads_need(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Report D4."""
    seen: list[tuple[list[int], int]] = []

    def watch(estimator: type, name: str) -> None:
        original = getattr(estimator, name)

        def fit(self, points):  # type: ignore[no-untyped-def]
            seen.append((threads(), len(points)))
            return original(self, points)

        monkeypatch.setattr(estimator, name, fit)

    watch(sklearn.cluster.KMeans, "fit")
    watch(sklearn.cluster.MiniBatchKMeans, "partial_fit")
    before = threads()
    rows, _ = blobs((count // 2, count - count // 2), dimension=8)
    settings = KMeansSettings(2, restarts=2)
    cluster([source_of(rows)], ["a"], PrepareSettings(), settings, SilentProgress())
    assert seen
    for used, batch in seen:
        assert set(used) == {1}
        assert batch >= min(count, 256 * 32)
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


def test_neither_clustering_nor_a_sweep_of_many_images_holds_a_matrix_of_all_pairs() -> None:
    """Reports D5 and D9."""
    rows, _ = blobs((MANY // 2, MANY // 2), dimension=16)
    source, prepare = source_of(rows), PrepareSettings()
    settings = KMeansSettings(2, restarts=1)
    assert peak_of(lambda: cluster([source], ["a"], prepare, settings, SilentProgress())) < FULL_MATRIX / 4
    assert peak_of(lambda: sweep([source], ["a"], prepare, [2], settings, SilentProgress())) < FULL_MATRIX / 4
