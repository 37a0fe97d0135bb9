"""What the default preparation reaches on features of real photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from analysis_data import source_of
from scipy.optimize import linear_sum_assignment

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster, predict
from imgcluster.analysis.constraints import Constraints
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import SilentProgress

if TYPE_CHECKING:
    from pathlib import Path

BOTH = ("inception_v3", "efficientnet_lite2")


def accuracy(
    assets: Path,
    name: str,
    networks: tuple[str, ...],
    **settings: object,
) -> float:
    loaded = [np.load(assets / "features" / f"{name}-{network}.npz") for network in networks]
    classes = [str(label) for label in loaded[0]["labels"]]
    rows = [each["embeddings"].astype(np.float32) for each in loaded]
    found = cluster(
        [source_of(each) for each in rows],
        networks,
        PrepareSettings(),
        ClusterSettings(len(set(classes)), **settings),
        SilentProgress(),
    )
    return evaluate(found.labels, classes).accuracy


@pytest.mark.parametrize(
    ("name", "networks", "reached"),
    [
        ("cats_dogs", BOTH[:1], 0.985),
        ("cats_dogs", BOTH[1:], 0.985),
        ("cats_dogs", BOTH, 0.99),
        pytest.param("scenes", BOTH[:1], 0.80, marks=pytest.mark.slow),
        pytest.param("natural", BOTH, 0.95, marks=pytest.mark.slow),
    ],
)
def test_the_default_finds_what_people_see(
    assets: Path, name: str, networks: tuple[str, ...], reached: float
) -> None:
    assert accuracy(assets, name, networks) >= reached


def test_of_few_images_sizes_that_differ_by_chance_are_even(assets: Path) -> None:
    """400 of eight classes of one size: a mixture makes one cluster of two of them (0.81)."""
    loaded = np.load(assets / "features" / f"natural-{BOTH[0]}.npz")
    rows = np.sort(np.random.default_rng(6).permutation(len(loaded["labels"]))[:400])
    source = source_of(loaded["embeddings"][rows].astype(np.float32))
    found = cluster([source], BOTH[:1], PrepareSettings(), ClusterSettings(8), SilentProgress())
    assert "penalties" not in found.model.fitted
    assert evaluate(found.labels, [str(label) for label in loaded["labels"][rows]]).accuracy > 0.84


@pytest.mark.slow
def test_the_seed_hardly_matters_to_k_means(assets: Path) -> None:
    found = [accuracy(assets, "scenes", BOTH[:1], algorithm="minibatch-kmeans", seed=seed) for seed in (0, 1)]
    assert max(found) - min(found) <= 0.01


def test_a_tenth_of_strangers_does_not_make_one_cluster_of_two_classes(assets: Path) -> None:
    cats_dogs, scenes = (
        np.load(assets / "features" / f"{name}-{BOTH[0]}.npz") for name in ("cats_dogs", "scenes")
    )
    rows = np.concatenate([cats_dogs["embeddings"], scenes["embeddings"][::15]]).astype(np.float32)
    settings = ClusterSettings(2)
    found = cluster([source_of(rows)], BOTH[:1], PrepareSettings(), settings, SilentProgress())
    classes = [str(label) for label in cats_dogs["labels"]]
    assert evaluate(found.labels[: len(classes)], classes).accuracy > 0.9


def test_a_few_images_that_lie_apart_are_no_class_beside_two_of_one_size(assets: Path) -> None:
    few = np.load(assets / "features" / f"cats_dogs-{BOTH[0]}.npz")
    for start in (0, 1, 2):
        classes = [str(label) for label in few["labels"][start::3]]
        source = source_of(few["embeddings"][start::3].astype(np.float32))
        found = cluster([source], BOTH[:1], PrepareSettings(), ClusterSettings(2), SilentProgress())
        assert evaluate(found.labels, classes).accuracy > 0.95


def test_two_clusters_of_one_size_may_be_halves_of_one_class(assets: Path) -> None:
    cats_dogs = np.load(assets / "features" / f"cats_dogs-{BOTH[1]}.npz")
    classes = cats_dogs["labels"]
    rows = np.concatenate([np.flatnonzero(classes == 1), np.flatnonzero(classes == 0)[:75]])
    source = source_of(cats_dogs["embeddings"][rows].astype(np.float32))
    found = cluster([source], BOTH[1:], PrepareSettings(), ClusterSettings(2), SilentProgress())
    assert evaluate(found.labels, [str(label) for label in classes[rows]]).accuracy > 0.95


@pytest.mark.slow
def test_corrections_help_images_that_nobody_corrected_and_the_model_is_nearly_as_good(assets: Path) -> None:
    loaded = np.load(assets / "features" / f"scenes-{BOTH[1]}.npz")
    rows, truth = loaded["embeddings"].astype(np.float32), loaded["labels"].astype(np.int64)
    k, settings = int(truth.max()) + 1, ClusterSettings(int(truth.max()) + 1)
    source, silent = source_of(rows), SilentProgress()
    before = cluster([source], BOTH[1:], PrepareSettings(), settings, silent).labels
    counts = np.zeros((k, k))
    np.add.at(counts, (before, truth), 1)
    before = linear_sum_assignment(-counts)[1][before].astype(np.int32)
    pinned = np.where(np.arange(len(truth)) % 10 == 0, truth, -1).astype(np.int32)
    said = Constraints(pinned, np.zeros((len(truth), k), bool), before)
    found = cluster([source], BOTH[1:], PrepareSettings(), settings, silent, constraints=said)
    groups = found.model.numbers[found.labels]
    rest = pinned < 0
    assert np.array_equal(groups[~rest], pinned[~rest])
    better = np.mean(groups[rest] == truth[rest])
    assert better > np.mean(before[rest] == truth[rest]) + 0.012
    predicted = found.model.numbers[predict(found.model, [rows])[0]]
    assert np.mean(predicted[rest] == truth[rest]) > better - 0.02  # it knows no neighbours


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scenes", "natural"])
def test_little_memory_costs_no_accuracy(assets: Path, name: str) -> None:
    assert accuracy(assets, name, BOTH[1:], memory=1) == accuracy(assets, name, BOTH[1:])
