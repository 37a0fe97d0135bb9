from __future__ import annotations

import sys

import numpy as np
import pytest
from analysis_data import blobs

from imgcluster.analysis import projection
from imgcluster.analysis.projection import project


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 12, 13])
def test_any_number_of_points_has_a_map(count: int) -> None:
    points = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    found = project(points)
    assert found.xy.shape == (count, 2)
    assert found.xy.dtype == np.float32
    assert np.isfinite(found.xy).all()
    assert len(np.unique(found.xy, axis=0)) == count


@pytest.mark.parametrize("count", [3, 40])
def test_equal_points_have_a_map(count: int) -> None:
    assert np.isfinite(project(np.ones((count, 4), np.float32)).xy).all()


def test_one_dimension_is_enough() -> None:
    assert project(np.arange(5, dtype=np.float32)[:, None]).xy.shape == (5, 2)


def test_groups_stay_together_and_the_map_is_the_same_every_time() -> None:
    points, truth = blobs((60, 50, 40))
    found = project(points, seed=3)
    assert found.method == "t-SNE"
    assert found.xy.tobytes() == project(points, seed=3).xy.tobytes()
    gaps = np.linalg.norm(found.xy[:, None] - found.xy[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    assert np.mean(truth[gaps.argmin(axis=1)] == truth) > 0.98


def test_without_open_tsne_the_map_is_that_of_the_principal_components(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projection, "find_spec", lambda _: None)
    points, _ = blobs((60, 50))
    found = project(points)
    assert found.method == "PCA"
    assert found.xy[:, 0].var() >= found.xy[:, 1].var() > 0


def test_a_large_map_is_laid_out_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "LARGEST_TSNE", 60)
    points, truth = blobs((200, 150))
    found = project(points)
    centres = np.stack([np.median(found.xy[truth == group], axis=0) for group in (0, 1)])
    gaps = np.linalg.norm(found.xy[:, None] - centres[None], axis=2)
    assert np.mean(gaps.argmin(axis=1) == truth) > 0.95


def test_the_optional_library_loads_only_where_it_is_used() -> None:
    assert "openTSNE" not in vars(sys.modules["imgcluster.analysis.projection"])
