"""Merging, levels and HDBSCAN: what each finds, and that new images get the same answer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from analysis_data import blobs, source_of
from sklearn.metrics import adjusted_rand_score

from imgcluster.analysis import members
from imgcluster.analysis.choose_k import sweep
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster, predict
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.errors import UsageError
from imgcluster.records import Clustering, Embeddings, SilentProgress

OTHERS = ("agglomerative", "agglomerative-average", "levels", "hdbscan")


def found(rows: Embeddings, k: int, algorithm: str, how: str = "auto") -> Clustering:
    settings = ClusterSettings(k, algorithm, restarts=4)
    return cluster([source_of(rows)], ["a"], PrepareSettings(how), settings, SilentProgress())


@pytest.mark.parametrize("most", [members.MOST_MEMBERS, 140])
@pytest.mark.parametrize("algorithm", OTHERS)
def test_blobs_are_found_and_found_again(algorithm: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_MEMBERS", most)  # of more images, a sample is looked at
    rows, truth = blobs((70, 50, 40))
    rows = np.concatenate([rows, rows[:5]])  # and some twice
    result = found(rows, 3, algorithm)
    assert result.k == 3
    inside = result.labels[:160] >= 0
    assert inside.mean() > 0.85
    assert adjusted_rand_score(truth[inside], result.labels[:160][inside]) == 1
    for count in (1, 7, len(rows)):
        assert np.array_equal(predict(result.model, [rows[:count]])[0], result.labels[:count])


@pytest.mark.parametrize("algorithm", OTHERS)
@pytest.mark.parametrize("how", ["auto", "none"])
def test_very_few_images_work_and_so_do_equal_ones(algorithm: str, how: str) -> None:
    for count, ks in ((1, (1,)), (2, (1, 2)), (7, (3, 7))):
        rows = np.random.default_rng(0).random((count, 30)).astype(np.float32)
        for k in ks:
            assert found(rows, k, algorithm, how).k == (k if algorithm != "hdbscan" else 0)
    assert found(np.repeat(np.eye(3, dtype=np.float32), 30, axis=0), 5, algorithm, how).k == 3


def test_what_lies_apart_fits_nowhere_for_hdbscan() -> None:
    rows, _ = blobs((70, 50), spread=0.2)
    apart = np.random.default_rng(5).gamma(0.5, 2.0, (4, 40)).astype(np.float32)
    result = found(np.concatenate([rows, apart]), 2, "hdbscan")
    assert result.k == 2
    assert (result.labels[-4:] == -1).all()


def test_each_level_divides_the_one_above() -> None:
    rows, _ = blobs((60, 50, 40, 30, 20), spread=0.8)
    levels = [found(rows, k, "levels").labels for k in (1, 2, 3, 5, 8, 13, 40)]
    for above, below in pairwise(levels):
        assert len({(a, b) for a, b in zip(above, below, strict=True)}) == below.max() + 1
    with pytest.raises(UsageError, match="128 clusters at most"):
        found(np.random.default_rng(0).random((200, 8)).astype(np.float32), 150, "levels")


@pytest.mark.parametrize("algorithm", OTHERS)
def test_a_sweep_has_a_row_for_each_k_or_one_where_k_is_found(algorithm: str) -> None:
    rows, _ = blobs((60, 50, 40))
    settings = ClusterSettings(2, algorithm, restarts=4)
    table, _ = sweep([source_of(rows)], ["a"], PrepareSettings(), [2, 3], settings, SilentProgress())
    assert [row.k for row in table.rows] == ([3] if algorithm == "hdbscan" else [2, 3])
    assert table.suggestion == 3
