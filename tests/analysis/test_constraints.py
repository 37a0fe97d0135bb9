"""What people say of images holds, and does no harm to the others, in small and odd cases as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis_data import blobs, source_of

from imgcluster.analysis import constraints as module
from imgcluster.analysis.clusterer import ClusterSettings, FoundIn
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.constraints import OUTSIDE, Constraints, constrain, leave_room
from imgcluster.analysis.kmeans_or_mixture import KMeansOrMixture
from imgcluster.analysis.spaces import Spaces
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.errors import ImgclusterError
from imgcluster.records import SILENT


def said(count: int, groups: int, pinned: dict[int, int], barred: dict[int, list[int]] | None = None):
    pins = np.full(count, -1, np.int32)
    pins[list(pinned)] = list(pinned.values())
    bars = np.zeros((count, groups), bool)
    for row, those in (barred or {}).items():
        bars[row, those] = True
    return Constraints(pins, bars, np.full(count, -1, np.int32))


def groups_of(rows: np.ndarray, k: int, constraints: Constraints) -> np.ndarray:
    settings = ClusterSettings(k, restarts=3)
    found = cluster([source_of(rows)], ["a"], PrepareSettings(), settings, SILENT, constraints=constraints)
    assert all(np.isfinite(array).all() for array in found.model.fitted.values())
    return np.where(found.labels < 0, -1, np.asarray(found.model.numbers)[found.labels])


def two_blobs() -> np.ndarray:
    rows, truth = blobs((20, 20))
    return rows[np.argsort(truth, kind="stable")]


def test_an_image_that_is_barred_from_every_cluster_is_in_none_and_spoils_none() -> None:
    found = groups_of(two_blobs(), 2, said(40, 2, {0: 0, 39: 1}, {10: [0, 1]}))
    assert found[10] == -1
    assert np.bincount(np.delete(found, 10)).tolist() == [19, 20]


def test_where_all_are_barred_from_a_cluster_the_other_one_has_them() -> None:
    those = said(6, 2, {0: 0}, {row: [1] for row in range(1, 6)})
    those.before[3:] = 1
    assert (groups_of(two_blobs()[:6], 2, those) == 0).all()


def test_one_image_may_be_corrected() -> None:
    assert groups_of(two_blobs()[:1], 1, said(1, 1, {0: 0})).tolist() == [0]
    assert groups_of(two_blobs()[[0, 30]], 1, said(2, 1, {0: 0, 1: OUTSIDE})).tolist() == [0, -1]


def test_images_that_are_all_outside_leave_nothing_to_cluster() -> None:
    with pytest.raises(ImgclusterError, match="unsorted"):
        groups_of(two_blobs()[:2], 1, said(2, 1, {0: OUTSIDE, 1: OUTSIDE}))


def test_what_was_found_without_k_is_not_cut_down_to_it() -> None:
    rows, truth = blobs((40, 40, 40, 40))
    settings = ClusterSettings(2, "hdbscan")
    constraints = said(160, 2, {int(row): 0 for row in np.flatnonzero(truth == 0)[:3]} | {1: 1})

    def numbers(constraints: Constraints | None) -> int:
        sources = [source_of(rows)]
        return cluster(sources, ["a"], PrepareSettings(), settings, SILENT, constraints=constraints).k

    assert numbers(constraints) >= numbers(None) > 2


def test_a_cluster_of_ones_own_gets_what_is_like_its_images_and_the_other_one_keeps_the_rest() -> None:
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), (80, 80, 80, 16))
    centres = random.normal(size=(4, 8)) * 4
    centres[3] = centres[0] + random.normal(size=8) * 2  # nearer to the first than any other
    mixed = random.permutation(len(truth))
    truth = truth[mixed]
    rows = (centres[truth] + random.normal(size=(256, 8)) * 0.4).astype(np.float32)
    before = np.where(truth == 3, 0, truth).astype(np.int32)
    seeds = np.flatnonzero(truth == 3)[:4]
    constraints = said(256, 1, dict.fromkeys(seeds.tolist(), 0))
    constraints.before[:] = before + 1  # of none of these three does anyone speak
    constraints = replace(constraints, own=frozenset({0}))

    def find(k: int) -> FoundIn:
        return KMeansOrMixture(ClusterSettings(k)).fit_spaces(Spaces(rows, k), np.ones(len(rows), np.int64))

    found = constrain(Spaces(rows, 4), leave_room(4, find, constraints).labels, constraints).labels
    assert np.array_equal(found == 0, truth == 3)
    assert [len(np.unique(found[truth == each])) for each in range(3)] == [1, 1, 1]
    assert len(np.unique(found)) == 4


def test_a_cluster_that_people_have_pointed_out_whole_swallows_no_neighbour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SAMPLE", 130)  # as 8,192 are of 100,000
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(4, dtype=np.int32), 400)
    rows = (random.normal(size=(4, 8)) * 1.7)[truth] + random.normal(size=(1600, 8))
    mixed = random.permutation(1600)
    rows, truth = rows[mixed].astype(np.float32), truth[mixed]
    pinned = np.where(truth == 0, 0, -1).astype(np.int32)
    pinned[[np.flatnonzero(truth == group)[0] for group in (1, 2, 3)]] = [1, 2, 3]
    constraints = Constraints(pinned, np.zeros((1600, 4), bool), truth)
    labels = constrain(Spaces(rows, 4), truth, constraints).labels
    swallowed = np.count_nonzero((labels == 0) & (truth != 0))
    alone = Constraints(np.where(np.arange(1600) < 1, truth, -1).astype(np.int32), constraints.barred, truth)
    before = np.count_nonzero((constrain(Spaces(rows, 4), truth, alone).labels == 0) & (truth != 0))
    assert swallowed <= 2 * before + 10
