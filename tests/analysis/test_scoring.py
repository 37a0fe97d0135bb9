from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import silhouette_score

from imgcluster.analysis.scoring import evaluate, silhouette

pairs = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcd")), min_size=1, max_size=60)


def test_a_small_case_worked_out_by_hand() -> None:
    #           a  b      cluster 7 holds both b and one a, cluster 3 two a, cluster 5 one c
    clusters = np.array([3, 3, 7, 7, 7, 5])
    result = evaluate(clusters, ["a", "a", "a", "b", "b", "c"])
    assert result.labels == ("a", "b", "c")
    assert result.matched == (3, 7, 5)
    assert result.columns == (3, 7, 5)
    assert result.confusion.tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, 1]]
    assert (result.images, result.errors) == (6, 1)
    assert result.accuracy == result.purity == pytest.approx(5 / 6)


def test_clusters_without_a_class_come_last_and_classes_without_a_cluster_are_none() -> None:
    more = evaluate(np.array([0, 0, 1, 2, 2, 2]), ["a"] * 3 + ["b"] * 3)
    assert more.matched == (0, 2)
    assert more.columns == (0, 2, 1)
    assert more.errors == 1
    fewer = evaluate(np.zeros(4, int), ["a", "a", "a", "b"])
    assert fewer.matched == (0, None)
    assert fewer.confusion.tolist() == [[3], [1]]
    assert fewer.errors == 1


def test_what_fits_nowhere_stands_for_no_class() -> None:
    result = evaluate(np.array([-1, -1, -1, 0, 0]), ["a", "a", "a", "b", "b"])
    assert result.matched == (None, 0)
    assert (result.columns, result.errors) == ((0, -1), 3)


@given(pairs, st.permutations(range(6)))
def test_names_of_clusters_do_not_matter(rows: list[tuple[int, str]], names: list[int]) -> None:
    clusters, classes = np.array([row[0] for row in rows]), [row[1] for row in rows]
    first, renamed = evaluate(clusters, classes), evaluate(np.array(names)[clusters], classes)
    assert first.errors == renamed.errors
    assert first.ari == pytest.approx(renamed.ari)
    assert first.nmi == pytest.approx(renamed.nmi)
    assert first.purity == renamed.purity


@given(pairs)
def test_no_index_is_larger_than_it_can_be(rows: list[tuple[int, str]]) -> None:
    clusters, classes = np.array([row[0] for row in rows]), [row[1] for row in rows]
    result = evaluate(clusters, classes)
    assert max(result.ari, result.nmi) <= 1 + 1e-9
    assert 0 < result.accuracy <= result.purity <= 1
    assert result.confusion.sum() == result.images


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_a_partition_agrees_wholly_with_itself(numbers: list[int]) -> None:
    result = evaluate(np.array(numbers), [f"class {number}" for number in numbers])
    assert result.accuracy == result.ari == result.purity == 1
    assert result.nmi == pytest.approx(1)


@pytest.mark.parametrize(("clusters", "classes"), [([], []), ([1, 2], ["a"])])
def test_nothing_to_compare_is_refused(clusters: list[int], classes: list[str]) -> None:
    with pytest.raises(ValueError, match="as many classes"):
        evaluate(np.array(clusters), classes)


def test_silhouette_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(700, 5)).astype(np.float32)
    labels = random.integers(0, 4, 700)
    labels[0] = 9  # alone in its cluster
    assert silhouette(points, labels) == pytest.approx(silhouette_score(points, labels), abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0], []])
def test_silhouette_is_not_defined_for_one_cluster_nor_for_clusters_of_one(labels: list[int]) -> None:
    points = np.arange(2 * len(labels), dtype=np.float32).reshape(-1, 2)
    assert np.isnan(silhouette(points, np.array(labels, int)))


def test_silhouette_of_equal_points_is_zero() -> None:
    assert silhouette(np.ones((4, 2), np.float32), np.array([0, 0, 1, 1])) == 0


def test_silhouette_of_many_points_is_sampled_and_the_sample_seeded() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(20_000, 3)).astype(np.float32)
    labels = (points[:, 0] > 0).astype(int)
    assert silhouette(points, labels, seed=1, sample=500) == silhouette(points, labels, seed=1, sample=500)
    assert silhouette(points, labels, seed=1, sample=500) != silhouette(points, labels, seed=2, sample=500)
