"""What a precision does to vectors and to clusters: in the network (int8 in two ways), and in the store.

    python -m tests.benchmarks.precision IMAGES CACHE [--weights FILE] [--seeds 5] [--variants "float32" …]

IMAGES is a folder with cats_dogs, scenes and natural, in each a folder per class. "int8, views" is what
`--precision int8` does: calibrated on views of eight photographs that come in packages; "int8, own" is
calibrated on the first images of the folder itself. Prints one table in Markdown; CACHE keeps the embeddings.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.cli.places import choose_network, network_places
from imgcluster.images import PREPROCESSING_VERSION
from imgcluster.images.decode import decode
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.recipe import Calibration, has_native_bfloat16
from imgcluster.networks.selection import choose
from imgcluster.records import SilentProgress
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.choose_network import network_input
from imgcluster.workflows.extract import ExtractOptions, extract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcluster.records import Embeddings, FeatureSpace, NetworkSource, Pixels

SETS = {"cats_dogs": 2, "scenes": 6, "natural": 8}
CALIBRATION_IMAGES = 150
STORED_IN_HALF = "float32, stored as float16"
VARIANTS = (
    "float32",
    STORED_IN_HALF,
    *(["bfloat16"] if has_native_bfloat16() else []),
    "int8, views",
    "int8, own",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--weights", default="imagenet", help="of InceptionV3")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    print(
        "| images | network | precision | cosine to float32: mean, lowest | accuracy: mean, lowest, highest |"
    )
    print("| --- | --- | --- | --- | --- |")
    weights = {"inception_v3": options.weights, "efficientnet_lite2": "imagenet"}
    for (name, k), network in itertools.product(SETS.items(), weights):
        reference: Embeddings | None = None
        for variant in options.variants:
            store = options.cache / f"{name}-{network}-{variant.replace(', ', '-')}.h5"
            paths, rows = embeddings(options.images / name, network, weights[network], variant, store)
            reference = rows if reference is None else reference
            likeness = cosines(reference, rows)
            scores = accuracies(paths, store, k, options.seeds)
            print(
                f"| {name}, k = {k} | {network} | {variant} | {likeness.mean():.4f}, {likeness.min():.4f} "
                f"| {np.mean(scores):.4f}, {min(scores):.4f} to {max(scores):.4f} |",
                flush=True,
            )


def embeddings(
    folder: Path, network: str, weights: str, variant: str, store: Path
) -> tuple[list[str], Embeddings]:
    """Extract, and give the distinct images in the order of their keys: a path and an embedding of each."""
    if variant == STORED_IN_HALF:
        copy_in_half(store.with_name(f"{folder.name}-{network}-float32.h5"), store)
    else:
        precision = variant.partition(",")[0]
        choice = NetworkChoice(network, weights, precision=precision, runtime="openvino")
        options = ExtractOptions(store=str(store), network=network, weights=weights, precision=precision)
        extract([folder], options, source=source(choice, variant, folder))
    with FeatureStore(store) as opened:
        by_key = {entry.key: entry.path for entry in reversed(opened.paths())}
        keys = np.frombuffer(b"".join(sorted(by_key)), np.uint8).reshape(-1, 32)
        rows = opened.read(opened.find_space().name, keys)
    return [by_key[key] for key in sorted(by_key)], rows


def copy_in_half(store: Path, copy: Path) -> None:
    """Store the same embeddings as float16."""
    with FeatureStore(store) as opened, FeatureStore(copy, "a") as half:
        stored = opened.find_space()
        keys = opened.keys(stored.name)
        half.add_space(stored.space, stored.dimension, "float16")
        missing = keys[~half.contains(stored.name, keys)]
        half.append(stored.name, missing, opened.read(stored.name, missing))
        half.record_paths(opened.paths())
        half.commit()


def source(choice: NetworkChoice, variant: str, folder: Path) -> NetworkSource:
    """Choose the network, for "own" with images of the folder to calibrate on."""
    if not variant.endswith("own"):
        return choose_network(choice, print)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    chosen = paths[:: max(1, len(paths) // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES]

    def images(space: FeatureSpace) -> Iterator[Pixels]:
        yield np.stack([network_input(decode(path.read_bytes()).pixels, space) for path in chosen])

    calibration = Calibration(f"own-{folder.name}", images)
    return choose(
        choice,
        print,
        places=network_places(),
        preprocessing=PREPROCESSING_VERSION,
        calibration=calibration,
    )


def cosines(one: Embeddings, other: Embeddings) -> np.ndarray:
    """(N,): the cosine of each row with its like."""
    products = np.einsum("ij,ij->i", one, other, dtype=np.float64)
    return products / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def accuracies(paths: list[str], store: Path, k: int, seeds: int) -> list[float]:
    """Cluster once per seed."""
    classes = [os.path.basename(os.path.dirname(path)) for path in paths]
    with FeatureStore(store) as opened:
        space = opened.find_space().name
        keys = opened.keys(space)
        by_key = sorted(range(len(keys)), key=lambda row: bytes(keys[row]))
        rows = opened.source(space, keys[by_key])
        order = np.argsort([bytes(key) for key in rows.keys])
        results = []
        for seed in range(seeds):
            found = cluster(
                [rows], [space], PrepareSettings(), ClusterSettings(k, seed=seed), SilentProgress()
            )
            results.append(evaluate(found.labels[order], classes).accuracy)
    return results


if __name__ == "__main__":
    main()
