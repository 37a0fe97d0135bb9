"""Similar images: what in the store looks most like one image."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from imgcluster.analysis.embeddings import Watched
from imgcluster.analysis.neighbours import most_similar
from imgcluster.errors import FailureCode, ImgclusterError, NotFinite, UnreadableImage
from imgcluster.images.file_bytes import content_key, read_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress, key_rows
from imgcluster.typed import named_alike, typed_path
from imgcluster.workflows.embedded_images import collect, open_space
from imgcluster.workflows.notebook import Pictured
from imgcluster.workflows.options import SimilarOptions


@dataclass(frozen=True, slots=True)
class SimilarImage:
    """One image and the cosine of its embedding with that of the query."""

    path: str
    cosine: float


class SimilarImages(tuple[SimilarImage, ...], Pictured, of=SimilarImage):
    """Images, the most similar first."""

    __slots__ = ()

    def pictures(self) -> list[tuple[str, list[str]]]:
        """Show the first."""
        return [("the most similar first", [image.path for image in self])]


def similar(
    image: str | os.PathLike[str],
    options: SimilarOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> SimilarImages:
    """Find the images most similar to one whose embedding is in the store, the most similar first.

    Equal files count once, under the path that sorts first; the image itself is left out.

    Raises
    ------
    ImgclusterError
        Where the image cannot be read, was not extracted, or has an embedding that is not finite.
    """
    options, image = options or SimilarOptions(), typed_path(image)
    try:
        key = content_key(read_file(os.path.abspath(image)))
    except UnreadableImage as error:
        if error.code is FailureCode.VANISHED:
            raise ImgclusterError(f"{image} does not exist{named_alike(image)}") from error
        raise ImgclusterError(f"{image}: {error}") from error
    with open_space(options, progress) as (store, space):
        if not store.contains(space.name, key_rows([key]))[0]:
            raise ImgclusterError(f"{image} is not in {options.store}: run `imgcluster extract` on it first")
        collection = collect(store, (space,), (), (options.clusters,), progress, owner=owner)
        progress.begin("comparing images", len(collection.keys))
        source = Watched(store.source(space.name, collection.keys), progress)
        query = store.read(space.name, key_rows([key]))[0]
        if not np.isfinite(query).all():
            raise NotFinite(f"the embedding of {image}")
        rows, cosines = most_similar(query, source, len(source.keys))
        collection = collection.finite(source.keys[~source.broken], progress)
    paths = {each.key: each.path for each in reversed(collection.images) if each.key != key}
    keys = (bytes(source.keys[row]) for row in rows)
    found = [SimilarImage(paths[k], float(c)) for k, c in zip(keys, cosines, strict=True) if k in paths]
    return SimilarImages(found[: options.top])
