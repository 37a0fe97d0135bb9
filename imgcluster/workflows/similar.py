"""Similar images: what in the store looks most like one image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcluster.analysis.embeddings import Watched
from imgcluster.analysis.neighbours import most_similar
from imgcluster.errors import ImgclusterError, UnreadableImage
from imgcluster.images.reading import content_key, read_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Progress, SilentProgress
from imgcluster.tabular import columns_of
from imgcluster.workflows.collection import collect, open_space, with_keys
from imgcluster.workflows.pictures import Pictured

if TYPE_CHECKING:
    from imgcluster.records import Keys
from imgcluster.workflows.options import SimilarOptions


@dataclass(frozen=True, slots=True)
class SimilarImage:
    """One image and the cosine of its embedding with that of the query."""

    path: str
    cosine: float


class SimilarImages(tuple[SimilarImage, ...], Pictured):
    """Images, the most similar first."""

    __slots__ = ()

    def table(self) -> dict[str, list[Any]]:
        """Give a row for each image."""
        return columns_of(self, SimilarImage)

    def pictures(self) -> list[tuple[str, list[str]]]:
        """Show the first."""
        return [("the most similar first", [image.path for image in self])]


def similar(
    image: str | os.PathLike[str],
    options: SimilarOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
) -> SimilarImages:
    """Find the images most similar to one whose embedding is in the store, the most similar first.

    Equal files count once, under the path that sorts first; the image itself is left out.

    Raises
    ------
    ImgclusterError
        Where the image cannot be read, was not extracted, or has an embedding that is not finite.
    """
    options = options or SimilarOptions()
    progress = progress or SilentProgress()
    with open_space(options, progress.note) as (store, space):
        key = key_of_file(image)
        if not store.contains(space.name, key)[0]:
            raise ImgclusterError(f"{image} is not in {options.store}: run `imgcluster extract` on it first")
        collection = collect(store, (space,), (), options.clusters, progress, owner=owner)
        progress.begin("comparing images", len(collection.keys))
        source = Watched(store.source(space.name, collection.keys), progress)
        query = store.read(space.name, key)[0]
        if not np.isfinite(query).all():
            raise ImgclusterError(
                f"the embedding of {image} holds NaN or infinity: extract it into another store with "
                "--precision float32 and --dtype float32, or with other weights"
            )
        rows, cosines = most_similar(query, source, len(source.keys))
        collection = with_keys(store, collection, source.keys[~source.broken], progress)
        others = ~source.broken[rows] & (source.keys[rows] != key).any(axis=1)
        found = dict(
            zip(
                map(bytes, source.keys[rows[others][: options.top]]),
                cosines[others].tolist(),
                strict=False,
            )
        )
    paths: dict[bytes, str] = {}
    for each in collection.images:
        if each.key in found:
            paths.setdefault(each.key, each.path)
    return SimilarImages(SimilarImage(paths[key_], cosine) for key_, cosine in found.items())


def key_of_file(path: str | os.PathLike[str]) -> Keys:
    """Hash a file: (1, 32) uint8."""
    try:
        data = read_file(os.path.abspath(os.fspath(path)))
    except UnreadableImage as error:
        raise ImgclusterError(f"{path}: {error}") from error
    return np.frombuffer(content_key(data), np.uint8)[None]
