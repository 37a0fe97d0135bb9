"""Embeddings to clusters: features, points, a clusterer, numbers; and new embeddings into these clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.centroids import distances_to, find_nearest, means_of, simplified_silhouettes
from imgcluster.analysis.certainty import certainty_features, probabilities
from imgcluster.analysis.clusterer import (
    NOWHERE,
    ClustererModel,
    ClusterSettings,
    FoundIn,
    SpacesClusterer,
    find_within,
)
from imgcluster.analysis.clusterers import find_clusterer
from imgcluster.analysis.constraints import OUTSIDE, Constraints, constrain, count_together, leave_room
from imgcluster.analysis.features import Features, Spread, load_features, transform_all
from imgcluster.analysis.parallel import one_thread
from imgcluster.analysis.scoring import silhouette
from imgcluster.analysis.spaces import SmallClusters, Space, Spaces
from imgcluster.analysis.strangers import EXTRA, SAMPLE, WithinReach, stray_clusters
from imgcluster.analysis.transforms import PrepareSettings, transform
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.records import (
    Clustering,
    ClusterModel,
    Embeddings,
    EmbeddingSource,
    FeatureTransform,
    Keys,
    Progress,
)


@dataclass(frozen=True)
class Fitted:
    """Clusters of features, numbered.

    Attributes
    ----------
    labels
        (N,) int32: the largest cluster is 0; -1 for what fits nowhere.
    numbers
        (k,) int32: for each cluster the label that the clusterer's model gives it.
    model
        Of the clusterer.
    fusion
        The step from features to `points`, if there is one.
    points
        (N, d) float32, in which the clusters were found.
    plain
        (N, d) float32, in which they were first looked for: in a space that they refined all would look good.
    """

    labels: NDArray[np.int32]
    numbers: NDArray[np.int32]
    model: ClustererModel
    fusion: FeatureTransform | None
    points: NDArray[np.float32]
    plain: NDArray[np.float32]

    @cached_property
    def centroids(self) -> NDArray[np.float32]:
        """(k, d) float32: the means of the clusters' points."""
        return means_of(self.points, self.labels, len(self.numbers))

    @cached_property
    def distances(self) -> NDArray[np.float32]:
        """(N,) float32 to the own centroid; of what fits nowhere, to the nearest."""
        return _distances(self.points, self.centroids, self.labels)

    @property
    def inertia(self) -> float:
        """Sum of squared distances; what fits nowhere does not count."""
        return float(np.square(self.distances[self.labels >= 0], dtype=np.float64).sum())


def cluster(
    sources: Sequence[EmbeddingSource],
    spaces: Sequence[str],
    prepare: PrepareSettings,
    settings: ClusterSettings,
    progress: Progress,
    weights: NDArray[np.int64] | None = None,
    constraints: Constraints | None = None,
    spread: Spread | None = None,
) -> Clustering:
    """Cluster images by their embeddings.

    The answer depends on the keys, the embeddings and the settings only, not on the order of the rows.

    Parameters
    ----------
    sources
        One per feature space; the same keys in the same order in each. Images with an embedding that is not
        finite are left out: the answer lacks their keys.
    spaces
        Their names, for the model.
    prepare
        How embeddings become points.
    settings
        How clusters are found.
    progress
        Told about stages, and in one line where there are fewer distinct images than clusters asked for.
    weights
        (N,) how many files show each image, one where it is not said: clusters are numbered by their files.
    constraints
        What people say of the N images. Its groups' clusters are those whose `numbers` are the groups'.
    spread
        Where embeddings are prepared; None: here.

    Raises
    ------
    ImgclusterError
        Where k is larger than the number of images, or not one embedding is finite.
    UsageError
        Where there is no such algorithm.
    """
    finds_k = find_clusterer(settings.algorithm).finds_k
    keys = common_keys(sources, spaces)
    check_count(settings.k, len(keys))
    features = load_features(sources, prepare, settings.memory, progress, spread)
    constraints = None if constraints is None else constraints.of(features.order).among(settings.k)
    outside = 0 if constraints is None else constraints.outside
    if outside == len(features.rows):
        raise ImgclusterError("edits leave no image for any cluster: take some out of unsorted")
    check_count(settings.k, len(features.rows) - outside)
    progress.begin("finding clusters")
    weights = np.ones(len(keys), np.int64) if weights is None else weights
    found = fit(features, weights[features.order], settings, constraints, fuse=prepare.automatic)
    count = len(found.numbers)
    if finds_k:
        progress.note(f"{settings.algorithm} found {quantity(count, 'cluster')}: it does not look at k")
    elif count < settings.k and (found.labels >= 0).all():
        are = "is" if count == 1 else "are"
        progress.note(
            f"only {count} of {len(keys)} images {are} distinct: making {quantity(count, 'cluster')}"
        )
    back = np.argsort(features.order)
    return Clustering(
        keys=keys[features.order[back]],
        labels=found.labels[back],
        distances=found.distances[back],
        silhouettes=_silhouettes(found)[back],
        probabilities=_probabilities(found)[back],
        inertia=found.inertia,
        silhouette=mean_silhouette(found, settings.seed),
        model=ClusterModel(
            spaces=tuple(spaces),
            transforms=features.transforms,
            fusion=found.fusion,
            centroids=found.centroids,
            algorithm="kmeans" if constraints is not None and constraints.groups else settings.algorithm,
            fitted=found.model.arrays(),
            numbers=found.numbers,
        ),
    )


def fit(
    features: Features,
    weights: NDArray[np.int64],
    settings: ClusterSettings,
    constraints: Constraints | None = None,
    *,
    fuse: bool,
    small: SmallClusters | None = None,
) -> Fitted:
    """Find the clusters of features, and number them.

    Parameters
    ----------
    features
        Of N images.
    weights
        (N,) in the order of the features.
    settings
        How.
    fuse
        Whether the spaces become one whose directions are chosen, and chosen again by the clusters found.
    small
        Small clusters of these features, where other numbers of clusters were looked for; more are added.
    """
    spaces = Spaces(features.rows, settings.k, settings.memory, {} if small is None else small)
    inside = np.ones(len(weights), np.bool_) if constraints is None else constraints.pinned != OUTSIDE

    def find(part: Spaces) -> FoundIn:
        first = _found_but_for_strangers if settings.leave_out else _found

        def of(k: int) -> FoundIn:
            those = part if k == settings.k else replace(part, k=k)
            return first(those, weights[inside], replace(settings, k=k), fuse=fuse)

        if constraints is None or not constraints.groups:
            return of(settings.k)
        said = constraints.of(np.flatnonzero(inside))
        if find_clusterer(settings.algorithm).finds_k:
            labels = of(settings.k).labels
            part = replace(part, k=count_together(labels, said))
        else:
            labels = leave_room(settings.k, of, said).labels
        return constrain(part, labels, said, fuse=fuse)

    with one_thread:  # set once: each of the many steps would set it anew
        found = find_within(spaces, inside, find)
    plain = spaces.plain.points if fuse else spaces.rows
    numbered = _numbered(found.labels, weights)
    return Fitted(*numbered, found.model, found.space.step, found.space.points, plain)


def _found(spaces: Spaces, weights: NDArray[np.int64], settings: ClusterSettings, *, fuse: bool) -> FoundIn:
    clusterer = find_clusterer(settings.algorithm).make(settings)
    if fuse and isinstance(clusterer, SpacesClusterer):
        return clusterer.fit_spaces(spaces, weights)
    space = spaces.plain if fuse else Space(spaces.rows)
    return FoundIn(*clusterer.fit(space.points, weights), space)


def _found_but_for_strangers(
    spaces: Spaces, weights: NDArray[np.int64], settings: ClusterSettings, *, fuse: bool
) -> FoundIn:
    """Find more clusters, and leave out those that are strangers'; then what is far, up to a share."""
    any_share, count = settings.leave_out == "auto", len(spaces.rows)
    share = 1.0 if any_share else float(settings.leave_out or 0)
    found = None
    for extra in EXTRA if not find_clusterer(settings.algorithm).finds_k else ():
        k = settings.k + extra
        if k > count:
            continue
        each = _found(replace(spaces, k=k), weights, replace(settings, k=k), fuse=fuse)
        few = spaces.sample(SAMPLE)
        points = replace(few, k=k).plain.points if fuse else few.rows
        strays = np.isin(each.labels, stray_clusters(few.rows, points, each.labels[:SAMPLE], extra))
        if len(np.unique(each.labels[strays])) == extra and strays.mean() <= share:
            found = replace(each, labels=np.where(strays, NOWHERE, each.labels).astype(np.int32))
            break
    found = found or _found(spaces, weights, settings, fuse=fuse)
    outside = found.labels < 0
    far = round(share * count) - int(outside.sum())
    if any_share or far < 1 or outside.all():
        return found
    model = WithinReach.of(found.model, found.space.points, found.labels, far)
    labels = np.where(outside, NOWHERE, model.predict(found.space.points)).astype(np.int32)
    return FoundIn(labels, model, found.space)


def predict(
    model: ClusterModel, embeddings: Sequence[Embeddings]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the clusters of images; an image that k-means clustered, uncorrected, gets its cluster again.

    Parameters
    ----------
    model
        Of a clustering.
    embeddings
        One (N, D) float32 per feature space of the model, in its order, the same images in each, finite.

    Returns
    -------
    labels
        (N,) int32, -1 where an image fits nowhere.
    distances
        (N,) float32, Euclidean, to the own centroid; of an image that fits nowhere, to the nearest.
    """
    points = model_points(model, embeddings)
    clusterer = find_clusterer(model.algorithm).load(model.fitted)
    found = WithinReach.load(clusterer, model.fitted).predict(points)
    number_of = np.full(
        max(int(model.numbers.max(initial=0)), int(found.max(initial=0))) + 2, NOWHERE, np.int32
    )
    number_of[model.numbers] = np.arange(len(model.numbers))
    labels = number_of[found]  # the last is that of -1
    return labels, _distances(points, model.centroids, labels)


def model_points(model: ClusterModel, embeddings: Sequence[Embeddings]) -> NDArray[np.float32]:
    """Give the points in which a clustering measured its distances: (N, d) float32, for a map of them.

    Parameters
    ----------
    model
        Of a clustering.
    embeddings
        One (N, D) float32 per feature space of the model, in its order.
    """
    features = transform_all(model.transforms, embeddings)
    return features if model.fusion is None else transform(model.fusion, features)


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
            f"{k} clusters of {quantity(images, 'distinct image')} cannot be made: "
            f"choose --k {images} or less"
        )


def mean_silhouette(found: Fitted, seed: int) -> float:
    """Give the mean silhouette of what is in clusters, in the space in which they were first looked for."""
    inside = found.labels >= 0
    if inside.all():
        return silhouette(found.plain, found.labels, seed)
    return silhouette(found.plain[inside], found.labels[inside], seed)


def _numbered(
    labels: NDArray[np.int32], weights: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give clusters numbers by their files, the largest first, equal ones by their smallest key.

    The new labels, and for each new number the old one.
    """
    found, first, places = np.unique(labels, return_index=True, return_inverse=True)
    sizes = np.bincount(places, weights, len(found))
    order = np.lexsort((first, -sizes))
    order = order[found[order] >= 0]
    numbers = np.full(len(found), NOWHERE, np.int32)
    numbers[order] = np.arange(len(order))
    return numbers[places], found[order].astype(np.int32)


def _distances(
    points: NDArray[np.float32], centroids: NDArray[np.float32], labels: NDArray[np.int32]
) -> NDArray[np.float32]:
    if not len(centroids):
        return np.full(len(points), np.nan, np.float32)
    distances = distances_to(points, centroids, labels)
    outside = labels < 0
    if outside.any():
        distances[outside] = find_nearest(points[outside], centroids).distances
    return distances


def _silhouettes(found: Fitted) -> NDArray[np.float32]:
    """(N,) simplified silhouettes in the plain space, NaN for what fits nowhere."""
    k = len(found.numbers)
    if not k:
        return np.full(len(found.labels), np.nan, np.float32)
    values = simplified_silhouettes(found.plain, found.labels, means_of(found.plain, found.labels, k))
    return np.where(found.labels >= 0, values, np.float32(np.nan))


def _probabilities(found: Fitted) -> NDArray[np.float32]:
    """(N,) of being right, NaN for what fits nowhere, and where there is one cluster."""
    if len(found.numbers) < 2:
        return np.full(len(found.labels), np.nan, np.float32)
    return probabilities(certainty_features(found.points, found.plain, found.labels, found.centroids))
