"""Clusters by k-means: many short restarts, the best of them finished properly, the same every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.fitting import count_distinct, fill_empty, fit_centroids, lloyd
from imgcluster.analysis.nearest import find_nearest
from imgcluster.analysis.ordering import choose_rows, key_order
from imgcluster.analysis.prepare import fit_preparation
from imgcluster.analysis.scoring import SILHOUETTE_SAMPLE, silhouette
from imgcluster.analysis.streaming import lloyd_streamed, nearest_streamed, points_of
from imgcluster.errors import ImgclusterError
from imgcluster.records import Clustering, ClusterModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from imgcluster.analysis.nearest import Nearest
    from imgcluster.analysis.prepare import PrepareSettings
    from imgcluster.records import EmbeddingSource, Keys, Preparation, Progress

_COPIES = 3
"""The fit holds the points, a copy of them and its own working arrays."""


@dataclass(frozen=True)
class KMeansSettings:
    """How clusters are found.

    Attributes
    ----------
    k
        How many clusters.
    algorithm
        ``minibatch-kmeans`` or ``kmeans``: how the restarts run; both are finished by full Lloyd passes.
    seed
        Any integer; fixes everything.
    restarts
        How many; None: as many as a fixed budget of work allows.
    memory
        Bytes that prepared points may take, working copies included; None: no limit.
    """

    k: int
    algorithm: str = "minibatch-kmeans"
    seed: int = 0
    restarts: int | None = None
    memory: int | None = None


@dataclass(frozen=True)
class _Inputs:
    """What is clustered: the same images in each source, and how their embeddings become points."""

    sources: Sequence[EmbeddingSource]
    preparations: tuple[Preparation, ...]
    keys: Keys

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of points in the order of the sources."""
        return points_of(self.sources, self.preparations)

    @property
    def dimension(self) -> int:
        """Length of a point."""
        return sum(
            len(preparation.components) or source.dimension
            for preparation, source in zip(self.preparations, self.sources, strict=True)
        )


def cluster(
    sources: Sequence[EmbeddingSource],
    spaces: Sequence[str],
    prepare: PrepareSettings,
    settings: KMeansSettings,
    progress: Progress,
) -> Clustering:
    """Cluster images by their embeddings.

    The answer depends on the keys, the embeddings and the settings only: not on the order of the rows, nor on
    the number of threads. (Where the points do not fit `settings.memory` and are streamed, sums are taken in
    the order of the rows.)

    Parameters
    ----------
    sources
        One per feature space; the same keys in the same order in each, embeddings finite.
    spaces
        Their names, for the model.
    prepare
        How embeddings become points.
    settings
        How clusters are found.
    progress
        Told about stages, and in one line where there are fewer distinct images than clusters asked for.

    Raises
    ------
    ImgclusterError
        Where k is larger than the number of images, or an embedding is not finite.
    """
    keys = _common_keys(sources)
    check_count(settings.k, len(keys))
    progress.begin("preparing the features")
    preparations = tuple(fit_preparation(source, prepare, clusters=settings.k) for source in sources)
    inputs = _Inputs(sources, preparations, keys)
    fit = _fit_in_memory if _fits(inputs, settings.memory) else _fit_streamed
    centroids, nearest, score = fit(inputs, settings, progress)
    if len(centroids) < settings.k:
        progress.note(
            f"only {len(centroids)} distinct images among {len(keys)}: "
            f"{len(centroids)} clusters instead of {settings.k}"
        )
    model = ClusterModel(tuple(spaces), preparations, centroids)
    return Clustering(
        keys=keys,
        labels=nearest.labels,
        distances=nearest.distances,
        silhouettes=nearest.silhouettes,
        inertia=nearest.inertia,
        silhouette=score,
        model=model,
    )


def check_count(k: int, images: int) -> None:
    """Refuse a number of clusters that cannot be.

    Raises
    ------
    ImgclusterError
        With the reason.
    """
    if images == 0:
        raise ImgclusterError("there are no images to cluster: run `imgcluster extract` on your images first")
    if k < 1:
        raise ImgclusterError(f"{k} clusters cannot be made: choose --k 1 or more")
    if k > images:
        raise ImgclusterError(
            f"{k} clusters were asked for, but there are only {images} distinct images: "
            f"choose --k {images} or less"
        )


def load_points(
    sources: Sequence[EmbeddingSource], preparations: Sequence[Preparation], rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Prepare embeddings: (len(rows), d) float32, in the order of `rows`, each of which is named once."""
    place = np.full(len(sources[0].keys), -1)
    place[rows] = np.arange(len(rows))
    points: NDArray[np.float32] | None = None
    start = 0
    for block in points_of(sources, preparations):
        if points is None:
            points = np.empty((len(rows), block.shape[1]), np.float32)
        targets = place[start : start + len(block)]
        wanted = targets >= 0
        points[targets[wanted]] = block[wanted]
        start += len(block)
    return np.zeros((0, 0), np.float32) if points is None else points


def number_clusters(labels: NDArray[np.int32], k: int) -> NDArray[np.intp]:
    """Order clusters by size, the largest first, equal ones by the first row: (k,) intp, old numbers.

    Parameters
    ----------
    labels
        (N,) int32 in the order of the keys, each of the k numbers at least once.
    """
    first = np.full(k, len(labels))
    np.minimum.at(first, labels, np.arange(len(labels)))
    return np.lexsort((first, -np.bincount(labels, minlength=k)))


def _fit_in_memory(
    inputs: _Inputs, settings: KMeansSettings, progress: Progress
) -> tuple[NDArray[np.float32], Nearest, float]:
    order = key_order(inputs.keys)
    keys = inputs.keys[order]
    points = load_points(inputs.sources, inputs.preparations, order)
    progress.begin("finding clusters")
    centroids = fit_points(points, keys, settings)
    nearest = find_nearest(points, centroids)
    score = silhouette(points, nearest.labels, settings.seed)
    return centroids, nearest.in_order(np.argsort(order)), score


def fit_points(points: NDArray[np.float32], keys: Keys, settings: KMeansSettings) -> NDArray[np.float32]:
    """Find the centroids of points in memory, numbered as clusters are.

    Parameters
    ----------
    points
        (N, d) float32 in the order of their keys.
    keys
        (N, 32) uint8.
    settings
        k may be larger than the number of distinct points: then there are as many centroids as those.
    """
    k = count_distinct(points, settings.k)
    candidates = fit_centroids(points, keys, settings, k)
    finished = [lloyd(points, candidate) for candidate in candidates]
    best = min(finished, key=lambda centroids: find_nearest(points, centroids).inertia)
    filled = fill_empty(points, best)
    return filled[number_clusters(find_nearest(points, filled).labels, k)]


def _fit_streamed(
    inputs: _Inputs, settings: KMeansSettings, progress: Progress
) -> tuple[NDArray[np.float32], Nearest, float]:
    """Restart on as many points as memory holds, then full Lloyd passes over the stream."""
    memory = settings.memory or 0
    count = max(memory // (_COPIES * 4 * inputs.dimension), 10 * settings.k, 1000)
    sample, keys = _sample(inputs, choose_rows(inputs.keys, count, settings.seed))
    progress.begin("finding clusters")
    centroids = fit_points(sample, keys, settings)
    centroids = lloyd_streamed(inputs.blocks, centroids)
    nearest = nearest_streamed(inputs.blocks, len(inputs.keys), centroids)
    kept, labels = np.unique(nearest.labels, return_inverse=True)
    order = key_order(inputs.keys)
    numbers = kept[number_clusters(labels[order].astype(np.int32), len(kept))]
    centroids = centroids[numbers]
    nearest = nearest_streamed(inputs.blocks, len(inputs.keys), centroids)
    chosen = choose_rows(inputs.keys, SILHOUETTE_SAMPLE, settings.seed)
    points, _ = _sample(inputs, chosen)
    score = silhouette(points, find_nearest(points, centroids).labels, settings.seed)
    return centroids, nearest, score


def _sample(inputs: _Inputs, rows: NDArray[np.intp]) -> tuple[NDArray[np.float32], Keys]:
    """Gather the points of some rows, in the order of their keys."""
    rows = rows[key_order(inputs.keys[rows])]
    return load_points(inputs.sources, inputs.preparations, rows), inputs.keys[rows]


def _fits(inputs: _Inputs, memory: int | None) -> bool:
    return memory is None or _COPIES * 4 * len(inputs.keys) * inputs.dimension <= memory


def _common_keys(sources: Sequence[EmbeddingSource]) -> Keys:
    keys = sources[0].keys
    if any(not np.array_equal(keys, source.keys) for source in sources[1:]):
        raise ValueError("the sources hold different images")
    return keys
