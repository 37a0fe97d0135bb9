"""How much corrections help the images that were not corrected: accuracy over those, mean of random draws.

    python -m tests.benchmarks.corrections [--draws 20] [--first 0] [--sets scenes …]

needs ../shared/features (`IMGCLUSTER_TEST_ASSETS` names the folder). Each image of a draw is put into the
cluster that stands for its class, as a person would who moves it there. Draws are of all images, or of the
fifth that is least sure, which the report shows first.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from imgcluster.analysis.centroids import means_of
from imgcluster.analysis.certainty import certainty_features, probabilities
from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.constraints import Constraints, constrain
from imgcluster.analysis.kmeans_or_mixture import KMeansOrMixture
from imgcluster.analysis.pca import principal_components
from imgcluster.analysis.spaces import Spaces

SHARES = (0.01, 0.02, 0.05, 0.1)
SETS = ("scenes", "natural", "cats_dogs")


def features(embeddings: np.ndarray) -> np.ndarray:
    """Prepare embeddings of one space as `cluster` does."""
    rows = embeddings.astype(np.float32)
    rows = np.sqrt(np.abs(rows)) * np.sign(rows)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    components = principal_components(rows, 64)
    return ((rows - components.mean) @ components.axes.T).astype(np.float32)


def matched(labels: np.ndarray, classes: np.ndarray, k: int) -> np.ndarray:
    """The class that each cluster stands for."""
    counts = np.zeros((k, k))
    np.add.at(counts, (labels, classes), 1)
    return linear_sum_assignment(-counts)[1]


def main() -> None:
    """Print one line for each set, share and kind of draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first draw: others than those tried before")
    parser.add_argument("--sets", nargs="+", default=SETS)
    options = parser.parse_args()
    draws = options.draws
    assets = Path(os.environ.get("IMGCLUSTER_TEST_ASSETS", "../shared"))
    for name in options.sets:
        data = np.load(assets / "features" / f"{name}-efficientnet_lite2.npz")
        rows = features(data["embeddings"])
        classes = np.unique(data["labels"], return_inverse=True)[1]
        k, count = int(classes.max()) + 1, len(rows)
        spaces = Spaces(rows, k)
        found = KMeansOrMixture(ClusterSettings(k)).fit_spaces(spaces, np.ones(count, np.int64))
        labels, points = found.labels, found.space.points
        sure = certainty_features(points, spaces.plain.points, labels, means_of(points, labels, k))
        least_sure = np.argsort(probabilities(sure), kind="stable")[: count // 5]
        labels = matched(labels, classes, k)[labels].astype(np.int32)
        print(f"{name}: accuracy {np.mean(labels == classes):.4f} without corrections", flush=True)
        for share, (kind, among) in itertools.product(
            SHARES, {"random": np.arange(count), "least sure": least_sure}.items()
        ):
            gains = []
            for draw in range(options.first, options.first + draws):
                chosen = np.random.default_rng(draw).permutation(among)[: round(share * count)]
                pinned = np.full(count, -1, np.int32)
                pinned[chosen] = classes[chosen]
                said = Constraints(pinned, np.zeros((count, k), bool), labels)
                rest = pinned < 0
                better = constrain(spaces, labels, said).labels
                gains.append(np.mean(better[rest] == classes[rest]) - np.mean(labels[rest] == classes[rest]))
            error = 1.96 * np.std(gains, ddof=1) / np.sqrt(draws)
            print(f"  {share:4.0%} corrected, {kind}: {np.mean(gains):+.4f} ± {error:.4f}", flush=True)


if __name__ == "__main__":
    main()
