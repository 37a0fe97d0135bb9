from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from analysis_data import blobs, source_of

from imgcluster.analysis import choose_k
from imgcluster.analysis.choose_k import Sweep, SweepRow, suggest, sweep
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.errors import ImgclusterError
from imgcluster.records import SilentProgress


def swept(rows: np.ndarray, ks: list[int], **options: Any) -> Sweep:
    found, _ = sweep(
        [source_of(rows)], ["a"], PrepareSettings(), ks, ClusterSettings(ks[0], **options), SilentProgress()
    )
    return found


def test_blobs_are_counted() -> None:
    rows, _ = blobs((60, 50, 40, 30))
    found = swept(rows, [3, 4, 5], restarts=4)
    assert [row.k for row in found.rows] == [3, 4, 5]
    assert found.suggestion == 4
    assert found.levels == (4,)
    assert not found.doubtful
    assert "stability" in found.reason
    inertias = [row.inertia for row in found.rows]
    assert inertias == sorted(inertias, reverse=True)


def test_a_sweep_does_not_depend_on_the_order_of_rows() -> None:
    rows, _ = blobs((30, 20), spread=1.0)
    source = source_of(rows)
    settings = ClusterSettings(2, restarts=3)
    shuffled = source.taken(np.random.default_rng(0).permutation(50), block=11)
    first, other = (
        sweep([each], ["a"], PrepareSettings(), [2, 3], settings, SilentProgress())[0]
        for each in (source, shuffled)
    )
    assert (first.suggestion, first.reason) == (other.suggestion, other.reason)
    for row, again in zip(first.rows, other.rows, strict=True):
        assert asdict(row) == pytest.approx(asdict(again), rel=1e-5)


def test_measures_that_are_not_defined_are_not_numbers() -> None:
    rows = np.random.default_rng(0).random((6, 20)).astype(np.float32)
    one, two, six = swept(rows, [1, 2, 6]).rows
    assert math.isnan(one.silhouette)
    assert math.isnan(one.stability)
    assert not math.isnan(two.silhouette)
    assert not math.isnan(two.stability)
    assert math.isnan(six.silhouette)
    assert math.isnan(six.stability)


def test_more_clusters_than_images_are_refused() -> None:
    with pytest.raises(ImgclusterError, match="of 6 distinct images"):
        swept(np.eye(6, dtype=np.float32), [2, 7])


@pytest.mark.slow
def test_a_sweep_whose_points_lie_in_a_file_finds_the_same() -> None:
    rows, _ = blobs((300, 200))
    assert swept(rows, [2, 3], memory=1000, restarts=3).rows == swept(rows, [2, 3], restarts=3).rows


@pytest.mark.parametrize("prepare", [PrepareSettings(), PrepareSettings("l2")])
def test_a_sweep_measures_what_cluster_makes(prepare: PrepareSettings) -> None:
    rows, _ = blobs((60, 50, 40), spread=1.0)
    settings, silent = ClusterSettings(2, restarts=2), SilentProgress()
    for row in sweep([source_of(rows)], ["a"], prepare, [2, 5], settings, silent)[0].rows:
        made = cluster([source_of(rows)], ["a"], prepare, replace(settings, k=row.k), silent)
        assert row.silhouette == made.silhouette


def test_the_suggestion_is_the_most_stable_and_among_equals_the_most_compact() -> None:
    nan = float("nan")
    rows = [
        SweepRow(1, 9, nan, nan),
        SweepRow(2, 8, 0.2, 0.97, 0.05),
        SweepRow(3, 7, 0.3, 0.96, 0.05),
        SweepRow(4, 6, 0.9, 0.5, 0.06),
    ]
    assert suggest(rows) == (
        3,
        (
            "so many groups stand apart, and random halves agree best (stability 0.960); "
            "as stable as 2, with a higher silhouette (0.300); other levels: 2"
        ),
        (2, 3),
    )
    assert suggest([*rows[:2], SweepRow(4, 6, 0.9, 0.965)])[:2] == (
        2,
        "so many groups stand apart, and random halves agree best (stability 0.970)",
    )
    assert suggest(rows[:1]) == (1, "no measure is defined for these numbers of clusters", ())


def test_a_suggestion_that_is_doubtful_says_so() -> None:
    rows = [SweepRow(2, 8, 0.2, 0.9), SweepRow(3, 7, 0.3, 0.97)]
    assert suggest(rows)[1].endswith("(stability 0.970); it is the largest k tried: try more")
    rows = [SweepRow(2, 8, 0.2, 0.45), SweepRow(3, 7, 0.3, 0.2)]
    k, reason, levels = suggest(rows)
    assert (k, levels) == (2, ())
    assert Sweep(tuple(rows), k, reason).doubtful
    assert reason.startswith("no number of clusters stands out")
    assert "0.450" in reason
    assert "largest" not in reason


def test_of_one_number_of_clusters_nobody_is_told_to_try_more() -> None:
    assert suggest([SweepRow(8, 8, 0.2, 0.965)])[1] == (
        "one number of clusters alone: random halves agree well (stability 0.965)"
    )
    assert "agree badly" in suggest([SweepRow(8, 8, 0.2, 0.3)])[1]


@pytest.mark.parametrize(
    ("gaps", "stabilities", "levels"),
    [
        ([0.07, 0.02, 0.05, 0.01, 0.03], [0.96, 0.88, 0.46, 0.60, 0.50], (2,)),  # halves disagree beyond
        ([0.01, 0.08, 0.02, 0.02, 0.06, 0.01], [0.7, 0.9, 0.8, 0.7, 0.8, 0.7], (3, 6)),
        ([0.02, 0.01, 0.01, 0.01, 0.01, 0.07, 0.05], [0.9] * 7, (2, 7, 8)),  # both of two beside one another
        ([0.02, 0.01, 0.02, 0.01, 0.01, 0.07, 0.02], [0.9] * 7, (2, 4, 7)),  # or a level's neighbour is none
        ([0.01, 0.09, 0.01, 0.01], [0.9] * 4, (3,)),
        ([0.05, 0.04, 0.03], [0.81, 0.70, 0.66], ()),  # nor do halves of one kind, by chance
        ([0.05], [0.9], ()),  # nothing to stand out from
    ],
)
def test_levels_are_numbers_of_groups_that_stand_apart_and_stay_in_halves(
    gaps: list[float], stabilities: list[float], levels: tuple[int, ...]
) -> None:
    rows = [
        SweepRow(k, 1.0, stability, stability, gap)
        for k, (gap, stability) in enumerate(zip(gaps, stabilities, strict=True), 2)
    ]
    suggested, reason, found = suggest(rows)
    assert found == levels
    if levels:
        assert suggested in levels
    if len(levels) > 1:
        assert reason.endswith(f"other levels: {', '.join(str(k) for k in levels if k != suggested)}")


def test_groups_that_do_not_touch_at_all_are_counted_by_halves_that_are_equal() -> None:
    rows = [SweepRow(k, 1, 0.2, stability) for k, stability in enumerate((0.8, 0.97, 0.8, 0.7, 0.99, 0.8), 2)]
    assert suggest(rows)[2] == (3, 6)


@pytest.mark.slow
def test_groups_of_groups_are_two_levels_and_noise_is_none() -> None:
    random = np.random.default_rng(0)
    coarse = np.repeat(random.normal(size=(3, 20)) * 8, 2, axis=0)
    fine = coarse + random.normal(size=(6, 20)) * 2
    rows = (np.repeat(fine, 40, axis=0) + random.normal(size=(240, 20)) * 0.5).astype(np.float32)
    quick: dict[str, Any] = {"algorithm": "kmeans", "restarts": 3}
    assert {3, 6} <= set(swept(rows, [2, 3, 4, 5, 6, 7, 8], **quick).levels)
    noise = random.normal(size=(200, 20)).astype(np.float32)
    assert swept(noise, [2, 3, 4, 5], **quick).doubtful


def test_a_gap_is_that_of_the_number_that_was_found() -> None:
    rows, _ = blobs((60, 50, 40, 30))
    (found,) = swept(rows, [2, 3], algorithm="hdbscan").rows
    assert found.k == 4
    assert found.gap == swept(rows, [4], algorithm="kmeans").rows[0].gap > 0.2


@pytest.mark.slow
def test_halves_are_clustered_well_enough_to_agree() -> None:
    agreed = [
        swept(blobs(sizes, spread=spread)[0], [len(sizes)]).rows[0].stability
        for sizes, spread in (((20,) * 10, 0.5), ((60, 50, 40, 30, 20, 10), 1.0), ((80, 40, 20, 10, 10), 1.0))
    ]
    assert np.mean(agreed) > 0.61  # 0.66; 0.56 where a half is one run of k-means, without exchanges


def test_of_many_images_a_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose_k, "SAMPLE", 50)
    rows, _ = blobs((60, 50))
    settings, silent = ClusterSettings(2, restarts=2), SilentProgress()
    found, keys = sweep([source_of(rows)], ["a"], PrepareSettings(), [2, 6], settings, silent)
    assert len(keys) == 110
    assert [len(labels) for labels in found.labels] == [60, 60]  # ten for each of six clusters
