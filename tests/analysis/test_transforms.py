from __future__ import annotations

import numpy as np
import pytest
from analysis_data import ROUNDING, blobs, source_of, watched

from imgcluster.analysis.embeddings import Watched, finite_rows
from imgcluster.analysis.pca import principal_components
from imgcluster.analysis.transforms import (
    PrepareSettings,
    automatic_dimensions,
    fit_transform,
    power_normalize,
    transform,
)
from imgcluster.records import SilentProgress

PCA = PrepareSettings(pca=16)


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    rows, _ = blobs((70, 50), dimension=30)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = principal_components(rows, 5)
    _, values, axes = np.linalg.svd((rows - rows.mean(axis=0)).astype(np.float64))
    assert np.allclose(found.variances, values[:5] ** 2 / len(rows), rtol=1e-3)
    assert np.allclose(np.abs((found.axes * axes[:5]).sum(axis=1)), 1, atol=1e-4)
    assert np.allclose(found.mean, rows.mean(axis=0), atol=1e-5)


def test_components_of_few_rows_are_those_of_the_covariance() -> None:
    rows, _ = blobs((20, 15), dimension=30)
    few, covariance = principal_components(rows, 5), np.cov(rows.T, bias=True)
    assert np.allclose(few.axes @ covariance @ few.axes.T, np.diag(few.variances), atol=1e-6)
    again = principal_components(rows[:29], 5)  # fewer rows than dimensions
    assert np.allclose(
        again.axes @ np.cov(rows[:29].T, bias=True) @ again.axes.T, np.diag(again.variances), atol=1e-6
    )
    assert np.allclose(again.axes @ again.axes.T, np.eye(5), atol=1e-9)


def test_components_do_not_depend_on_the_order_of_rows_to_the_last_bit() -> None:
    source = source_of(blobs((70, 50), dimension=30)[0])
    shuffled = source.taken(np.random.default_rng(1).permutation(120), block=7)
    first, again = (fit_transform(Watched(each, SilentProgress()), PCA) for each in (source, shuffled))
    assert first.components.tobytes() == again.components.tobytes()
    assert first.mean.tobytes() == again.mean.tobytes()


def test_half_whitening_divides_by_the_root_of_the_standard_deviation() -> None:
    rows, _ = blobs((70, 50), dimension=30)
    source = watched(rows)
    plain = transform(fit_transform(source, PrepareSettings("l2", pca=4)), rows)
    half = transform(fit_transform(source, PrepareSettings("l2", pca=4, whiten=0.5)), rows)
    full = transform(fit_transform(source, PrepareSettings("l2", pca=4, whiten=1)), rows)
    deviation = plain.std(axis=0)
    assert np.allclose(half, plain / np.sqrt(deviation), rtol=2e-3, atol=1e-5)
    assert np.allclose(full.std(axis=0), 1, rtol=2e-3)


def test_automatic_preparation_ends_with_unit_length() -> None:
    rows, _ = blobs((70, 50), dimension=30)
    points = transform(fit_transform(watched(rows), PCA), rows)
    assert points.shape == (120, 16)
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)


def test_roots_keep_signs() -> None:
    rows = np.array([[4, -9, 0], [0.25, 0, -1]], np.float32)
    assert power_normalize(rows).tolist() == [[2, -3, 0], [0.5, 0, -1]]


def test_only_the_automatic_preparation_begins_with_roots() -> None:
    rows, _ = blobs((70, 50), dimension=30)
    source, of_roots = watched(rows), watched(power_normalize(rows))
    for settings, automatic in (
        (PrepareSettings(pca=4, whiten=0), True),
        (PrepareSettings("l2", pca=4), False),
    ):
        fitted = fit_transform(source, settings)
        plainly = fit_transform(of_roots if automatic else source, PrepareSettings("l2", pca=4))
        assert fitted.roots == automatic
        assert np.array_equal(fitted.components, plainly.components)


def test_l2_and_none_do_what_their_names_say() -> None:
    rows = np.array([[3, 4], [0, 0], [0, 2]], np.float32)
    assert transform(fit_transform(watched(rows), PrepareSettings("none")), rows).tolist() == rows.tolist()
    unit = transform(fit_transform(watched(rows), PrepareSettings("l2")), rows)
    assert np.allclose(unit, [[0.6, 0.8], [0, 0], [0, 1]])


def test_components_of_rows_as_they_come_keep_their_scale() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32) * [100, 10, 1, 1, 1, 1]
    rows = rows.astype(np.float32)
    points = transform(fit_transform(watched(rows), PrepareSettings("none", pca=2)), rows)
    assert np.allclose(points.std(axis=0), rows[:, :2].std(axis=0), rtol=0.05)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_fewer_images_than_dimensions_work(count: int) -> None:
    rows = np.random.default_rng(0).random((count, 100)).astype(np.float32)
    points = transform(fit_transform(watched(rows), PCA), rows)
    assert len(points) == count
    assert np.isfinite(points).all()


def test_equal_rows_have_no_components_and_stay_finite() -> None:
    rows = np.full((5, 8), 0.25, np.float32)
    points = transform(fit_transform(watched(rows), PCA), rows)
    assert np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == 1


def test_a_row_is_prepared_the_same_alone_and_among_others() -> None:
    rows, _ = blobs((700, 600), dimension=100)
    preparation = fit_transform(watched(rows), PCA)
    whole = transform(preparation, rows)
    for place in (slice(0, 1), slice(5, 8), slice(513, 1290)):
        np.testing.assert_allclose(transform(preparation, rows[place]), whole[place], **ROUNDING)


def test_rows_that_are_not_finite_are_told() -> None:
    rows = np.zeros((5, 3), np.float32)
    rows[1, 2], rows[4, 0] = np.nan, -np.inf
    assert finite_rows(rows).tolist() == [True, False, True, True, False]
    assert finite_rows(rows[:0]).tolist() == []
    source = watched(rows, block=2)
    assert [block.tolist() for block in source.blocks()] == [[[0, 0, 0]] * 2, [[0, 0, 0]] * 2, [[0, 0, 0]]]
    assert source.broken.tolist() == [False, True, False, False, True]
    huge = np.full((2, 3), 3e38, np.float32)  # their sum is not finite, they are
    assert finite_rows(huge).all()


def test_more_clusters_take_more_dimensions() -> None:
    assert [automatic_dimensions(k) for k in (2, 8, 20, 500)] == [16, 16, 20, 64]
