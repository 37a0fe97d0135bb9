"""Clusters by k-means: many short restarts, the best of them finished properly, the same every time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.counted import Counted
from imgcluster.analysis.fitting import (
    best_of,
    count_distinct,
    fill_empty,
    fit_centroids,
    lloyd,
    means_of,
    restarts_for,
)
from imgcluster.analysis.joining import apply_join, join, sharpen
from imgcluster.analysis.memory import affordable_rows
from imgcluster.analysis.nearest import find_nearest, simplified_silhouettes
from imgcluster.analysis.ordering import choose_rows, key_order
from imgcluster.analysis.prepare import fit_features
from imgcluster.analysis.scoring import SILHOUETTE_SAMPLE, silhouette
from imgcluster.analysis.streaming import (
    fill_empty_streamed,
    lloyd_streamed,
    points_of,
    silhouettes_streamed,
)
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.records import Clustering, ClusterModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from imgcluster.analysis.nearest import Nearest
    from imgcluster.analysis.prepare import PrepareSettings
    from imgcluster.records import EmbeddingSource, Keys, Preparation, Progress

_SHARPENINGS = 3
_SHARPENING_PASSES = 20
_FEWER_RESTARTS = 4
"""In the sharpened space, where the clusters that sharpened it are seldom surpassed, so many times fewer."""


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
        Bytes that prepared points may take, working copies included; None: no limit. Less than 32 MiB count
        as so many.
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
    joined: bool

    def blocks(self, joint: Preparation | None) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of points in the order of the sources."""
        for features in points_of(self.sources, self.preparations):
            yield apply_join(joint, features)


@dataclass(frozen=True)
class _Found:
    """Clusters, the step that leads to their space, and how well each image lies in its own."""

    centroids: NDArray[np.float32]
    joint: Preparation | None
    nearest: Nearest
    silhouettes: NDArray[np.float32]
    silhouette: float


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
    keys = common_keys(sources, spaces)
    check_count(settings.k, len(keys))
    preparations = prepare_each(sources, prepare, settings.memory, progress)
    inputs = _Inputs(sources, preparations, keys, joined=prepare.automatic)
    rows = affordable_rows(sources, preparations, settings.memory)
    if rows == len(keys):
        found = _fit_in_memory(inputs, settings, progress)
    else:
        found = _fit_streamed(inputs, settings, max(rows, 10 * settings.k), progress)
    count = len(found.centroids)
    if count < settings.k:
        progress.note(f"only {count} of {len(keys)} images are distinct: making {quantity(count, 'cluster')}")
    return Clustering(
        keys=keys,
        labels=found.nearest.labels,
        distances=found.nearest.distances,
        silhouettes=found.silhouettes,
        inertia=found.nearest.inertia,
        silhouette=found.silhouette,
        model=ClusterModel(tuple(spaces), preparations, found.centroids, found.joint),
    )


def common_keys(sources: Sequence[EmbeddingSource], spaces: Sequence[str]) -> Keys:
    """Give the keys that all sources hold, one source for each space.

    Raises
    ------
    ValueError
        Where the sources hold different images or another order of them, or are not as many as the spaces.
    """
    if len(sources) != len(spaces):
        raise ValueError("there is one source for each space")
    keys = sources[0].keys
    if any(not np.array_equal(keys, source.keys) for source in sources[1:]):
        raise ValueError("the sources hold different images")
    return keys


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
            f"{k} clusters cannot be made of {quantity(images, 'distinct image')}: "
            f"choose --k {images} or less"
        )


def prepare_each(
    sources: Sequence[EmbeddingSource], prepare: PrepareSettings, memory: int | None, progress: Progress
) -> tuple[Preparation, ...]:
    """Fit each space's preparation. Raises NotFinite where an embedding is."""
    progress.begin("preparing the features", len(sources[0].keys) * len(sources))
    return tuple(fit_features(Counted(source, progress), prepare, memory) for source in sources)


def load_points(
    sources: Sequence[EmbeddingSource],
    preparations: Sequence[Preparation],
    rows: NDArray[np.intp],
    progress: Progress,
) -> NDArray[np.float32]:
    """Prepare embeddings: (len(rows), d) float32, in the order of `rows`, each of which is named once."""
    progress.begin("reading the embeddings", len(sources[0].keys) * len(sources))
    place = np.full(len(sources[0].keys), -1)
    place[rows] = np.arange(len(rows))
    points: NDArray[np.float32] | None = None
    start = 0
    for block in points_of([Counted(source, progress) for source in sources], preparations):
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


def fit_points(
    points: NDArray[np.float32],
    keys: Keys,
    settings: KMeansSettings,
    start: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Find the centroids of points in memory, numbered as clusters are.

    Parameters
    ----------
    points
        (N, d) float32 in the order of their keys.
    keys
        (N, 32) uint8.
    settings
        k may be larger than the number of distinct points: then there are as many centroids as those.
    start
        (k, d) centroids that are tried as well.
    """
    k = count_distinct(points, settings.k)
    candidates = [fit_centroids(points, keys, settings, k)]
    if start is not None and len(start) == k:
        candidates.append(start)
    best = best_of(lloyd(points, candidates), points)
    filled = fill_empty(points, best)
    return filled[number_clusters(find_nearest(points, filled).labels, k)]


def _fit_joined(
    features: NDArray[np.float32], keys: Keys, settings: KMeansSettings
) -> tuple[NDArray[np.float32], Preparation]:
    """Find clusters, sharpen the space by what was found, and find them again."""
    joint = _keeping_apart(join(features, settings.k), features, settings.k)
    points = apply_join(joint, features)
    centroids = fit_points(points, keys, settings)
    if len(centroids) < 2:
        return centroids, joint
    for _ in range(_SHARPENINGS):
        labels = find_nearest(points, centroids).labels
        joint = _keeping_apart(sharpen(features, labels), features, settings.k)
        points = apply_join(joint, features)
        (centroids,) = lloyd(points, [means_of(points, labels)], _SHARPENING_PASSES)
        centroids = fill_empty(points, centroids)
    again = (settings.restarts or restarts_for(points.shape, len(centroids))) // _FEWER_RESTARTS
    return fit_points(points, keys, replace(settings, restarts=max(again, 1)), centroids), joint


def _keeping_apart(step: Preparation, features: NDArray[np.float32], k: int) -> Preparation:
    """Leave out the last step, unit length, where it would make one point of images that differ."""
    if count_distinct(apply_join(step, features), k) < count_distinct(features, k):
        return replace(step, normalise_again=False)
    return step


def _fit(
    features: NDArray[np.float32], keys: Keys, settings: KMeansSettings, *, joined: bool
) -> tuple[NDArray[np.float32], Preparation | None]:
    return _fit_joined(features, keys, settings) if joined else (fit_points(features, keys, settings), None)


def _unsharpened(features: NDArray[np.float32], joint: Preparation | None, k: int) -> Preparation | None:
    """Fit the step to the points for silhouettes: in the space made by the clusters all would look good."""
    return None if joint is None else join(features, k)


def _fit_in_memory(inputs: _Inputs, settings: KMeansSettings, progress: Progress) -> _Found:
    order = key_order(inputs.keys)
    keys = inputs.keys[order]
    features = load_points(inputs.sources, inputs.preparations, order, progress)
    progress.begin("finding clusters")
    centroids, joint = _fit(features, keys, settings, joined=inputs.joined)
    nearest = find_nearest(apply_join(joint, features), centroids)
    points = apply_join(_unsharpened(features, joint, settings.k), features)
    silhouettes = simplified_silhouettes(points, nearest.labels, means_of(points, nearest.labels))
    score = silhouette(points, nearest.labels, settings.seed)
    back = np.argsort(order)
    return _Found(centroids, joint, nearest.in_order(back), silhouettes[back], score)


def _fit_streamed(inputs: _Inputs, settings: KMeansSettings, rows: int, progress: Progress) -> _Found:
    """Restart on so many points as memory holds, then full Lloyd passes over the stream."""
    sample, keys = _sample(inputs, choose_rows(inputs.keys, rows, settings.seed), progress)
    progress.begin("finding clusters")
    centroids, joint = _fit(sample, keys, settings, joined=inputs.joined)

    missing = settings.k - len(centroids)  # where the sample holds fewer distinct points than all images do
    centroids = np.concatenate([centroids, centroids[:1].repeat(missing, axis=0)])
    points = partial(inputs.blocks, joint)
    centroids, nearest = fill_empty_streamed(points, len(inputs.keys), lloyd_streamed(points, centroids))
    centroids, nearest = _numbered(centroids, nearest, inputs.keys)
    plain = _unsharpened(sample, joint, settings.k)
    silhouettes = silhouettes_streamed(partial(inputs.blocks, plain), nearest.labels, len(centroids))
    features, _ = _sample(inputs, choose_rows(inputs.keys, SILHOUETTE_SAMPLE, settings.seed), progress)
    sampled = find_nearest(apply_join(joint, features), centroids).labels
    score = silhouette(apply_join(plain, features), sampled, settings.seed)
    return _Found(centroids, joint, nearest, silhouettes, score)


def _numbered(
    centroids: NDArray[np.float32], nearest: Nearest, keys: Keys
) -> tuple[NDArray[np.float32], Nearest]:
    """Leave out centroids without points, and number the others as clusters are."""
    kept, labels = np.unique(nearest.labels, return_inverse=True)
    numbers = number_clusters(labels[key_order(keys)].astype(np.int32), len(kept))
    return centroids[kept[numbers]], nearest.renumbered(np.argsort(numbers)[labels])


def _sample(inputs: _Inputs, rows: NDArray[np.intp], progress: Progress) -> tuple[NDArray[np.float32], Keys]:
    """Gather the points of some rows, in the order of their keys."""
    rows = rows[key_order(inputs.keys[rows])]
    return load_points(inputs.sources, inputs.preparations, rows, progress), inputs.keys[rows]
