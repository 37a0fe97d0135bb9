"""Pick: a few images that stand for all of a clustering."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from imgcluster.analysis.representatives import farthest_points
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.output.manifest import read_manifest
from imgcluster.output.model_file import read_model
from imgcluster.output.picked import check_new_folder, make_folder_of
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Placement, Progress, key_rows
from imgcluster.store.store_set import open_features
from imgcluster.tabular import Tabular
from imgcluster.workflows.cluster_result import points_of
from imgcluster.workflows.clustering_folder import read_placements
from imgcluster.workflows.options import PickOptions
from imgcluster.workflows.stored_files import compared


@dataclass(frozen=True, slots=True)
class Picked:
    """One image, the number and the name of its cluster."""

    path: str
    key: bytes
    cluster: int
    name: str


@dataclass(frozen=True)
class PickResult(Tabular, rows="images", of=Picked):
    """The images in the order in which they were chosen, and the folder that was made of them, if any."""

    images: tuple[Picked, ...]
    out: str | None


def pick(
    options: PickOptions | None = None, *, owner: Ownership = IN_MEMORY, progress: Progress = SILENT
) -> PickResult:
    """Choose images of a clustering; no two of equal bytes.

    Raises
    ------
    ImgclusterError
        Where there is no clustering, its store is gone, none of its images is there, or the folder is there.
    """
    options = options or PickOptions()
    if options.out is not None:
        check_new_folder(options.out)
    placements = read_placements(options.clusters, owner, progress.note)
    manifest = read_manifest(options.clusters)
    store = options.store or manifest.store
    seen = (replace(placement, path=placement.seen_at) for placement in placements)
    # One file for each key, in the order of the keys.
    found = {image.key: image for image in reversed(compared(seen, store, owner, progress)[0])}
    images = [found[key] for key in sorted(found)]
    if not images:
        raise ImgclusterError(f"none of the images in {options.clusters} is there any more")
    groups = [images]
    if options.per_cluster:
        groups = [[image for image in images if image.cluster == each.number] for each in manifest.clusters]
    few = sum(len(group) < options.n for group in groups)
    if few and options.per_cluster:
        progress.note(f"{few} of {quantity(len(groups), 'cluster')} hold fewer than {options.n} images")
    elif few:
        there = f"are only {len(images)} images: all are" if len(images) > 1 else "is only 1 image: it is"
        progress.note(f"there {there} chosen")
    order = _ORDERS.get(options.how) or _by_distance(options, store, progress)
    chosen = [image for group in groups if group for image in order(group, options.n)]
    names = manifest.names
    picked = tuple(
        Picked(image.path, image.key, image.cluster, names.get(image.cluster, "")) for image in chosen
    )
    if options.out is not None:
        make_folder_of([(image.path, image.expected) for image in chosen if image.expected], options.out)
    return PickResult(picked, options.out)


_Order = Callable[[Sequence[Placement], int], list[Placement]]


def _sorted_by(*values: Callable[[Placement], float]) -> _Order:
    """Order by values, the smallest first, those that are not defined last."""

    def places(image: Placement) -> tuple[tuple[bool, float], ...]:
        return tuple((math.isnan(each), each) for each in (value(image) for value in values))

    return lambda images, n: sorted(images, key=lambda image: (places(image), image.key))[:n]


_ORDERS: dict[str, _Order] = {
    "central": _sorted_by(lambda image: image.distance),
    "odd": _sorted_by(lambda image: -image.distance),
    "borderline": _sorted_by(lambda image: image.probability, lambda image: image.silhouette),
}


def _by_distance(options: PickOptions, store: str, progress: Progress) -> _Order:
    """Choose images that lie far from each other, in the space in which the clusters were found."""
    model = read_model(options.clusters)

    def order(images: Sequence[Placement], n: int) -> list[Placement]:
        keys = key_rows(image.key for image in images)
        with open_features(store, lock=not options.no_lock, notify=progress.note) as features:
            points = points_of(features, model, keys)
        return [images[row] for row in farthest_points(points, n)]

    return order
