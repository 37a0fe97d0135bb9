from __future__ import annotations

import numpy as np
import pytest
from analysis_data import blobs, source_of
from sklearn.metrics import adjusted_rand_score

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster, model_points
from imgcluster.analysis.fusion import pca_whiten, whiten_within_clusters
from imgcluster.analysis.transforms import PrepareSettings, transform
from imgcluster.records import SilentProgress


def test_a_fusion_whitens_by_half() -> None:
    features = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32) * [4, 1, 0.25]
    points = transform(pca_whiten(features.astype(np.float32), 2), features.astype(np.float32))
    assert np.allclose(points.std(axis=0), [2, 1, 0.5], rtol=0.05)


@pytest.mark.parametrize(("clusters", "unit"), [(2, False), (3, True)])
def test_two_clusters_are_told_apart_without_unit_length(clusters: int, unit: bool) -> None:
    features = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)
    lengths = np.linalg.norm(transform(pca_whiten(features, clusters), features), axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) == unit


def test_whitening_within_clusters_makes_clusters_round() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(2, dtype=np.int32), 4000)
    features = (random.normal(size=(8000, 2)) * [3, 0.5] + labels[:, None] * [0, 1]).astype(np.float32)
    points = transform(whiten_within_clusters(features, labels, 2), features)
    means = np.stack([points[labels == group].mean(axis=0) for group in (0, 1)])
    within = points - means[labels]
    assert np.allclose(within.T @ within / len(within), np.eye(2), atol=0.15)


def test_clusters_without_any_width_stay_finite() -> None:
    features = np.eye(4, dtype=np.float32)
    assert np.isfinite(
        transform(whiten_within_clusters(features, np.arange(4, dtype=np.int32), 4), features)
    ).all()


def test_a_network_that_sees_nothing_does_not_hurt_one_that_sees() -> None:
    rows, truth = blobs((80, 60, 50), spread=0.5)
    noise = np.random.default_rng(1).random((190, 30)).astype(np.float32)
    result = cluster(
        [source_of(rows), source_of(noise)],
        ["good", "bad"],
        PrepareSettings(),
        ClusterSettings(3),
        SilentProgress(),
    )
    assert adjusted_rand_score(truth, result.labels) > 0.97
    assert model_points(result.model, [rows, noise]).shape == (190, result.model.centroids.shape[1])


def test_images_on_one_line_are_still_told_apart() -> None:
    rows = np.outer(np.linspace(0, 1, 9), [1, 0, 0]) + np.outer(np.linspace(1, 0, 9), [0, 1, 0])
    result = cluster([source_of(rows)], ["a"], PrepareSettings(), ClusterSettings(5), SilentProgress())
    assert result.k == 5
