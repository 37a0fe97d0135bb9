"""Comparison: networks × algorithms on labelled images, over several seeds. No folder is written."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from imgcluster.analysis.clusterer import ClusterSettings
from imgcluster.analysis.clusterers import find_clusterer
from imgcluster.analysis.clustering import cluster
from imgcluster.analysis.scoring import evaluate
from imgcluster.errors import ImgclusterError, Interrupted, NetworkUnavailable
from imgcluster.networks.catalog import find_network
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.weights import weights_in
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Evaluation, FeatureSpace, Progress
from imgcluster.store.store import FeatureStore
from imgcluster.tabular import Tabular
from imgcluster.workflows.choose_network import Choose, choose_network
from imgcluster.workflows.cluster import prepare_settings
from imgcluster.workflows.embedded_images import EmbeddedImages, collect
from imgcluster.workflows.extract import extract
from imgcluster.workflows.labels import labels_of
from imgcluster.workflows.options import CompareOptions, ExtractOptions

_COLUMNS = ("network", "algorithm", "accuracy", "spread", "errors", "ari", "nmi", "clustering_seconds")

TOGETHER = "+"
"""Between the names of networks that are joined, side by side, for one comparison."""


@dataclass(frozen=True)
class Extraction:
    """What it took to have a network's embeddings: seconds, and how many images were not in the store."""

    new: int
    seconds: float


def _mean(measure: str) -> property:
    return property(lambda row: float(np.mean([getattr(each, measure) for each in row.evaluations])))


@dataclass(frozen=True)
class Comparison:
    """One network, or several side by side, with one algorithm; one evaluation per seed, from 0 on.

    Measures are means over the seeds.
    """

    network: str
    algorithm: str
    evaluations: tuple[Evaluation, ...]
    extraction: Extraction
    clustering_seconds: float
    accuracy = _mean("accuracy")
    errors = _mean("errors")
    ari = _mean("ari")
    nmi = _mean("nmi")

    @property
    def accuracies(self) -> tuple[float, ...]:
        """One per seed."""
        return tuple(evaluation.accuracy for evaluation in self.evaluations)

    @property
    def spread(self) -> float:
        """The highest accuracy less the lowest."""
        return max(self.accuracies) - min(self.accuracies)


@dataclass(frozen=True)
class Unavailable:
    """A network that could not be had, and why."""

    network: str
    reason: str


@dataclass(frozen=True)
class CompareResult(Tabular, rows="rows", of=_COLUMNS):
    """The table in the order of the options, with the networks that are not in it.

    `images` counts files; where the networks differ in them, those of the last one.
    """

    images: int
    rows: tuple[Comparison, ...]
    unavailable: tuple[Unavailable, ...]


def compare(
    paths: Sequence[str | os.PathLike[str]],
    options: CompareOptions | None = None,
    *,
    choose: Choose = choose_network,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> CompareResult:
    """Embed the images below `paths` with each network, cluster with each algorithm and seed, and evaluate.

    A network that cannot be had is named in the result, and the others are compared.

    Parameters
    ----------
    choose
        Makes a network source of a choice and of what takes notes.

    Raises
    ------
    UsageError
        Where a network or an algorithm is unknown.
    ImgclusterError
        Where no network can be had, and for what `extract` and `cluster` refuse.
    Interrupted
        Where `progress` asked to stop; the embeddings are in the store.
    """
    options = options or CompareOptions()
    for name in (name for joined in options.networks for name in joined.split(TOGETHER)):
        find_network(name)
    for algorithm in options.algorithms:
        find_clusterer(algorithm)
    if options.weights_dir is not None and not os.path.isdir(options.weights_dir):
        raise ImgclusterError(f"{options.weights_dir} is not a folder: name one with weights")

    @cache
    def embed_once(name: str) -> tuple[FeatureSpace, Extraction] | NetworkUnavailable:
        try:
            return _embed(name, paths, options, choose, progress, owner)
        except NetworkUnavailable as error:
            return error

    rows: list[Comparison] = []
    unavailable: list[Unavailable] = []
    images: dict[str, int] = {}
    for network in options.networks:
        parts = [embed_once(name) for name in network.split(TOGETHER)]
        if error := next((part for part in parts if isinstance(part, NetworkUnavailable)), None):
            progress.note(f"{network} is left out: {error}")
            unavailable.append(Unavailable(network, str(error)))
            continue
        spaces, extractions = zip(*parts, strict=True)
        extraction = Extraction(sum(e.new for e in extractions), sum(e.seconds for e in extractions))
        with FeatureStore(options.store, lock=not options.no_lock, notify=progress.note) as store:
            stored = tuple(store.find_space(space=space) for space in spaces)
            collection = collect(store, stored, paths, (), progress, owner=owner)
            originals = [image.original for image in collection.images]
            classes = labels_of(options.labels, originals, SILENT.note if rows else progress.note)
            for algorithm in options.algorithms:
                collection, evaluations, seconds = _over_seeds(
                    progress, collection, classes=classes, algorithm=algorithm, options=options
                )
                rows.append(Comparison(network, algorithm, evaluations, extraction, seconds))
            images[network] = len(collection.images)
    if not rows:
        first = unavailable[0]
        raise ImgclusterError(f"no network could be used; {first.network}: {first.reason}")
    _note_differences(images, progress)
    *_, last = images.values()
    return CompareResult(last, tuple(rows), tuple(unavailable))


def _note_differences(images: Mapping[str, int], progress: Progress) -> None:
    if len({*images.values()}) > 1:
        counts = ", ".join(f"{network} of {count}" for network, count in images.items())
        progress.note(f"the networks are not compared on the same images: {counts}")


def _embed(
    name: str,
    paths: Sequence[str | os.PathLike[str]],
    compared: CompareOptions,
    choose: Choose,
    progress: Progress,
    owner: Ownership,
) -> tuple[FeatureSpace, Extraction]:
    folder = compared.weights_dir
    options = ExtractOptions(
        store=compared.store,
        network=name,
        weights=weights_in(folder, find_network(name)) if folder else "imagenet",
        no_lock=compared.no_lock,
    )
    try:
        source = choose(NetworkChoice.of(options), progress.note)
    except ImgclusterError as error:
        raise NetworkUnavailable(str(error)) from error
    result = extract(paths, options, source=source, progress=progress, owner=owner)
    return source.space, Extraction(result.new, result.seconds)


def _over_seeds(
    progress: Progress,
    collection: EmbeddedImages,
    *,
    classes: Mapping[str, str],
    algorithm: str,
    options: CompareOptions,
) -> tuple[EmbeddedImages, tuple[Evaluation, ...], float]:
    """Cluster with the seeds from 0 on: the usable images, evaluations, and the mean of the seconds."""
    embeddings = collection.sources()
    names = tuple(space.name for space in collection.spaces)
    prepare = prepare_settings(options)
    settings = ClusterSettings(options.k, algorithm, restarts=options.restarts, memory=options.memory)
    evaluations = []
    started = time.perf_counter()
    for seed in range(options.seeds):
        if progress.stopping:
            raise Interrupted(f"stopped: all embeddings are kept in {options.store}")
        found = cluster(embeddings, names, prepare, replace(settings, seed=seed), progress)
        collection = collection.finite(found.keys, progress)
        labelled = [image for image in collection.images if image.original in classes]
        clusters = dict(zip(map(bytes, found.keys), found.labels, strict=True))
        evaluations.append(
            evaluate(
                np.array([clusters[image.key] for image in labelled], np.int32),
                [classes[image.original] for image in labelled],
            )
        )
    return collection, tuple(evaluations), (time.perf_counter() - started) / options.seeds
