from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from analysis_data import ROUNDING, ArraySource, blobs, keys_of, source_of
from threadpoolctl import threadpool_limits

from imgcluster.analysis import fitting, memory
from imgcluster.analysis.assigning import assign
from imgcluster.analysis.kmeans import KMeansSettings, cluster, number_clusters
from imgcluster.analysis.prepare import PrepareSettings
from imgcluster.analysis.scoring import adjusted_rand, contingency
from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.records import Clustering, SilentProgress

AUTO = PrepareSettings()
AS_THEY_COME = PrepareSettings("none")


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


LITTLE = 1_024_000
"""For the features of 1,000 images, where these have 64 numbers."""


@pytest.fixture
def a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little memory count, so that small sets are streamed."""
    monkeypatch.setattr(memory, "LEAST_MEMORY", 0)


def fit(source: ArraySource, k: int, prepare: PrepareSettings = AUTO, **options: object) -> Clustering:
    return cluster([source], ["space"], prepare, KMeansSettings(k, **options), SilentProgress())


def by_key(clustering: Clustering) -> list[tuple[bytes, int, float]]:
    rows = zip(clustering.keys, clustering.labels, clustering.distances, strict=True)
    return sorted((key.tobytes(), int(label), float(distance)) for key, label, distance in rows)


def same_partition(labels: np.ndarray, truth: np.ndarray) -> float:
    return adjusted_rand(contingency(truth, labels, truth.max() + 1, labels.max() + 1))


def test_a_small_case_worked_out_by_hand() -> None:
    rows = np.array([[0], [1], [2], [10], [12]], np.float32)
    result = fit(source_of(rows), 2, AS_THEY_COME)
    assert result.labels.tolist() == [0, 0, 0, 1, 1]
    assert result.model.centroids.tolist() == [[1], [11]]
    assert result.distances.tolist() == [1, 0, 1, 1, 1]
    assert result.inertia == 4
    assert result.silhouettes[:2].tolist() == pytest.approx([1 - 1 / 11, 1])
    # Rousseeuw's silhouette by hand: mean distance inside against mean distance to the other cluster.
    by_hand = [1 - 1.5 / 11, 1 - 1 / 10, 1 - 1.5 / 9, 1 - 2 / 9, 1 - 2 / 11]
    assert result.silhouette == pytest.approx(np.mean(by_hand))


@pytest.mark.parametrize("algorithm", ["minibatch-kmeans", "kmeans"])
@pytest.mark.parametrize("prepare", [PrepareSettings(), PrepareSettings("l2"), AS_THEY_COME])
def test_blobs_are_found(algorithm: str, prepare: PrepareSettings) -> None:
    rows, truth = blobs((50, 40, 30, 20))
    result = fit(source_of(rows), 4, prepare, algorithm=algorithm)
    assert same_partition(result.labels, truth) == 1
    assert np.bincount(result.labels).tolist() == [50, 40, 30, 20]


def test_clusters_are_numbered_by_size_and_then_by_their_smallest_key() -> None:
    assert number_clusters(np.array([2, 1, 1, 0, 0, 2, 3], np.int32), 4).tolist() == [2, 1, 0, 3]


def test_order_of_rows_and_blocks_changes_nothing() -> None:
    rows, _ = blobs((60, 50, 41), spread=1.0)
    source = source_of(rows)
    expected = fit(source, 5)
    for seed, block in ((0, 1 << 30), (1, 7), (2, 64)):
        order = np.random.default_rng(seed).permutation(len(rows))
        found = fit(source.taken(order, block), 5)
        in_order = np.argsort(order)
        assert np.array_equal(found.labels[in_order], expected.labels)
        np.testing.assert_allclose(found.distances[in_order], expected.distances, **ROUNDING)
        assert found.silhouette == pytest.approx(expected.silhouette, rel=1e-5)


def test_two_runs_agree_to_the_last_bit_and_so_do_one_and_many_threads() -> None:
    rows, _ = blobs((400, 300), spread=1.5)
    first = fit(source_of(rows), 6)
    for threads in (1, 4):
        with threadpool_limits(threads):
            again = fit(source_of(rows), 6)
        assert again.labels.tobytes() == first.labels.tobytes()
        assert again.distances.tobytes() == first.distances.tobytes()
        assert again.model.centroids.tobytes() == first.model.centroids.tobytes()


@pytest.mark.parametrize("k", range(7, 17))
def test_never_fewer_clusters_than_asked_for(k: int) -> None:
    rows = np.random.default_rng(k).normal(size=(16, 5)).astype(np.float32)
    result = fit(source_of(rows), k)
    assert np.bincount(result.labels, minlength=k).min() >= 1
    assert result.k == k


def test_fewer_distinct_images_than_clusters_give_as_many_clusters_as_images_and_a_line() -> None:
    rows = np.repeat(np.eye(3, dtype=np.float32), [5, 4, 3], axis=0)
    progress = Notes()
    result = cluster([source_of(rows)], ["space"], PrepareSettings(), KMeansSettings(6), progress)
    assert result.k == 3
    assert np.bincount(result.labels).tolist() == [5, 4, 3]
    assert progress.notes == ["only 3 of 12 images are distinct: making 3 clusters"]


@pytest.mark.parametrize(("k", "message"), [(0, "1 or more"), (4, "--k 3")])
def test_a_number_of_clusters_that_cannot_be_is_refused(k: int, message: str) -> None:
    with pytest.raises(ImgclusterError, match=message):
        fit(source_of(np.eye(3, dtype=np.float32)), k)


def test_nothing_to_cluster_is_refused() -> None:
    with pytest.raises(ImgclusterError, match="no images"):
        fit(source_of(np.zeros((0, 4), np.float32)), 1)


def test_an_algorithm_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="minibatch-kmeans, kmeans"):
        fit(source_of(np.eye(3, dtype=np.float32)), 2, algorithm="magic")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_very_few_images_work(count: int) -> None:
    rows = np.random.default_rng(0).random((count, 30)).astype(np.float32)
    for k in range(1, count + 1):
        assert sorted(set(fit(source_of(rows), k).labels.tolist())) == list(range(k))


def test_one_cluster_has_no_silhouette() -> None:
    result = fit(source_of(np.eye(4, dtype=np.float32)), 1)
    assert np.isnan(result.silhouette)
    assert np.isnan(result.silhouettes).all()


def test_blank_and_equal_rows_stay_finite() -> None:
    rows = np.zeros((12, 6), np.float32)
    rows[6:] = np.eye(6)
    result = fit(source_of(rows), 4)
    assert np.isfinite(result.distances).all()
    assert result.k == 4
    assert len(set(result.labels[:6].tolist())) == 1


def test_an_embedding_that_is_not_a_number_is_named_as_the_trouble() -> None:
    rows = np.eye(4, dtype=np.float32)
    rows[2, 1] = np.nan
    with pytest.raises(ImgclusterError, match="NaN or infinity"):
        fit(source_of(rows), 2)


def test_assigning_the_same_images_gives_the_same_answers() -> None:
    rows, _ = blobs((300, 277), spread=1.0)
    result = fit(source_of(rows), 7)
    for count in (1, 3, 100, 577):
        labels, distances = assign(result.model, [rows[:count]])
        assert np.array_equal(labels, result.labels[:count])
        np.testing.assert_allclose(distances, result.distances[:count], **ROUNDING)


def test_two_spaces_stand_side_by_side() -> None:
    rows, truth = blobs((50, 40))
    other = np.sqrt(rows[:, :25])
    sources = [source_of(rows, block=32), source_of(other, block=19)]
    result = cluster(sources, ["a", "b"], PrepareSettings(), KMeansSettings(2), SilentProgress())
    assert result.model.spaces == ("a", "b")
    assert same_partition(result.labels, truth) == 1
    np.testing.assert_allclose(assign(result.model, [rows, other])[1], result.distances, **ROUNDING)


def test_spaces_with_different_images_are_never_mixed() -> None:
    rows = np.eye(4, dtype=np.float32)
    sources = [source_of(rows), ArraySource(keys_of(4, "other"), rows)]
    with pytest.raises(ValueError, match="different images"):
        cluster(sources, ["a", "b"], PrepareSettings(), KMeansSettings(2), SilentProgress())


@pytest.mark.usefixtures("a_small_machine")
def test_points_that_do_not_fit_in_memory_are_streamed_to_the_same_clusters() -> None:
    rows, truth = blobs((900, 700, 500), dimension=64)
    source = source_of(rows, block=250)
    whole = fit(source, 3, PrepareSettings("l2"))
    streamed = fit(source, 3, PrepareSettings("l2"), memory=LITTLE)
    assert same_partition(streamed.labels, truth) == 1
    assert np.array_equal(streamed.labels, whole.labels)
    assert streamed.inertia == pytest.approx(whole.inertia, rel=1e-5)
    np.testing.assert_allclose(assign(streamed.model, [rows])[1], streamed.distances, **ROUNDING)


@pytest.mark.usefixtures("a_small_machine")
def test_the_automatic_preparation_streams_too() -> None:
    rows, truth = blobs((900, 700, 500), dimension=64)
    streamed = fit(source_of(rows, block=250), 3, memory=LITTLE)
    assert same_partition(streamed.labels, truth) == 1
    assert np.bincount(streamed.labels).tolist() == [900, 700, 500]
    np.testing.assert_allclose(assign(streamed.model, [rows])[1], streamed.distances, **ROUNDING)


@pytest.mark.usefixtures("a_small_machine")
def test_silhouettes_of_images_that_are_streamed_are_not_flattered_either() -> None:
    rows, _ = blobs((900, 700, 500), dimension=64, spread=0.5)
    whole = fit(source_of(rows, block=250), 3)
    streamed = fit(source_of(rows, block=250), 3, memory=LITTLE)
    same = whole.labels == streamed.labels
    assert same.mean() > 0.98
    # In the space that the clusters sharpened the difference is 0.11.
    assert np.abs(whole.silhouettes - streamed.silhouettes)[same].mean() < 0.05
    assert streamed.silhouette == pytest.approx(whole.silhouette, abs=0.05)


@pytest.mark.usefixtures("a_small_machine")
@pytest.mark.parametrize("prepare", [AUTO, AS_THEY_COME])
def test_images_that_are_streamed_give_as_many_clusters_as_there_are_distinct_ones(
    prepare: PrepareSettings,
) -> None:
    kinds, _ = blobs((1,) * 8, dimension=20)
    rows = np.concatenate([kinds[:2].repeat(1500, axis=0), kinds[2:]])
    notes = Notes()
    for k, count in ((8, 8), (5, 5), (11, 8)):
        settings = KMeansSettings(k, memory=LITTLE // 4)
        result = cluster([source_of(rows, block=250)], ["a"], prepare, settings, notes)
        assert result.k == count
        assert np.bincount(result.labels).min() >= 1
        assert np.array_equal(assign(result.model, [rows])[0], result.labels)
    assert notes.notes == ["only 8 of 3006 images are distinct: making 8 clusters"]


def test_there_is_one_source_for_each_space() -> None:
    with pytest.raises(ValueError, match="one source for each"):
        cluster(
            [source_of(np.eye(4, dtype=np.float32))], ["a", "b"], AUTO, KMeansSettings(2), SilentProgress()
        )


def test_a_batch_is_as_large_as_threads_need_on_usual_machines() -> None:
    assert fitting.BATCH >= 256 * 32


def test_the_answer_does_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "SAMPLE", 9000)
    source = source_of(np.random.default_rng(0).random((9000, 4), np.float32))
    answers = []
    for cores in (2, 64):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        answers.append(by_key(fit(source, 12, AS_THEY_COME, restarts=2)))
    assert answers[0] == answers[1]


def test_restarts_depend_on_the_size_of_the_data_alone() -> None:
    assert fitting.restarts_for((600, 16), 6) == 300
    assert fitting.restarts_for((16_384, 64), 10) == 12
    assert fitting.restarts_for((10**6, 64), 10) == 12
    assert fitting.restarts_for((16_384, 64), 1000) == fitting.FEWEST_RESTARTS


def test_mini_batches_find_what_full_passes_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "BATCH", 512)
    rows, truth = blobs((900, 700, 500))
    result = fit(source_of(rows), 3)
    assert same_partition(result.labels, truth) == 1


def test_a_seed_is_any_whole_number() -> None:
    rows, truth = blobs((20, 10))
    settings = KMeansSettings(2)
    for seed in (-1, 0, 2**70):
        result = cluster(
            [source_of(rows)], ["a"], PrepareSettings(), replace(settings, seed=seed), SilentProgress()
        )
        assert same_partition(result.labels, truth) == 1
