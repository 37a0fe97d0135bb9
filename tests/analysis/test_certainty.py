"""How sure an image's cluster is."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_data import blobs, source_of

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import Clustering, Embeddings, SilentProgress


def found(rows: Embeddings, k: int, **options: object) -> Clustering:
    settings = ClusterSettings(k, "minibatch-kmeans", **options)
    return cluster([source_of(rows)], ["a"], PrepareSettings(), settings, SilentProgress())


def test_clusters_that_lie_apart_are_sure_and_those_that_do_not_are_not() -> None:
    apart = found(blobs((60, 50, 40))[0], 3).probabilities
    assert apart.min() > 0.9
    together = found(np.random.default_rng(0).random((150, 40)).astype(np.float32), 3).probabilities
    assert 0 < together.min() < together.max() < 0.8


def test_images_between_clusters_are_less_sure() -> None:
    rows, truth = blobs((60, 50, 40), spread=0.1)
    between = (rows[truth == 0][:5] + rows[truth == 1][:5]) / 2
    sure = found(np.concatenate([rows, between]), 3).probabilities
    assert sure[-5:].max() < np.quantile(sure, 0.1)


def test_of_one_cluster_and_of_what_fits_nowhere_nothing_is_said() -> None:
    rows, _ = blobs((30, 20))
    assert np.isnan(found(rows, 1).probabilities).all()
    some = found(rows, 2, leave_out=0.2)
    assert np.array_equal(np.isnan(some.probabilities), some.labels < 0)
    assert (some.labels < 0).sum() == pytest.approx(10, abs=1)
