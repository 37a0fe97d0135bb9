"""What the default preparation reaches on features of real photographs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pytest
from analysis_data import keys_of, source_of

from imgcluster.analysis.kmeans import KMeansSettings, cluster
from imgcluster.analysis.memory import LEAST_MEMORY
from imgcluster.analysis.prepare import PrepareSettings
from imgcluster.analysis.scoring import evaluate
from imgcluster.records import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imgcluster.records import Embeddings, Keys

BOTH = ("inception_v3", "efficientnet_lite2")


def accuracy(
    assets: Path,
    name: str,
    networks: tuple[str, ...],
    seed: int = 0,
    memory: int | None = None,
    copies: int = 1,
) -> float:
    loaded = [np.load(assets / "features" / f"{name}-{network}.npz") for network in networks]
    classes = [str(label) for label in loaded[0]["labels"]] * copies
    rows = [each["embeddings"].astype(np.float32) for each in loaded]
    found = cluster(
        [source_of(each) if copies == 1 else Alike(each, copies) for each in rows],
        networks,
        PrepareSettings(),
        KMeansSettings(len(set(classes)), seed=seed, memory=memory),
        SilentProgress(),
    )
    return evaluate(found.labels, classes).accuracy


@dataclass(frozen=True)
class Alike:
    """An EmbeddingSource of many images like those of `rows`: each is one of them with noise of its own."""

    rows: Embeddings
    copies: int

    @cached_property
    def keys(self) -> Keys:
        return keys_of(len(self.rows) * self.copies)

    @property
    def dimension(self) -> int:
        return int(self.rows.shape[1])

    def blocks(self) -> Iterator[Embeddings]:
        spread = self.rows.std(axis=0)
        for copy in range(self.copies):
            noise = np.random.default_rng(copy).standard_normal(self.rows.shape, np.float32)
            yield self.rows + spread * noise / 2


@pytest.mark.parametrize(
    ("name", "networks", "reached"),
    [
        ("cats_dogs", BOTH[:1], 0.985),
        ("cats_dogs", BOTH[1:], 0.985),
        ("cats_dogs", BOTH, 0.99),
        ("scenes", BOTH[:1], 0.80),
        ("natural", BOTH, 0.95),
    ],
)
def test_the_default_finds_what_people_see_and_the_seed_hardly_matters(
    assets: Path, name: str, networks: tuple[str, ...], reached: float
) -> None:
    found = [accuracy(assets, name, networks, seed) for seed in (0, 1)]
    assert min(found) >= reached
    assert max(found) - min(found) <= 0.01


@pytest.mark.parametrize(("name", "networks"), [("scenes", BOTH[1:]), ("natural", BOTH[1:])])
def test_little_memory_costs_thousands_of_photographs_no_accuracy(
    assets: Path, name: str, networks: tuple[str, ...]
) -> None:
    assert accuracy(assets, name, networks, memory=1) == accuracy(assets, name, networks)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scenes", "natural"])
def test_photographs_that_are_streamed_lose_half_a_point_at_most(assets: Path, name: str) -> None:
    copies = 30
    images = copies * 1440
    assert images > LEAST_MEMORY / (16 * 64)
    streamed = accuracy(assets, name, BOTH[1:], memory=1, copies=copies)
    whole = accuracy(assets, name, BOTH[1:], copies=copies)
    assert streamed == pytest.approx(whole, abs=0.005)
