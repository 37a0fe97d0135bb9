"""How sure clusters are: the probability of an image, fitted on all sets but one and shown on that one.

    python tests/benchmarks/certainty.py FEATURES [--draws 2] [--first-draw 0]

FEATURES is as for `skewed.py`. Even and skewed sets, with the default algorithm. An image is right where its
cluster is the one that is matched to its class. What is fitted is best for the set for which it is worst: of
another collection nobody knows how hard it is. The table has, for each set and each range of probabilities,
the share of the images there, their mean probability, and how many are right; of those from 0.9 on in even
sets, in skewed ones, and in all, how many are right; and the mean squared error of the probability. Below it,
the coefficients fitted on all sets, and the table for those in the code.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from skewed import EVEN, Cell, Sets, draw

from imgcluster.analysis import certainty
from imgcluster.analysis.certainty import certainty_features
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import fit
from imgcluster.analysis.features import load_features
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import SilentProgress

RANGES = ((0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 0.97), (0.97, 1.01))
SURE = 0.9
SHAPES = (EVEN, "skewed 0.15", "one small 0.15", "steps 0.1")

Seen = NDArray[np.float64]
"""(N, 1 + features + 1): ones, what tells how sure each image of a draw is, and whether it is right."""


def seen(sets: Sets, name: str, cell: Cell, number: int) -> Seen:
    """Cluster a draw."""
    drawn = draw(sets, name, cell, number)
    features = load_features(drawn.sources, PrepareSettings(), None, SilentProgress())
    found = fit(features, np.ones(len(features.rows), np.int64), ClusterSettings(drawn.k), fuse=True)
    labels = drawn.labels[features.order]
    judged = evaluate(found.labels, [str(each) for each in labels])
    cluster_of = dict(zip(judged.labels, judged.matched, strict=True))
    right = [cluster_of[str(each)] == cluster for each, cluster in zip(labels, found.labels, strict=True)]
    sure = certainty_features(found.points, found.plain, found.labels, found.centroids)
    return np.column_stack([np.ones(len(sure)), sure, right])


def probabilities(coefficients: NDArray[np.float64], of: Seen) -> NDArray[np.float64]:
    """(N,) by coefficients of 1 and the features."""
    return np.asarray(1 / (1 + np.exp(-of[:, :-1] @ coefficients)))


def fitted(sets: Sequence[Sequence[Seen]]) -> NDArray[np.float64]:
    """Fit coefficients: the largest log loss of a set is least, its draws counting the same."""

    def loss(coefficients: NDArray[np.float64], own: Sequence[Seen]) -> float:
        signed = [(1 - 2 * of[:, -1]) * (of[:, :-1] @ coefficients) for of in own]
        return float(np.mean([np.logaddexp(0, each).mean() for each in signed]))

    start = np.zeros(sets[0][0].shape[1] - 1)
    below = [{"type": "ineq", "fun": lambda x, own=own: x[0] - loss(x[1:], own)} for own in sets]
    options = {"maxiter": 500, "ftol": 1e-9}
    found = minimize(lambda x: x[0], [1, *start], method="SLSQP", constraints=below, options=options)
    return np.asarray(found.x[1:])


def table(
    rows: Mapping[str, Mapping[str, Sequence[Seen]]], coefficients_for: Callable[[str], NDArray[np.float64]]
) -> None:
    """Print it, as Markdown: what coefficients show on each set, its draws by their shape."""
    heads = [f"{low:g} to {min(high, 1):g}" for low, high in RANGES]
    print(f"| shown on | {' | '.join(heads)} | from {SURE:g} on: even, skewed, all | squared error |")
    print("| --- |" + " --- |" * (len(RANGES) + 2))
    for name, shapes in rows.items():
        coefficients = coefficients_for(name)
        groups = {
            "even": shapes[EVEN],
            "skewed": [of for shape, own in shapes.items() if shape != EVEN for of in own],
            "all": [of for own in shapes.values() for of in own],
        }
        sure = {
            group: np.concatenate([probabilities(coefficients, of) for of in own])
            for group, own in groups.items()
        }
        right = {group: np.concatenate([of[:, -1] for of in own]) for group, own in groups.items()}
        columns = []
        for low, high in RANGES:
            among = (sure["all"] >= low) & (sure["all"] < high)
            told = (
                f", {sure['all'][among].mean():.2f}: {right['all'][among].mean():.2f}" if among.any() else ""
            )
            columns.append(f"{among.mean():.2f}{told}")
        from_sure = ", ".join(f"{right[group][sure[group] >= SURE].mean():.3f}" for group in groups)
        error = np.square(sure["all"] - right["all"]).mean()
        print(f"| {name} | {' | '.join(columns)} | {from_sure} | {error:.3f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--first-draw", type=int, default=0)
    options = parser.parse_args()
    sets = Sets.load(options.features)
    lite = tuple(each for each in sets.networks if "lite" in each)
    rows = {
        name: {
            shape: [
                seen(sets, name, Cell(networks, shape), options.first_draw + number)
                for networks in (lite, sets.networks)
                for number in range(1 if shape == EVEN else options.draws)
            ]
            for shape in SHAPES
        }
        for name in sorted(sets.labels)
    }
    every = {name: [of for own in shapes.values() for of in own] for name, shapes in rows.items()}
    table(rows, lambda name: fitted([own for other, own in every.items() if other != name]))
    print(f"\nfitted on all: {tuple(np.round(fitted(list(every.values())), 2).tolist())}")
    print(f"those in the code: {certainty.COEFFICIENTS}\n")
    table(rows, lambda _: np.array(certainty.COEFFICIENTS))


if __name__ == "__main__":
    main()
