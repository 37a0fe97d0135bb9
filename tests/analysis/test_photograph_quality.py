"""What the default preparation reaches on features of real photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from analysis_data import source_of

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
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
    seed: int = 0,
    memory: int | None = None,
) -> float:
    loaded = [np.load(assets / "features" / f"{name}-{network}.npz") for network in networks]
    classes = [str(label) for label in loaded[0]["labels"]]
    rows = [each["embeddings"].astype(np.float32) for each in loaded]
    found = cluster(
        [source_of(each) for each in rows],
        networks,
        PrepareSettings(),
        ClusterSettings(len(set(classes)), seed=seed, memory=memory),
        SilentProgress(),
    )
    return evaluate(found.labels, classes).accuracy


@pytest.mark.parametrize(
    ("name", "networks", "reached"),
    [
        ("cats_dogs", BOTH[:1], 0.985),
        ("cats_dogs", BOTH[1:], 0.985),
        ("cats_dogs", BOTH, 0.99),
        ("scenes", BOTH[:1], 0.80),
        pytest.param("natural", BOTH, 0.95, marks=pytest.mark.slow),
    ],
)
def test_the_default_finds_what_people_see_and_the_seed_hardly_matters(
    assets: Path, name: str, networks: tuple[str, ...], reached: float
) -> None:
    found = [accuracy(assets, name, networks, seed) for seed in (0, 1)]
    assert min(found) >= reached
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


def test_two_clusters_of_one_size_may_be_halves_of_one_class(assets: Path) -> None:
    cats_dogs = np.load(assets / "features" / f"cats_dogs-{BOTH[1]}.npz")
    classes = cats_dogs["labels"]
    rows = np.concatenate([np.flatnonzero(classes == 1), np.flatnonzero(classes == 0)[:75]])
    source = source_of(cats_dogs["embeddings"][rows].astype(np.float32))
    found = cluster([source], BOTH[1:], PrepareSettings(), ClusterSettings(2), SilentProgress())
    assert evaluate(found.labels, [str(label) for label in classes[rows]]).accuracy > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scenes", "natural"])
def test_little_memory_costs_no_accuracy(assets: Path, name: str) -> None:
    assert accuracy(assets, name, BOTH[1:], memory=1) == accuracy(assets, name, BOTH[1:])
