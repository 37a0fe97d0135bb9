"""Thousands of clusters are found by two levels: cells, and clusters in each cell."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.analysis import kmeans
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.kmeans import KMeansClusterer, share_out


def fit(points: np.ndarray, k: int, **more: int) -> tuple[np.ndarray, np.ndarray]:
    clusterer = KMeansClusterer("MiniBatchKMeans", ClusterSettings(k, **more))
    labels, model = clusterer.fit(points, np.ones(len(points), np.int64))
    return labels, model.centroids


def inertia(points: np.ndarray, labels: np.ndarray, centroids: np.ndarray) -> float:
    return float(np.square(points - centroids[labels]).sum())


def test_two_levels_are_nearly_as_good_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    centres = random.random((300, 8)) * 4
    points = (centres[random.integers(0, 300, 6000)] + 0.2 * random.standard_normal((6000, 8))).astype("f4")
    one = inertia(points, *fit(points, 200, restarts=1))
    monkeypatch.setattr(kmeans, "MOST_AT_ONCE", 50)
    labels, centroids = fit(points, 200)
    assert len(centroids) == len(np.unique(labels)) == 200
    assert inertia(points, labels, centroids) < 1.1 * one
    again, _ = fit(points, 200)
    np.testing.assert_array_equal(labels, again)


def test_points_that_are_often_there_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans, "MOST_AT_ONCE", 20)
    points = np.repeat(np.random.default_rng(0).random((60, 3), np.float32), np.arange(60) % 7 + 1, axis=0)
    for k in (60, 100):  # a cluster for each, and no more than there are
        labels, centroids = fit(points, k)
        assert len(centroids) == 60
        np.testing.assert_allclose(centroids[labels], points, atol=1e-6)


@pytest.mark.parametrize(
    ("k", "sizes", "most", "counts"),
    [
        (10, [50, 30, 20], [99, 99, 99], [5, 3, 2]),
        (10, [50, 30, 20], [2, 99, 99], [2, 5, 3]),
        (6, [100, 1, 1, 1], [99, 1, 1, 1], [3, 1, 1, 1]),
        (4, [97, 1, 1, 1], [97, 1, 1, 1], [1, 1, 1, 1]),
    ],
)
def test_clusters_are_shared_out_by_size(
    k: int, sizes: list[int], most: list[int], counts: list[int]
) -> None:
    assert share_out(k, np.array(sizes), np.array(most)).tolist() == counts
