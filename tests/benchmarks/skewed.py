"""How clusters fare where classes differ in size: even and skewed sets, with strangers, with k off by one.

    python tests/benchmarks/skewed.py FEATURES [--draws 4] [--seeds 1] [--algorithms NAME …] [--results FILE]

FEATURES is a folder of SET-NETWORK.npz with `embeddings` (N, D), `labels` (N,) and `classes`. Skewed: class
sizes fall geometrically from all images of one class to a share of another's, in random order; or all classes
but one have that share, or that one alone has it, or sizes fall by equal steps. Strangers: one image in ten
more, of another set, that count as no class. Algorithms: those of imgcluster, and `turtle` and `hdbscan on a
map` as published. The table has a line for each cell: accuracy, with the 95 % interval of its mean over sets,
networks and draws, balanced accuracy, ARI, and how far seeds differ. Of several seeds, lines below the table
give the mean accuracy of each over all cells, and the clustering in which they differ most. What lies in the
file of results is not computed again. With ` --leave-out auto` after its name an algorithm leaves strangers
out. What is published takes long: `--published` names the cells, and those of draw 0 only, that have it.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from preparation import Rows
from published import PUBLISHED

from imgcluster.analysis.clusterer import DEFAULT_ALGORITHM, ClusterSettings
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.scoring import evaluate
from imgcluster.analysis.transforms import PrepareSettings
from imgcluster.records import Embeddings, Keys, SilentProgress

EVEN = "even"
SHAPES = (EVEN, "skewed 0.15", "skewed 0.05")
OTHER_SHAPES = ("one large 0.15", "one small 0.15", "steps 0.1")
LEAVING_OUT = " --leave-out auto"
STRANGERS = 0.1
NO_STRANGERS = {"cats_dogs": {"natural"}, "natural": {"cats_dogs"}}
"""Natural holds cats, dogs and people, so to each other these two are no strangers."""


@dataclass(frozen=True)
class Cell:
    """What is varied, but for algorithm, set, draw and seed."""

    networks: tuple[str, ...]
    shape: str
    strangers: bool = False
    k_off: int = 0
    size: int | None = None

    def __str__(self) -> str:
        extra = f"{', strangers' if self.strangers else ''}{f', k {self.k_off:+d}' if self.k_off else ''}"
        return f"{' and '.join(self.networks)}, {self.size or 'all'}, {self.shape}{extra}"


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


@dataclass(frozen=True)
class Draw:
    """Images of a set and strangers after them: `labels` of the former, sources of all."""

    labels: NDArray[np.int64]
    sources: list[Rows]
    k: int


def shares(shape: str, classes: int) -> NDArray[np.float64]:
    """Give how much of each class is taken, the largest first."""
    if shape == EVEN:
        return np.ones(classes)
    kind, smallest = shape.rsplit(" ", 1)
    places = np.arange(classes) / max(classes - 1, 1)
    return {
        "skewed": float(smallest) ** places,
        "one large": np.where(places > 0, float(smallest), 1),
        "one small": np.where(places == 1, float(smallest), 1),
        "steps": 1 - (1 - float(smallest)) * places,
    }[kind]


def keys_of(count: int) -> Keys:
    """(count, 32): a key for each row."""
    digests = [hashlib.sha256(str(row).encode()).digest() for row in range(count)]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


def draw(sets: Sets, name: str, cell: Cell, number: int) -> Draw:
    """Choose images of a set, and strangers of another."""
    random = np.random.default_rng(number)
    labels = sets.labels[name]
    classes = random.permutation(int(labels.max()) + 1)
    chosen = []
    for share, each in zip(shares(cell.shape, len(classes)), classes, strict=True):
        rows = random.permutation(np.flatnonzero(labels == each))
        chosen.append(rows[: round(share * len(rows))])
    rows = np.sort(random.permutation(np.concatenate(chosen))[: cell.size])
    others = [each for each in sets.labels if each != name and each not in NO_STRANGERS.get(name, ())]
    other = others[number % len(others)]
    count = round(STRANGERS * len(rows)) if cell.strangers else 0
    strange = random.choice(len(sets.labels[other]), count, replace=False)
    keys = keys_of(len(rows) + count)
    sources = [
        np.concatenate([sets.embeddings[name, network][rows], sets.embeddings[other, network][strange]])
        for network in cell.networks
    ]
    return Draw(labels[rows], [Rows(keys, each) for each in sources], max(1, len(classes) + cell.k_off))


def measures(drawn: Draw, algorithm: str, seed: int) -> tuple[float, ...]:
    """Accuracy, balanced accuracy and ARI of all but strangers; shares of strangers and others left out."""
    name = algorithm.removesuffix(LEAVING_OUT)
    if algorithm in PUBLISHED:
        labels = PUBLISHED[algorithm](drawn.sources, drawn.k, seed)
    else:
        spaces = [str(number) for number in range(len(drawn.sources))]
        settings = ClusterSettings(drawn.k, name, seed, leave_out=None if name == algorithm else "auto")
        labels = cluster(drawn.sources, spaces, PrepareSettings(), settings, SilentProgress()).labels
    outside = labels < 0
    judged = evaluate(labels[: len(drawn.labels)], [str(each) for each in drawn.labels])
    counts = np.array(judged.confusion)
    right = [
        counts[row, judged.columns.index(c)] if c is not None else 0 for row, c in enumerate(judged.matched)
    ]
    balanced = float(np.mean(right / np.maximum(counts.sum(axis=1), 1)))
    count = len(drawn.labels)
    strangers_out = float(outside[count:].mean()) if len(outside) > count else 0.0
    return judged.accuracy, balanced, judged.ari, strangers_out, float(outside[:count].mean())


def cells(options: argparse.Namespace, networks: Sequence[str]) -> Iterator[Cell]:
    """Yield all combinations; strangers, a wrong k and other shapes on all images only."""
    several = [*((network,) for network in networks), tuple(networks)]
    for chosen in several:
        for shape, size in itertools.product(SHAPES, (None, *options.sizes)):
            yield Cell(chosen, shape, size=size)
        yield from (Cell(chosen, shape) for shape in OTHER_SHAPES)
        for shape in SHAPES:
            yield Cell(chosen, shape, strangers=True)
            yield from (Cell(chosen, shape, k_off=k_off) for k_off in (-1, 1))


class Results:
    """Measures by what they are of, kept in a file of lines."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path and path.exists() else ()
        self._known = {json.dumps(of): found for of, found in map(json.loads, lines)}

    def measured(
        self, sets: Sets, name: str, cell: Cell, algorithm: str, number: int, seed: int
    ) -> Sequence[float]:
        """Give the measures, computed if they are not known."""
        of = [algorithm, *astuple(cell), name, number, seed]
        key = json.dumps(of)
        if key not in self._known:
            self._known[key] = measures(draw(sets, name, cell, number), algorithm, seed)
            if self._path:
                with self._path.open("a") as file:
                    file.write(json.dumps([of, self._known[key]]) + "\n")
        return self._known[key]


def main() -> None:
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="*", default=[300, 1000])
    parser.add_argument(
        "--algorithms", nargs="+", default=[DEFAULT_ALGORITHM, "minibatch-kmeans", *PUBLISHED]
    )
    parser.add_argument("--cells", default="", help="only cells with this in their name")
    parser.add_argument("--published", default="", help="what is published in cells with this in their name")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    sets, results = Sets.load(options.features), Results(options.results)
    several = options.seeds > 1
    titles = {name: measured_of(name, several=several) for name in options.algorithms}
    heads = [f"{name}: {head}" for name, own in titles.items() for head in own]
    print(f"| cell | {' | '.join(heads)} |")
    print("| --- |" + " --- |" * len(heads))
    by_seed: dict[str, dict[str, NDArray[np.float64]]] = {name: {} for name in options.algorithms}
    names = sorted(sets.labels)
    for cell in cells(options, sets.networks):
        if options.cells not in str(cell):
            continue
        varied = cell.shape != EVEN or cell.size or cell.strangers
        columns = []
        for algorithm in options.algorithms:
            if algorithm in PUBLISHED and options.published not in str(cell):
                columns.append(" | ".join("" for _ in titles[algorithm]))
                continue
            count = options.draws if varied and algorithm not in PUBLISHED else 1
            draws = range(options.first_draw, options.first_draw + count)
            found = np.array(
                [
                    [
                        [
                            results.measured(sets, name, cell, algorithm, number, seed)
                            for seed in range(options.seeds)
                        ]
                        for number in draws
                    ]
                    for name in names
                ]
            )
            columns.append(" | ".join(column(found)[title] for title in titles[algorithm]))
            for name, own in zip(names, found[..., 0], strict=True):
                for number, each in zip(draws, own, strict=True):
                    by_seed[algorithm][f"{cell}: {name}, draw {number}"] = each
        print(f"| {cell} | {' | '.join(columns)} |", flush=True)
    for algorithm, accuracies in by_seed.items() if several else ():
        print(f"\n{algorithm}: {of_seeds(accuracies)}")


def of_seeds(accuracies: dict[str, NDArray[np.float64]]) -> str:
    """Tell how far seeds differ, by the accuracies of each in every clustering."""
    means = np.mean(list(accuracies.values()), axis=0)
    worst = max(accuracies, key=lambda of: np.ptp(accuracies[of]))
    each = " ".join(f"{mean:.4f}" for mean in means)
    return (
        f"means by seed {each}, which differ by {np.ptp(means):.4f}; "
        f"most, {np.ptp(accuracies[worst]):.3f}, in {worst}"
    )


def measured_of(algorithm: str, *, several: bool) -> list[str]:
    """Name the columns of an algorithm, of one or several seeds."""
    heads = ["accuracy", "balanced", "ARI", *(["seeds"] if several else [])]
    return [*heads, "strangers out", "others out"] if algorithm.endswith(LEAVING_OUT) else heads


def column(found: NDArray[np.float64]) -> dict[str, str]:
    """Summarise (sets, draws, seeds, measures), by the names of columns."""
    accuracies = found[..., 0].mean(axis=2).ravel()
    interval = 1.96 * accuracies.std(ddof=1) / np.sqrt(len(accuracies))
    means = found.mean(axis=(0, 1, 2))
    figures = {
        "seeds": np.ptp(found[..., 0], axis=2).mean(),
        **dict(zip(("accuracy", "balanced", "ARI", "strangers out", "others out"), means, strict=True)),
    }
    texts = {title: f"{figure:.3f}" for title, figure in figures.items()}
    return {**texts, "accuracy": f"{texts['accuracy']} ± {interval:.3f}"}


if __name__ == "__main__":
    main()
