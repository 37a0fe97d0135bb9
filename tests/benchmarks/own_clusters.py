"""What becomes of a cluster when a few of its images are put into a folder of their own, k being one more.

    python -m tests.benchmarks.own_clusters

needs ../shared/features (`IMGCLUSTER_TEST_ASSETS` names the folder). 5 and 20 images of each class, all of
one cluster: of a class of which 40 images are left, of one among several in a cluster (k is too small), and
of one that is nearly all of its cluster.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from imgcluster.analysis.clusterer import ClusterSettings, FoundIn
from imgcluster.analysis.constraints import Constraints, constrain, leave_room
from imgcluster.analysis.kmeans_or_mixture import KMeansOrMixture
from imgcluster.analysis.spaces import Spaces
from imgcluster.analysis.succession import inherit
from tests.benchmarks.corrections import SETS, features

NETWORKS = ("efficientnet_lite2", "inception_v3")
RARE, MIXED, ALONE = "40 images of a class", "one of several classes", "nearly all of the cluster"
MOSTLY = 0.8


def cases(embeddings: np.ndarray, classes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, int, int]]:
    """Embeddings, their classes, k, and the class of which images are put apart (-1: each)."""
    count = int(classes.max()) + 1
    for k in sorted({max(1, count // 2), max(1, count - 2), count - 1, count}):
        yield embeddings, classes, k, -1
    for rare in range(count):
        kept = np.sort(
            np.concatenate([np.flatnonzero(classes != rare), np.flatnonzero(classes == rare)[:40]])
        )
        yield embeddings[kept], classes[kept], count - 1, rare


def measure(
    rows: np.ndarray, classes: np.ndarray, k: int, rare: int
) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """Tell for each class what is kept, and how much of the class and of what else is in the new cluster."""

    @cache
    def find(count: int) -> FoundIn:
        return KMeansOrMixture(ClusterSettings(count)).fit_spaces(
            Spaces(rows, count), np.ones(len(rows), np.int64)
        )

    old = find(k).labels
    for each in range(int(classes.max()) + 1) if rare < 0 else [rare]:
        home = int(np.bincount(old[classes == each]).argmax())
        there = (old == home) & (classes == each)
        kind = RARE if rare >= 0 else MIXED if there.sum() < MOSTLY * (old == home).sum() else ALONE
        for count in (5, 20):
            seeds = np.random.default_rng(0).permutation(np.flatnonzero(there))[:count]
            pinned = np.full(len(rows), -1, np.int32)
            pinned[seeds] = 0
            said = Constraints(pinned, np.zeros((len(rows), 1), bool), old + 1, frozenset({0}))
            labels = constrain(Spaces(rows, k + 1), leave_room(k + 1, find, said).labels, said).labels
            kept = {h.number: h.heir is not None for h in inherit(old, labels, k + 1, (), {0: None}, [0])}
            own = labels == 0
            others = all(kept[number] for number in kept if number != home)
            yield kind, (kept[home], others, own[there].mean(), (classes[own] == each).mean())


def main() -> None:
    """Print a line for each network and kind."""
    assets = Path(os.environ.get("IMGCLUSTER_TEST_ASSETS", "../shared"))
    for network in NETWORKS:
        found = defaultdict(list)
        for name in SETS:
            data = np.load(assets / "features" / f"{name}-{network}.npz")
            order = np.random.default_rng(7).permutation(len(data["labels"]))
            classes = np.unique(data["labels"], return_inverse=True)[1][order]
            for embeddings, those, k, rare in cases(data["embeddings"][order], classes):
                for kind, measures in measure(features(embeddings), those, k, rare):
                    found[kind].append(measures)
        for kind, measures in found.items():
            home, others, recall, purity = np.mean(measures, axis=0)
            print(
                f"{network}, {kind}: name kept {home:.2f}, all others {others:.2f}, "
                f"of the class {recall:.2f}, pure {purity:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
