"""How sure clusters are: the probability of an image, fitted on all sets but one and shown on that one.

    python tests/benchmarks/certainty.py FEATURES [--draws 2]

FEATURES is as for `skewed.py`. Even and skewed sets, with the default algorithm. An image is right where its
cluster is the one that is matched to its class. The table has, for each set and each range of probabilities,
the share of the images there, their mean probability, and how many are right; the last line the coefficients
fitted on all sets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skewed import EVEN, Cell, Sets, draw
from sklearn.linear_model import LogisticRegression

from imgcluster.analysis.certainty import certainty_features
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import fit
from imgcluster.analysis.features import load_features
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import SilentProgress

RANGES = ((0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 0.97), (0.97, 1.01))
SHAPES = (EVEN, "skewed 0.15", "one small 0.15", "steps 0.1")


def seen(sets: Sets, name: str, cell: Cell, number: int) -> NDArray[np.float64]:
    """(N, 3): margin, seclusion, and whether each image of a draw is right."""
    drawn = draw(sets, name, cell, number)
    features = load_features(drawn.sources, PrepareSettings(), None, SilentProgress())
    found = fit(features, np.ones(len(features.rows), np.int64), ClusterSettings(drawn.k), fuse=True)
    labels = drawn.labels[features.order]
    judged = evaluate(found.labels, [str(each) for each in labels])
    cluster_of = dict(zip(judged.labels, judged.matched, strict=True))
    right = [cluster_of[str(each)] == cluster for each, cluster in zip(labels, found.labels, strict=True)]
    sure = certainty_features(found.points, found.plain, found.labels, found.centroids)
    return np.column_stack([sure, right])


def fitted(rows: list[NDArray[np.float64]]) -> LogisticRegression:
    """Fit the probability; every draw counts the same."""
    weights = np.concatenate([np.full(len(each), 1000 / len(each)) for each in rows])
    every = np.concatenate(rows)
    return LogisticRegression(C=100).fit(every[:, :2], every[:, 2], sample_weight=weights)


def main() -> None:
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("--draws", type=int, default=2)
    options = parser.parse_args()
    sets = Sets.load(options.features)
    lite = tuple(each for each in sets.networks if "lite" in each)
    rows = {
        name: [
            seen(sets, name, Cell(networks, shape), number)
            for networks in (lite, sets.networks)
            for shape in SHAPES
            for number in range(1 if shape == EVEN else options.draws)
        ]
        for name in sorted(sets.labels)
    }
    print(f"| shown on | {' | '.join(f'{low:g} to {min(high, 1):g}' for low, high in RANGES)} |")
    print("| --- |" + " --- |" * len(RANGES))
    for name, own in rows.items():
        model = fitted([each for other, of in rows.items() if other != name for each in of])
        every = np.concatenate(own)
        sure, right = model.predict_proba(every[:, :2])[:, 1], every[:, 2]
        columns = []
        for low, high in RANGES:
            among = (sure >= low) & (sure < high)
            told = f"{sure[among].mean():.2f}: {right[among].mean():.2f}" if among.any() else ""
            columns.append(f"{among.mean():.2f} of them, {told}")
        print(f"| {name} | {' | '.join(columns)} |", flush=True)
    model = fitted([each for own in rows.values() for each in own])
    print(f"COEFFICIENTS = {tuple(np.round([model.intercept_[0], *model.coef_[0]], 2).tolist())}")


if __name__ == "__main__":
    main()
