"""The default: k-means where classes are of one size, a mixture where they are not."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.cluster
from analysis_data import ArraySource, source_of
from sklearn.metrics import adjusted_rand_score

from imgcluster.analysis import kmeans_or_mixture
from imgcluster.analysis.clusterer import DEFAULT_ALGORITHM, ClusterSettings
from imgcluster.analysis.clustering import cluster, predict
from imgcluster.analysis.kmeans_or_mixture import KMeansOrMixture
from imgcluster.analysis.spaces import SmallClusters, Spaces
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import Clustering, Embeddings, SilentProgress


def found(
    source: ArraySource, k: int, algorithm: str = DEFAULT_ALGORITHM, **options: int | None
) -> Clustering:
    settings = ClusterSettings(k, algorithm, **{"restarts": 4, **options})
    return cluster([source], ["a"], PrepareSettings(), settings, SilentProgress())


def skewed(sizes: tuple[int, ...], seed: int = 0) -> tuple[Embeddings, np.ndarray]:
    """Classes that overlap a little, wider than they lie apart in most directions."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(len(sizes), 40)) * 0.9 + 4
    truth = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    width = np.linspace(1.5, 0.3, 40)
    return (centres[truth] + random.normal(size=(len(truth), 40)) * width).astype(np.float32), truth


def agreement(clustering: Clustering, truth: np.ndarray) -> float:
    return adjusted_rand_score(truth, clustering.labels)


@pytest.mark.parametrize("sample", [kmeans_or_mixture.SAMPLE, 500])
def test_a_large_class_is_not_cut_to_spare_small_ones(sample: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans_or_mixture, "SAMPLE", sample)
    rows, truth = skewed((900, 80, 60, 40))
    source = source_of(rows)
    ours = found(source, 4)
    assert "penalties" in ours.model.fitted
    assert agreement(ours, truth) > agreement(found(source, 4, "minibatch-kmeans"), truth) + 0.1
    labels, _ = predict(ours.model, [rows])
    assert np.array_equal(labels, ours.labels)


def test_of_classes_of_one_size_k_means_is_the_answer() -> None:
    rows, truth = skewed((100,) * 5)
    source = source_of(rows)
    ours = found(source, 5)
    assert "penalties" not in ours.model.fitted
    assert np.array_equal(ours.labels, found(source, 5, "minibatch-kmeans").labels)
    assert agreement(ours, truth) > 0.9


@pytest.mark.parametrize("sizes", [(400, 80, 60, 40), (30,) * 9])
def test_the_seed_matters_only_where_restarts_are_asked_for(sizes: tuple[int, ...]) -> None:
    rows = skewed(sizes)[0] + np.random.default_rng(1).normal(size=(sum(sizes), 40)).astype(np.float32)
    source = source_of(rows)
    first, second = (found(source, len(sizes), seed=seed, restarts=None) for seed in (0, 1))
    assert ("penalties" in first.model.fitted) == (sizes[0] > sizes[-1])
    assert np.array_equal(first.labels, second.labels)
    if sizes[0] == sizes[-1]:
        asked = [found(source, len(sizes), seed=seed, restarts=1).labels for seed in (0, 1)]
        assert not np.array_equal(*asked)


@pytest.mark.parametrize("sizes", [(20,) * 9, (900, 80, 60, 40)])
def test_another_answer_of_mini_batches_gives_other_clusters(
    sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = skewed(sizes)[0] / 2 + np.random.default_rng(1).normal(size=(sum(sizes), 40)).astype(np.float32)
    before = found(source_of(rows), len(sizes))
    original = sklearn.cluster.MiniBatchKMeans.fit

    def elsewhere(self, points):  # type: ignore[no-untyped-def]
        fitted = original(self, points)
        fitted.cluster_centers_[:] = fitted.cluster_centers_[0]
        return fitted

    monkeypatch.setattr(sklearn.cluster.MiniBatchKMeans, "fit", elsewhere)
    assert agreement(found(source_of(rows), len(sizes)), before.labels) < 1


@pytest.mark.slow
def test_small_clusters_that_are_known_are_not_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = skewed((160, 30, 15))
    runs: list[int] = []
    original = sklearn.cluster.MiniBatchKMeans.fit

    def counted(self, points):  # type: ignore[no-untyped-def]
        runs.append(self.n_clusters)
        return original(self, points)

    monkeypatch.setattr(sklearn.cluster.MiniBatchKMeans, "fit", counted)

    def labels(rows: Embeddings, k: int, small: SmallClusters) -> np.ndarray:
        clusterer = KMeansOrMixture(ClusterSettings(k))
        return clusterer.fit_spaces(Spaces(rows, k, small=small), np.ones(len(rows), np.int64)).labels

    alone, by_itself = labels(rows, 4, {}), len(runs)
    known: SmallClusters = {}
    labels(rows, 2, known)  # 16, 20, 24, 28, 32: five of the numbers of small clusters for four
    before = len(runs)
    assert np.array_equal(labels(rows, 4, known), alone)
    assert len(runs) - before == by_itself - 2 * 5
    before = len(runs)
    labels(rows[:-1], 4, known)  # other points have others
    assert len(runs) - before == by_itself
