"""What fits nowhere is left out: strangers by themselves, or a share of the images."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_data import source_of

from imgcluster.analysis.clusterer import ClusterSettings, LeaveOut
from imgcluster.analysis.clustering import cluster, predict
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import Clustering, Embeddings, SilentProgress

CLASSES, MEMBERS, STRANGERS = 3, 120, 36


def with_strangers() -> Embeddings:
    """Three classes, and after them strangers of four kinds that have something in common."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(CLASSES * MEMBERS + STRANGERS, 60)) * 0.5
    centres = np.zeros((len(noise), 60))
    centres[np.arange(CLASSES * MEMBERS), np.repeat(np.arange(CLASSES), MEMBERS)] = 4
    strange = np.arange(CLASSES * MEMBERS, len(noise))
    centres[strange, 10] = 4
    centres[strange, 20 + np.arange(STRANGERS) % 4] = 3
    return (centres + noise + 5).astype(np.float32)


def found(rows: Embeddings, leave_out: LeaveOut, how: str = "auto", **options: str) -> Clustering:
    settings = ClusterSettings(CLASSES, leave_out=leave_out, restarts=4, **options)
    return cluster([source_of(rows)], ["a"], PrepareSettings(how), settings, SilentProgress())


@pytest.mark.parametrize("algorithm", ["kmeans-or-mixture", "minibatch-kmeans", "agglomerative"])
def test_strangers_are_left_out_and_classes_are_not(algorithm: str) -> None:
    rows = with_strangers()
    result = found(rows, "auto", algorithm=algorithm)
    outside = result.labels < 0
    assert outside[-STRANGERS:].mean() > 0.5
    assert outside[:-STRANGERS].mean() < 0.03
    assert result.k == CLASSES
    assert np.isfinite(result.distances).all()
    labels, _ = predict(result.model, [rows])
    assert np.array_equal(labels, result.labels)


def test_where_there_are_no_strangers_nothing_is_left_out() -> None:
    rows = with_strangers()[:-STRANGERS]
    result = found(rows, "auto")
    assert (result.labels >= 0).all()
    assert np.array_equal(result.labels, found(rows, None).labels)
    assert (found(with_strangers(), 0).labels >= 0).all()


@pytest.mark.parametrize("how", ["auto", "l2"])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_a_share_is_left_out(share: float, how: str) -> None:
    rows = with_strangers()
    result = found(rows, share, how)
    outside = result.labels < 0
    assert outside.sum() == pytest.approx(share * len(rows), abs=2)
    assert outside[-STRANGERS:].mean() > outside[:-STRANGERS].mean()
    labels, _ = predict(result.model, [rows])
    assert np.array_equal(labels, result.labels)


def test_few_images_have_no_strangers() -> None:
    for count in (3, 4, 7):
        rows = np.random.default_rng(0).random((count, 12)).astype(np.float32)
        assert found(rows, "auto").k == 3
        assert found(rows, 0.5).k >= 1
