from __future__ import annotations

import resource
import signal
from dataclasses import replace

import numpy as np
import pytest
import sklearn.cluster
from analysis_data import ROUNDING, ArraySource, blobs, keys_of, source_of
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from imgcluster.analysis import features, kmeans
from imgcluster.analysis.centroids import find_nearest
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clusterers import CLUSTERERS
from imgcluster.analysis.clustering import cluster, predict
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.records import Clustering, SilentProgress

AUTO = PrepareSettings()
AS_THEY_COME = PrepareSettings("none")


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def fit(source: ArraySource, k: int, prepare: PrepareSettings = AUTO, **options: object) -> Clustering:
    settings = ClusterSettings(k, **{"restarts": 4, **options})
    return cluster([source], ["space"], prepare, settings, SilentProgress())


def by_key(clustering: Clustering) -> list[tuple[bytes, int, float]]:
    rows = zip(clustering.keys, clustering.labels, clustering.distances, strict=True)
    return sorted((key.tobytes(), int(label), float(distance)) for key, label, distance in rows)


def same_partition(labels: np.ndarray, truth: np.ndarray) -> float:
    return adjusted_rand_score(truth, labels)


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


@pytest.mark.parametrize("algorithm", CLUSTERERS)
@pytest.mark.parametrize("prepare", [PrepareSettings(), PrepareSettings("l2"), AS_THEY_COME])
def test_blobs_are_found(algorithm: str, prepare: PrepareSettings) -> None:
    rows, truth = blobs((50, 40, 30, 20))
    result = fit(source_of(rows), 4, prepare, algorithm=algorithm)
    assert same_partition(result.labels, truth) == 1
    assert np.bincount(result.labels).tolist() == [50, 40, 30, 20]


def test_clusters_are_numbered_by_their_files_and_then_by_their_smallest_key() -> None:
    rows = np.repeat(np.eye(4, dtype=np.float32), [3, 2, 2, 1], axis=0)
    source = source_of(rows)
    found = fit(source, 4).labels
    by_smallest_key = sorted((1, 2), key=lambda group: min(map(bytes, source.keys[rows[:, group] == 1])))
    assert [found[list(rows[:, group]).index(1)] for group in (0, *by_smallest_key, 3)] == [0, 1, 2, 3]
    weights = np.ones(8, np.int64)
    weights[7] = 9  # nine files show the last image
    settings = ClusterSettings(4)
    weighted = cluster([source], ["a"], AUTO, settings, SilentProgress(), weights)
    assert weighted.labels[7] == 0
    assert np.array_equal(predict(weighted.model, [rows])[0], weighted.labels)


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
    rows, _ = blobs((200, 150), spread=1.5)
    first = fit(source_of(rows), 6)
    for threads in (1, 4):
        with threadpool_limits(threads):
            again = fit(source_of(rows), 6)
        assert again.labels.tobytes() == first.labels.tobytes()
        assert again.distances.tobytes() == first.distances.tobytes()
        assert again.model.centroids.tobytes() == first.model.centroids.tobytes()


@pytest.mark.parametrize("k", [7, 11, 15, 16])
def test_never_fewer_clusters_than_asked_for(k: int) -> None:
    rows = np.random.default_rng(k).normal(size=(16, 5)).astype(np.float32)
    result = fit(source_of(rows), k)
    assert np.bincount(result.labels, minlength=k).min() >= 1
    assert result.k == k


def test_fewer_distinct_images_than_clusters_give_as_many_clusters_as_images_and_a_line() -> None:
    rows = np.repeat(np.eye(3, dtype=np.float32), [5, 4, 3], axis=0)
    progress = Notes()
    result = cluster([source_of(rows)], ["space"], PrepareSettings(), ClusterSettings(6), progress)
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
    with pytest.raises(UsageError, match="kmeans-or-mixture, minibatch-kmeans, kmeans"):
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


def test_assigning_the_same_images_gives_the_same_answers() -> None:
    rows, _ = blobs((300, 277), spread=1.0)
    result = fit(source_of(rows), 7)
    for count in (1, 3, 100, 577):
        labels, distances = predict(result.model, [rows[:count]])
        assert np.array_equal(labels, result.labels[:count])
        np.testing.assert_allclose(distances, result.distances[:count], **ROUNDING)


def test_two_spaces_stand_side_by_side() -> None:
    rows, truth = blobs((50, 40))
    other = np.sqrt(rows[:, :25])
    sources = [source_of(rows, block=32), source_of(other, block=19)]
    result = cluster(sources, ["a", "b"], PrepareSettings(), ClusterSettings(2), SilentProgress())
    assert result.model.spaces == ("a", "b")
    assert same_partition(result.labels, truth) == 1
    np.testing.assert_allclose(predict(result.model, [rows, other])[1], result.distances, **ROUNDING)


def test_spaces_with_different_images_are_never_mixed() -> None:
    rows = np.eye(4, dtype=np.float32)
    sources = [source_of(rows), ArraySource(keys_of(4, "other"), rows)]
    with pytest.raises(ValueError, match="different images"):
        cluster(sources, ["a", "b"], PrepareSettings(), ClusterSettings(2), SilentProgress())


@pytest.mark.parametrize("prepare", [AUTO, PrepareSettings("l2"), AS_THEY_COME])
def test_points_that_do_not_fit_in_memory_lie_in_a_file_and_give_the_same_clusters(
    prepare: PrepareSettings,
) -> None:
    rows, truth = blobs((450, 350, 250), dimension=64)
    whole = fit(source_of(rows), 3, prepare)
    assert isinstance(features.allocate((1050, 16), 50_000), np.memmap)
    mapped = fit(source_of(rows, block=125), 3, prepare, memory=50_000)
    assert same_partition(mapped.labels, truth) == 1
    assert np.array_equal(mapped.labels, whole.labels)
    np.testing.assert_allclose(mapped.distances, whole.distances, **ROUNDING)
    np.testing.assert_allclose(mapped.silhouettes, whole.silhouettes, **ROUNDING)


def test_a_disk_without_room_is_named() -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limit[1]))
    try:
        with pytest.raises(ImgclusterError, match="no room for 4 MB"):
            features.allocate((1024, 1024), 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_there_is_one_source_for_each_space() -> None:
    with pytest.raises(ValueError, match="one source for each"):
        cluster(
            [source_of(np.eye(4, dtype=np.float32))], ["a", "b"], AUTO, ClusterSettings(2), SilentProgress()
        )


def test_the_published_method_is_one_run_of_mini_batches_on_the_embeddings() -> None:
    rows, _ = blobs((900, 700, 500), spread=2.0)
    source = source_of(rows)
    order = np.argsort([bytes(key) for key in source.keys])
    for seed in range(2):
        theirs = np.empty(len(rows), int)
        theirs[order] = sklearn.cluster.MiniBatchKMeans(5, random_state=seed).fit(rows[order]).labels_
        ours = fit(source, 5, AS_THEY_COME, algorithm="minibatch-kmeans", restarts=1, seed=seed).labels
        assert same_partition(ours, theirs) == 1


@pytest.mark.parametrize("name", ["MiniBatchKMeans", "KMeans"])
@pytest.mark.parametrize("count", [60, pytest.param(6000, marks=pytest.mark.slow)])
def test_the_algorithm_that_is_named_runs_at_every_size_and_its_answer_counts(
    name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm = {"MiniBatchKMeans": "minibatch-kmeans", "KMeans": "kmeans"}[name]
    rows, _ = blobs((count // 2, count // 3, count // 6), dimension=8)
    calls = []
    estimator = getattr(sklearn.cluster, name)
    original = estimator.fit

    def fit_elsewhere(self, points):  # type: ignore[no-untyped-def]
        calls.append(len(points))
        found = original(self, points)
        found.cluster_centers_ = np.concatenate(
            [found.cluster_centers_[:1] + 100, found.cluster_centers_[1:]]
        )
        return found

    before = fit(source_of(rows), 3, AS_THEY_COME, algorithm=algorithm, restarts=1)
    monkeypatch.setattr(estimator, "fit", fit_elsewhere)
    after = fit(source_of(rows), 3, AS_THEY_COME, algorithm=algorithm, restarts=1)
    assert calls == [count]
    assert same_partition(after.labels, before.labels) < 1
    other = {"MiniBatchKMeans": "kmeans", "KMeans": "minibatch-kmeans"}[name]
    fit(source_of(rows), 3, AS_THEY_COME, algorithm=other, restarts=2)
    assert calls == [count]


def test_a_centroid_between_two_clusters_changes_places_with_one_of_two_in_a_third() -> None:
    corners = np.array([[0, 0], [0, 100], [9, 100], [300, 0], [309, 0]], np.float32)
    points = np.concatenate([corners + offset for offset in ((0, 0), (0, 2), (2, 0), (2, 2))]).astype("f4")
    stuck = kmeans.lloyd(points, np.array([[1, 0.5], [1, 1.5], [5, 101], [301, 1], [310, 1]], np.float32))
    assert find_nearest(points, stuck).inertia > 190
    better = kmeans.exchange(points, stuck)
    assert sorted(better.tolist()) == (corners + 1).tolist()


@pytest.mark.parametrize(("numbers", "happens"), [(64, True), (65, False)])
def test_centroids_of_many_numbers_do_not_change_places(
    numbers: int, monkeypatch: pytest.MonkeyPatch, *, happens: bool
) -> None:
    """It would take longer than all else."""
    calls: list[int] = []
    monkeypatch.setattr(kmeans, "exchange", lambda _, centroids: calls.append(1) or centroids)
    points = np.random.default_rng(0).random((40, numbers)).astype(np.float32)
    kmeans.KMeansClusterer("MiniBatchKMeans", ClusterSettings(3)).fit(points, np.ones(40, np.int64))
    assert bool(calls) == happens


def test_points_one_rounding_apart_come_to_an_end() -> None:
    rows = np.random.default_rng(0).random((6, 4)).astype(np.float32)
    rows[5] = rows[4]
    rows[5, 0] = np.nextafter(rows[5, 0], np.float32(2))
    for algorithm in ("minibatch-kmeans", "kmeans"):
        found = fit(source_of(rows), 6, AS_THEY_COME, algorithm=algorithm)
        assert found.k in {5, 6}
        assert np.bincount(found.labels).min() >= 1


@pytest.mark.parametrize("prepare", [AUTO, AS_THEY_COME])
def test_of_many_equal_images_and_a_few_others_each_kind_is_a_cluster(prepare: PrepareSettings) -> None:
    kinds, _ = blobs((1,) * 8, dimension=20)
    rows = np.concatenate([kinds[:2].repeat(600, axis=0), kinds[2:]])
    notes = Notes()
    for k, count in ((8, 8), (5, 5), (11, 8)):
        result = cluster([source_of(rows)], ["a"], prepare, ClusterSettings(k, restarts=2), notes)
        assert result.k == count
        assert np.array_equal(predict(result.model, [rows])[0], result.labels)
    assert notes.notes == ["only 8 of 1206 images are distinct: making 8 clusters"]


def test_a_seed_is_any_whole_number() -> None:
    rows, truth = blobs((20, 10))
    settings = ClusterSettings(2)
    for seed in (-1, 0, 2**70):
        result = cluster(
            [source_of(rows)], ["a"], PrepareSettings(), replace(settings, seed=seed), SilentProgress()
        )
        assert same_partition(result.labels, truth) == 1
