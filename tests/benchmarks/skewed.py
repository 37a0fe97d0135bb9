"""How clusters fare where classes differ in size: even and skewed sets, with strangers, with k off by one.

    python tests/benchmarks/skewed.py FEATURES [--draws 4] [--sizes 300 1000] [--algorithms NAME …]

FEATURES is a folder of SET-NETWORK.npz with `embeddings` (N, D), `labels` (N,) and `classes`. Skewed: class
sizes fall geometrically from all images of one class to a share of another's, in random order. Strangers: one
image in ten more, of another set, that count as no class. Each line is a cell of the table, with the 95 %
interval of its mean over sets, networks, draws and seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from preparation import Rows

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import Embeddings, SilentProgress

EVEN, SKEWS = 1.0, (0.15, 0.05)
STRANGERS = 0.1
NO_STRANGERS = {"cats_dogs": {"natural"}, "natural": {"cats_dogs"}}
"""Natural holds cats, dogs and people, so to each other these two are no strangers."""


@dataclass(frozen=True)
class Cell:
    """What is varied, but for set, draw and seed."""

    networks: tuple[str, ...]
    ratio: float
    strangers: bool
    k_off: int
    size: int | None
    algorithm: str

    def __str__(self) -> str:
        shape = "even" if self.ratio == EVEN else f"skewed {self.ratio:g}"
        extra = f"{', strangers' if self.strangers else ''}{f', k {self.k_off:+d}' if self.k_off else ''}"
        return f"{self.algorithm}, {'+'.join(self.networks)}, {self.size or 'all'}, {shape}{extra}"


@dataclass(frozen=True)
class Sets:
    """Embeddings by set and network, and the labels by set, the same images in each network."""

    embeddings: dict[tuple[str, str], Embeddings]
    labels: dict[str, NDArray[np.int64]]

    @classmethod
    def load(cls, folder: Path) -> Sets:
        """Read all files of a folder."""
        embeddings, labels = {}, {}
        for path in sorted(folder.glob("*-*.npz")):
            name, network = path.stem.split("-", 1)
            with np.load(path) as arrays:
                embeddings[name, network] = arrays["embeddings"].astype(np.float32)
                labels[name] = arrays["labels"].astype(np.int64)
        return cls(embeddings, labels)

    @property
    def networks(self) -> tuple[str, ...]:
        """All, in the order of their names."""
        return tuple(sorted({network for _, network in self.embeddings}))


def draw(labels: NDArray[np.int64], cell: Cell, random: np.random.Generator) -> NDArray[np.intp]:
    """Choose rows of a set, at most `cell.size`."""
    classes = random.permutation(int(labels.max()) + 1)
    chosen = []
    for place, each in enumerate(classes):
        rows = random.permutation(np.flatnonzero(labels == each))
        share = cell.ratio ** (place / max(len(classes) - 1, 1))
        chosen.append(rows[: round(share * len(rows))])
    rows = random.permutation(np.concatenate(chosen))
    return np.sort(rows[: cell.size])


def measures(sets: Sets, name: str, cell: Cell, number: int, seed: int) -> tuple[float, float, float]:
    """Accuracy, balanced accuracy and ARI of one draw; strangers are clustered, and not judged."""
    random = np.random.default_rng(number)
    rows = draw(sets.labels[name], cell, random)
    labels = sets.labels[name][rows]
    others = [each for each in sets.labels if each != name and each not in NO_STRANGERS.get(name, ())]
    other = others[number % len(others)]
    count = round(STRANGERS * len(rows)) if cell.strangers else 0
    strange = random.choice(len(sets.labels[other]), count, replace=False)
    sources = [
        np.concatenate([sets.embeddings[name, network][rows], sets.embeddings[other, network][strange]])
        for network in cell.networks
    ]
    digests = [hashlib.sha256(str(row).encode()).digest() for row in range(len(rows) + count)]
    keys = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
    k = max(1, int(labels.max()) + 1 + cell.k_off)
    found = cluster(
        [Rows(keys, each) for each in sources],
        cell.networks,
        PrepareSettings(),
        ClusterSettings(k, cell.algorithm, seed),
        SilentProgress(),
    )
    judged = evaluate(found.labels[: len(rows)], [str(each) for each in labels])
    counts = np.array(judged.confusion)
    recalls = [
        row[place] / max(row.sum(), 1) if place < len(row) else 0.0 for place, row in enumerate(counts)
    ]
    return judged.accuracy, float(np.mean(recalls)), judged.ari


def cells(options: argparse.Namespace, networks: Sequence[str]) -> Iterator[Cell]:
    """Yield all combinations; strangers and a wrong k on all images only."""
    several = [*((network,) for network in networks), tuple(networks)]
    for algorithm, chosen, ratio, size in itertools.product(
        options.algorithms, several, (EVEN, *SKEWS), (None, *options.sizes)
    ):
        yield Cell(chosen, ratio, strangers=False, k_off=0, size=size, algorithm=algorithm)
        if size is None:
            yield Cell(chosen, ratio, strangers=True, k_off=0, size=size, algorithm=algorithm)
            for k_off in (-1, 1):
                yield Cell(chosen, ratio, strangers=False, k_off=k_off, size=size, algorithm=algorithm)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="*", default=[300, 1000])
    parser.add_argument("--algorithms", nargs="+", default=["minibatch-kmeans"])
    options = parser.parse_args()
    sets = Sets.load(options.features)
    print(f"{'':64}{'accuracy':>18}{'balanced':>10}{'ARI':>8}{'seeds':>8}")
    for cell in cells(options, sets.networks):
        draws = options.draws if cell.ratio != EVEN or cell.size else 1  # an even set as it is, is one draw
        found = np.array(
            [
                [
                    [measures(sets, name, cell, number, seed) for seed in range(options.seeds)]
                    for number in range(draws)
                ]
                for name in sorted(sets.labels)
            ]
        )
        accuracies = found[..., 0].mean(axis=2).ravel()
        interval = 1.96 * accuracies.std(ddof=1) / np.sqrt(len(accuracies))
        spread = np.ptp(found[..., 0], axis=2).mean()
        print(
            f"{cell!s:64}{accuracies.mean():>10.4f} ± {interval:.3f}{found[..., 1].mean():>10.4f}"
            f"{found[..., 2].mean():>8.3f}{spread:>8.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
