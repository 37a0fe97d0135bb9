"""Features of very many dimensions, as `--pooling flatten` gives them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from analysis_data import ROUNDING, blobs, source_of, watched

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.pca import principal_components
from imgcluster.analysis.projection import project
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.transforms import PrepareSettings, fit_transform, transform, wide_rows
from imgcluster.records import SilentProgress

FLATTENED = 131_072
"""What InceptionV3 gives: 8 x 8 x 2048."""


def test_directions_without_variance_are_left_out() -> None:
    distinct = np.random.default_rng(0).random((3, 5000)).astype(np.float32)
    assert len(principal_components(distinct[np.arange(30) % 3], 16).axes) == 2
    source = watched(np.full((5, FLATTENED), 0.25, np.float32))
    assert np.isfinite(transform(fit_transform(source, PrepareSettings()), source.source.rows)).all()


def test_a_row_is_prepared_the_same_alone_and_among_others() -> None:
    rows, _ = blobs((40, 30), dimension=3 * 8192)
    fitted = fit_transform(watched(rows), PrepareSettings())
    whole = transform(fitted, rows)
    for place in (slice(0, 1), slice(5, 8), slice(60, 70)):
        np.testing.assert_allclose(transform(fitted, rows[place]), whole[place], **ROUNDING)


@pytest.mark.parametrize(("memory", "rows"), [(None, 2048), (8 << 30, 2048), (512 << 20, 512), (1, 256)])
def test_as_many_rows_are_looked_at_as_fit_half_the_memory(memory: int | None, rows: int) -> None:
    assert wide_rows(FLATTENED, 64, memory) == rows
    assert wide_rows(FLATTENED, 1000, memory) >= 4000


def test_flattened_features_are_clustered_within_the_memory_for_it() -> None:
    rows, truth = blobs((30, 20), dimension=FLATTENED)
    tracemalloc.start()
    try:
        found = cluster(
            [source_of(rows, block=16)],
            ["a"],
            PrepareSettings(),
            ClusterSettings(2, restarts=2, memory=256 << 20),
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
