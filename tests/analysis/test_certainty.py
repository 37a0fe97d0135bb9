"""How sure an image's cluster is."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_data import blobs, source_of
from numpy.typing import NDArray

from imgcluster.analysis.centroids import means_of
from imgcluster.analysis.certainty import certainty_features
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


def test_clusters_that_are_not_found_otherwise_agree_less() -> None:
    rows, truth = blobs((60, 50, 40, 30))
    right = truth.astype(np.int32)
    wrong = right.copy()
    wrong[right == 3] = 2  # two of them joined
    wrong[np.flatnonzero(right == 0)[:30]] = 3  # and one cut

    def agreements(labels: NDArray[np.int32]) -> NDArray[np.float64]:
        return certainty_features(rows, rows, labels, means_of(rows, labels, 4))[:, 2]

    assert agreements(right) == pytest.approx(1)
    assert agreements(wrong) == pytest.approx(np.choose(right, [0.5, 1, 40 / 70, 30 / 70]))


def test_agreement_of_images_beyond_the_sample_is_that_of_their_likes() -> None:
    rows, truth = blobs((1500, 1200, 300, 9))
    order = np.argsort(truth == 3, kind="stable")  # of the last, nobody is in the sample
    rows, labels = rows[order], truth[order].astype(np.int32)
    rows[:-9], labels[:-9] = rows[(shuffled := np.random.default_rng(0).permutation(3000))], labels[shuffled]
    found = certainty_features(rows, rows, labels, means_of(rows, labels, 4))
    assert found[:-9, 2] == pytest.approx(1)
    assert found[-9:, 2] == pytest.approx(0)


def test_many_clusters_of_few_images_and_equal_images_have_probabilities() -> None:
    rows = np.repeat(np.random.default_rng(0).random((12, 20)).astype(np.float32), 5, axis=0)
    for k in (2, 6, 12):
        assert np.isfinite(found(rows, k).probabilities).all()
    assert np.isfinite(found(rows[::5][:3], 2).probabilities).all()
    alike = [found(rows, 6).probabilities for _ in range(2)]
    assert np.array_equal(*alike)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("count", "k"), [(5, 2), (130, 22)])
def test_of_points_that_are_all_equal_nothing_is_agreed_and_nobody_is_warned(count: int, k: int) -> None:
    rows, labels = np.zeros((count, 2), np.float32), np.arange(count, dtype=np.int32) % k
    agreements = certainty_features(rows, rows, labels, np.zeros((k, 2), np.float32))[:, 2]
    assert ((agreements > 0) & (agreements < 0.8)).all()
