"""Accuracy from images to clusters, over seeds, beside the published recipe and the published figures.

    python tests/benchmarks/accuracy.py IMAGES CACHE [--weights-dir DIR] [--seeds 10]

IMAGES is a folder with cats_dogs, scenes and natural, in each a folder per class. CACHE keeps the embeddings:
with them a second run takes no more than the clusterings. Prints one table in Markdown. "one run on raw
features" is the published recipe on these embeddings: MiniBatchKMeans as it comes, whatever the seed brings.
"""

from __future__ import annotations

import argparse
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from imgcluster.analysis.scoring import evaluate
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.compare import CompareOptions, compare

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORKS = ("inception_v3", "efficientnet_lite2")
BOTH = "+".join(NETWORKS)
PUBLISHED = (
    ("VGG16", 0.9610, 0.9442),
    ("VGG19", 0.9602, 0.9477),
    ("InceptionV3", 0.9675, 0.9590),
    ("ResNet152", 0.9750, 0.9750),
)
"""Accuracy on 3,999 cats and dogs with MiniBatchKMeans and with KMeans, as published."""


@dataclass(frozen=True)
class Case:
    """A folder of images and what is expected of it: the lowest accuracy of any seed, the largest spread."""

    name: str
    k: int
    networks: tuple[str, ...]
    lowest: float
    spread: float


CASES = (
    Case("cats_dogs", 2, NETWORKS, 0.975, 0.005),
    Case("cats_dogs", 2, (BOTH,), 0.99, 0.005),
    Case("scenes", 6, NETWORKS, 0.79, 0.02),
    Case("natural", 8, NETWORKS, 0.0, 0.03),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--weights-dir")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    print("| images | features | how | lowest | mean | highest | spread | asked for | met |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for network, minibatch, kmeans in PUBLISHED:
        for how, accuracy in (("MiniBatchKMeans", minibatch), ("KMeans", kmeans)):
            print(f"| 3,999 cats and dogs, k = 2 | {network} | {how}, published | | {accuracy:.4f} | | | | |")
    for case in CASES:
        measure(case, options)


def measure(case: Case, options: argparse.Namespace) -> None:
    """Print the rows of one case."""
    images = options.images / case.name
    store = str(options.cache / f"{case.name}.h5")
    settings = CompareOptions(
        k=case.k,
        networks=case.networks,
        algorithms=("kmeans-or-mixture", "minibatch-kmeans", "kmeans"),
        seeds=options.seeds,
        weights_dir=options.weights_dir,
        store=store,
    )
    result = compare([images], settings)
    for network in case.networks:
        if network != BOTH:
            print_row(
                case,
                result.images,
                network,
                "one run on raw features",
                raw(store, network, case.k, options.seeds),
            )
        for row in result.rows:
            if row.network == network:
                print_row(
                    case, result.images, network, f"imgcluster, {row.algorithm}", row.accuracies, judged=True
                )
    for missing in result.unavailable:
        print(f"| {case.name} | {missing.network} | left out: {missing.reason} | | | | | | |")


def print_row(
    case: Case, images: int, network: str, how: str, accuracies: Sequence[float], *, judged: bool = False
) -> None:
    """Print one row; of ours, whether it is as asked for."""
    low, high = min(accuracies), max(accuracies)
    asked = f"each ≥ {case.lowest:g}, " * (case.lowest > 0) + f"spread ≤ {case.spread:g}"
    met = "yes" if low >= case.lowest and high - low <= case.spread else "no"
    print(
        f"| {images:,} {case.name}, k = {case.k} | {network} | {how} | {low:.4f} | {np.mean(accuracies):.4f} "
        f"| {high:.4f} | {high - low:.4f} | {asked if judged else ''} | {met if judged else ''} |",
        flush=True,
    )


def raw(store: str, network: str, k: int, seeds: int) -> list[float]:
    """Cluster the embeddings as they are, once per seed: the accuracies."""
    with FeatureStore(store) as features:
        space = features.find_space(network=network)
        keys = features.keys(space.name)
        embeddings = features.read(space.name, keys)
        classes = {entry.key: os.path.basename(os.path.dirname(entry.path)) for entry in features.paths()}
    names = [classes[bytes(key)] for key in keys]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [MiniBatchKMeans(k, random_state=seed).fit_predict(embeddings) for seed in range(seeds)]
    return [evaluate(labels, names).accuracy for labels in fits]


if __name__ == "__main__":
    main()
