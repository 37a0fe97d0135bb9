"""Export: the embeddings of one feature space for other programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from imgcluster.errors import UnreadableImage, explained
from imgcluster.images.contact_sheet import sprite
from imgcluster.images.decode import decode
from imgcluster.images.encode import encode_image
from imgcluster.images.file_bytes import read_file
from imgcluster.output.exports import EXPORT_FORMATS, Exported, Sprite
from imgcluster.output.report_thumbnails import thumbnail_name
from imgcluster.records import SILENT, Keys, Pixels, Progress, StoredSpace
from imgcluster.workflows.embedded_images import open_space
from imgcluster.workflows.known_images import permissions
from imgcluster.workflows.options import ExportOptions
from imgcluster.workflows.pages import make_thumbnails


def export(
    options: ExportOptions,
    *,
    thumbnails: str | None = None,
    progress: Progress = SILENT,
) -> StoredSpace:
    """Write one feature space in one of `EXPORT_FORMATS`, over nothing but an earlier export.

    Parameters
    ----------
    thumbnails
        The folder that keeps thumbnails; without one, no pictures are written.

    Raises
    ------
    ImgclusterError
        There is no such store or space, something else lies at `out`, or it cannot be written.
    """
    format_, out = EXPORT_FORMATS[options.format], options.out
    format_.check(out)
    with open_space(options, progress) as (store, space):
        paths: dict[bytes, list[str]] = {}
        for entry in store.paths():
            paths.setdefault(entry.key, []).append(entry.path)
        exported = Exported(
            store.source(space.name, store.keys(space.name)),
            {key: named[0] for key, named in paths.items()},
            partial(_sprite, paths, thumbnails, progress),
        )
        with explained(f"cannot write {out}", "; name another"):
            format_.write(exported, out, progress)
    return space


def _sprite(
    paths: Mapping[bytes, Sequence[str]], thumbnails: str | None, progress: Progress, keys: Keys
) -> Sprite | None:
    if thumbnails is None:
        return None
    shown = {bytes(key): paths.get(bytes(key), []) for key in keys}
    thumbnails, _ = make_thumbnails(thumbnails, shown, progress)
    progress.begin("drawing the sprite", len(shown))
    drawn = sprite(_pictures(thumbnails, shown, progress), len(shown))
    if drawn is None:
        progress.note(f"{len(shown)} pictures are too many for a sprite: it is left out")
        return None
    sheet, side = drawn
    mode = permissions(*(path for named in shown.values() for path in named[:1]))
    return Sprite(encode_image(sheet, ".png"), side, mode)


def _pictures(thumbnails: str, keys: Iterable[bytes], progress: Progress) -> Iterator[Pixels | None]:
    for key in keys:
        progress.advance()
        try:
            yield decode(read_file(os.path.join(thumbnails, thumbnail_name(key.hex())))).pixels
        except UnreadableImage:
            yield None  # `make_thumbnails` has told how many those are
