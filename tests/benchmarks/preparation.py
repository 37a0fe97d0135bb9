"""How to prepare features so that k-means finds what people see: recipes over all sets and many subsets.

    python tests/benchmarks/preparation.py FEATURES [--subsets 12] [--seeds 2] [--recipes automatic L2]

FEATURES is a folder of SET-NETWORK.npz with `embeddings` (N, D) and `labels` (N,). Each row of the table is a
recipe; each cell the mean accuracy over random subsets of 300 and 1,000 images and the whole set, and over
seeds; the last two columns their mean and the mean difference between the first and the last seed.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import Embeddings, Keys, SilentProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

SIZES = (300, 1000)


@dataclass(frozen=True)
class Rows:
    """An EmbeddingSource over an array."""

    keys: Keys
    rows: Embeddings

    @property
    def dimension(self) -> int:
        return int(self.rows.shape[1])

    def blocks(self) -> Iterator[Embeddings]:
        yield self.rows


@dataclass(frozen=True)
class Recipe:
    """A name, the settings, and what happens to the features beforehand."""

    name: str
    settings: PrepareSettings
    before: Callable[[Embeddings], Embeddings] = lambda rows: rows


RECIPES = (
    Recipe("as they come", PrepareSettings("none")),
    Recipe("L2", PrepareSettings("l2")),
    Recipe("L2, PCA 64", PrepareSettings("l2", pca=64)),
    Recipe("L2, PCA 64, half", PrepareSettings("l2", pca=64, whiten=0.5)),
    *(Recipe(f"roots, L2, PCA {d}, half, L2", PrepareSettings(pca=d)) for d in (8, 16, 24, 32, 64)),
    Recipe("roots, L2, PCA 16, L2", PrepareSettings(pca=16, whiten=0)),
    Recipe("roots, L2, PCA 16, full, L2", PrepareSettings(pca=16, whiten=1)),
    Recipe("automatic", PrepareSettings()),
    Recipe("automatic but for the roots", PrepareSettings(), np.square),  # features are never negative
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("--subsets", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--recipes", nargs="*", default=[""], help="only those whose names begin so")
    options = parser.parse_args()
    recipes = [recipe for recipe in RECIPES if recipe.name.startswith(tuple(options.recipes))]
    files = [path.stem.split("-", 1) for path in sorted(options.features.glob("*.npz"))]
    sets = sorted({name for name, _ in files})
    networks = sorted({network for _, network in files})
    whole = {name: len(np.load(options.features / f"{name}-{files[0][1]}.npz")["labels"]) for name in sets}
    cells = [(name, size) for name in sets for size in sorted({*SIZES, whole[name]}) if size <= whole[name]]
    print(f"{'':52}" + "".join(f"{name[:6]}{size:>5} " for name, size in cells) + "  mean   seeds")
    for group in [*([network] for network in networks), networks]:
        for recipe in recipes:
            found = [accuracies(options, recipe, name, group, size) for name, size in cells]
            means = [cell.mean() for cell in found]
            apart = np.mean([np.abs(cell[:, 0] - cell[:, -1]).mean() for cell in found])
            line = "".join(f"{mean:11.3f} " for mean in means)
            print(
                f"{'+'.join(group)[:19]:20}{recipe.name:32}{line}{np.mean(means):7.4f} {apart:7.4f}",
                flush=True,
            )


def accuracies(
    options: argparse.Namespace, recipe: Recipe, name: str, networks: Sequence[str], count: int
) -> NDArray[np.float64]:
    """Cluster random subsets with several seeds: (subsets, seeds) accuracies."""
    loaded = [np.load(options.features / f"{name}-{network}.npz") for network in networks]
    features = [recipe.before(each["embeddings"].astype(np.float32)) for each in loaded]
    classes = loaded[0]["labels"]
    keys = np.stack(
        [np.frombuffer(hashlib.sha256(b"%d" % row).digest(), np.uint8) for row in range(len(classes))]
    )
    subsets = (
        1 if count == len(classes) else options.subsets if count == 300 else max(options.subsets // 3, 1)
    )
    found = []
    for subset in range(subsets):
        chosen = np.sort(np.random.default_rng([subset, count]).choice(len(classes), count, replace=False))
        sources = [Rows(keys[chosen], rows[chosen]) for rows in features]
        names = [str(label) for label in classes[chosen]]
        found.append([score(sources, recipe.settings, names, seed) for seed in range(options.seeds)])
    return np.array(found)


def score(sources: Sequence[Rows], prepare: PrepareSettings, classes: Sequence[str], seed: int) -> float:
    """Cluster once."""
    settings = ClusterSettings(len(set(classes)), seed=seed)
    found = cluster(sources, ["space"] * len(sources), prepare, settings, SilentProgress())
    return evaluate(found.labels, classes).accuracy


if __name__ == "__main__":
    main()
