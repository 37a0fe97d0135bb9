"""How many clusters: the levels that `sweep` suggests, where the number of classes is known.

    python tests/benchmarks/levels.py FEATURES [--images 300] [--draws 4] [--first-draw 0]

FEATURES is as for `skewed.py`. A line for each network, set and draw has the levels; the last ones how often
the number of classes is one of them, or beside one. Each class alone, and noise, have none.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from preparation import Rows
from skewed import Sets, keys_of

from imgcluster.analysis.choose_k import sweep
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import SilentProgress

KS = range(2, 13)
CONSTANTS = ((3,), (6,), (9,), (3, 6, 9))
NOISY = 300


def levels(rows: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Sweep over embeddings, one array for each network."""
    sources = [Rows(keys_of(len(each)), each) for each in rows]
    names = [str(place) for place in range(len(rows))]
    found, _ = sweep(sources, names, PrepareSettings(), KS, ClusterSettings(2), SilentProgress())
    return found.levels


def collections(sets: Sets, most: int | None, draws: range) -> Iterator[tuple[str, int, list[np.ndarray]]]:
    """Yield a name, the number of classes, and embeddings."""
    several = (*((network,) for network in sets.networks), sets.networks)
    for draw, networks, (name, labels) in itertools.product(draws, several, sets.labels.items()):
        rows = np.random.default_rng(draw).permutation(len(labels))[:most]
        embeddings = [sets.embeddings[name, network][rows] for network in networks]
        yield f"{' and '.join(networks)}, {name}, draw {draw}", int(labels.max()) + 1, embeddings
    lite = next(network for network in sets.networks if "lite" in network)
    for name, labels in sets.labels.items():
        for each in range(int(labels.max()) + 1):
            yield f"{name}, class {each} alone", 1, [sets.embeddings[name, lite][labels == each]]
    for seed in range(3):
        yield f"noise {seed}", 1, [np.random.default_rng(seed).normal(size=(NOISY, 256)).astype(np.float32)]


def main() -> None:
    """Print the table, as Markdown, and sums."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("--images", type=int, help="so many of each set, not all")
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--first-draw", type=int, default=0)
    options = parser.parse_args()
    print("| images | classes | levels |\n| --- | --- | --- |")
    answers: list[tuple[int, tuple[int, ...]]] = []
    draws = range(options.first_draw, options.first_draw + options.draws)
    for name, classes, rows in collections(Sets.load(options.features), options.images, draws):
        answers.append((classes, levels(rows)))
        print(f"| {name} | {classes} | {', '.join(map(str, answers[-1][1])) or 'none'} |", flush=True)
    known = [(classes, found) for classes, found in answers if classes > 1]
    for name, each in [
        ("levels", known),
        *((f"always {', '.join(map(str, ks))}", [(classes, ks) for classes, _ in known]) for ks in CONSTANTS),
    ]:
        exact = sum(classes in found for classes, found in each)
        beside = sum(any(abs(classes - k) < 2 for k in found) for classes, found in each)
        mean = sum(len(found) for _, found in each) / len(each)
        print(
            f"{name}: of {len(each)} {exact} hold the number of classes, {beside} it or one beside it "
            f"({mean:.1f} in the mean)"
        )
    alone = [found for classes, found in answers if classes == 1]
    print(f"one class or noise: nothing suggested for {sum(not found for found in alone)} of {len(alone)}")


if __name__ == "__main__":
    main()
