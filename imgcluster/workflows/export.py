"""Export: the embeddings of one feature space for other programs."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError, UnreadableImage
from imgcluster.images.contact_sheet import sprite
from imgcluster.images.decode import decode
from imgcluster.images.encode import encode_image
from imgcluster.images.reading import read_file
from imgcluster.output.report_thumbnails import thumbnail_name
from imgcluster.output.single_file import check_target
from imgcluster.records import Progress, SilentProgress
from imgcluster.store.export import EXPORTERS, METADATA, METADATA_HEADER, NPZ_MARK, PROJECTOR_FILES, Sprite
from imgcluster.workflows.collection import open_space
from imgcluster.workflows.thumbnails import make_thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from imgcluster.records import Keys, Pixels, StoredSpace
    from imgcluster.store.store import FeatureStore
    from imgcluster.workflows.options import ExportOptions


def export(
    options: ExportOptions,
    *,
    thumbnails: str | None = None,
    progress: Progress | None = None,
) -> StoredSpace:
    """Write one feature space as one of `EXPORTERS` does, over nothing but an earlier export.

    Parameters
    ----------
    thumbnails
        The folder that keeps thumbnails; without one, no pictures are written.

    Raises
    ------
    ImgclusterError
        There is no such store or space, something else lies at `out`, or it cannot be written.
    """
    progress = progress or SilentProgress()
    _CHECKS[options.format](options.out)
    with open_space(options, progress.note) as (store, space):
        draw = partial(_sprite, store, thumbnails, progress) if thumbnails is not None else None
        EXPORTERS[options.format](store, space.name, options.out, draw, progress)
    return space


def _sprite(store: FeatureStore, thumbnails: str, progress: Progress, keys: Keys) -> Sprite | None:
    paths: dict[bytes, list[str]] = {bytes(key): [] for key in keys}
    for entry in store.paths():
        if entry.key in paths:
            paths[entry.key].append(entry.path)
    make_thumbnails(thumbnails, paths, progress)
    progress.begin("drawing the sprite", len(paths))
    drawn = sprite(_pictures(thumbnails, paths, progress), len(paths))
    if drawn is None:
        progress.note(f"{len(paths)} pictures are too many for a sprite: it is left out")
        return None
    sheet, side = drawn
    return Sprite(encode_image(sheet, ".png"), side)


def _pictures(thumbnails: str, keys: Iterable[bytes], progress: Progress) -> Iterator[Pixels | None]:
    for key in keys:
        progress.advance()
        try:
            yield decode(read_file(os.path.join(thumbnails, thumbnail_name(key.hex())))).pixels
        except UnreadableImage:
            yield None  # `make_thumbnails` has told how many those are


def _check_archive(out: str) -> None:
    check_target(out, NPZ_MARK)


def _check_folder(out: str) -> None:
    if os.path.lexists(out) and not os.path.isdir(out):
        raise ImgclusterError(f"{out} is a file: name a folder")
    here = [name for name in PROJECTOR_FILES if os.path.lexists(os.path.join(out, name))]
    if here and METADATA not in here:  # the first that is written
        raise ImgclusterError(
            f"{os.path.join(out, here[0])} is not from an earlier export: name another folder"
        )
    if here:
        check_target(os.path.join(out, METADATA), METADATA_HEADER, first_line=True)


_CHECKS: Mapping[str, Callable[[str], None]] = {"npz": _check_archive, "tensorboard": _check_folder}
