"""Features of very many dimensions, as `--pooling flatten` gives them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from analysis_data import ROUNDING, blobs, source_of

from imgcluster.analysis.covariance import principal_components
from imgcluster.analysis.kmeans import KMeansSettings, cluster
from imgcluster.analysis.prepare import PrepareSettings, apply_preparation, fit_features
from imgcluster.analysis.projection import project
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.wide import WIDE, affordable_wide_rows, wide_components
from imgcluster.records import SilentProgress

FLATTENED = 131_072
"""What InceptionV3 gives: 8 x 8 x 2048."""


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_components_are_those_of_the_covariance() -> None:
    rows = unit(blobs((40, 30), dimension=100)[0])
    wide, plain = wide_components(rows, 5), principal_components([rows], len(rows), 5)
    assert np.allclose(wide.mean, plain.mean, atol=1e-5)
    assert np.allclose(wide.variances, plain.variances, rtol=1e-3)
    assert np.allclose((wide.axes * plain.axes).sum(axis=1), 1, atol=1e-4)
    assert np.allclose(wide.axes @ wide.axes.T, np.eye(5), atol=1e-9)


def test_directions_without_variance_are_left_out() -> None:
    distinct = unit(np.random.default_rng(0).random((3, 5000)).astype(np.float32))
    assert len(wide_components(distinct[np.arange(30) % 3], 16).axes) == 2
    source = source_of(np.full((5, WIDE + 1), 0.25))
    points = apply_preparation(fit_features(source, PrepareSettings()), source.rows)
    assert np.isfinite(points).all()


def test_they_depend_on_neither_the_order_of_rows_nor_the_blocks_to_the_last_bit() -> None:
    rows, _ = blobs((70, 50), dimension=WIDE + 100)
    source = source_of(rows)
    other = source.taken(np.random.default_rng(1).permutation(len(rows)), block=7)
    first, again = (fit_features(each, PrepareSettings()) for each in (source, other))
    assert first.components.tobytes() == again.components.tobytes()
    assert first.mean.tobytes() == again.mean.tobytes()


def test_a_row_is_prepared_the_same_alone_and_among_others() -> None:
    rows, _ = blobs((40, 30), dimension=3 * 8192)
    preparation = fit_features(source_of(rows), PrepareSettings())
    whole = apply_preparation(preparation, rows)
    for place in (slice(0, 1), slice(5, 8), slice(60, 70)):
        np.testing.assert_allclose(apply_preparation(preparation, rows[place]), whole[place], **ROUNDING)


@pytest.mark.parametrize(("memory", "rows"), [(None, 2048), (8 << 30, 2048), (512 << 20, 512), (1, 256)])
def test_as_many_rows_are_looked_at_as_fit_half_the_memory(memory: int | None, rows: int) -> None:
    assert affordable_wide_rows(FLATTENED, 64, memory) == rows
    assert affordable_wide_rows(FLATTENED, 1000, memory) >= 4000


def test_flattened_features_are_clustered_within_the_memory_for_it() -> None:
    rows, truth = blobs((30, 20), dimension=FLATTENED)
    tracemalloc.start()
    try:
        found = cluster(
            [source_of(rows, block=16)],
            ["a"],
            PrepareSettings(),
            KMeansSettings(2, restarts=2, memory=256 << 20),
            SilentProgress(),
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert evaluate(found.labels, [str(label) for label in truth]).accuracy == 1
    assert peak < 256 << 20


def test_few_wide_points_have_a_map_without_a_matrix_of_their_dimensions() -> None:
    points, truth = blobs((6, 5), dimension=FLATTENED)
    tracemalloc.start()
    try:
        xy = project(points).xy
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert xy[:, 0].var() >= xy[:, 1].var() > 0
    assert len(set(np.sign(xy[truth == 0, 0]))) == 1
    assert np.allclose(xy.mean(axis=0), 0, atol=1e-4)
