"""Thumbnails of images, made once and kept by the key of the image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imgcluster.caches import temporary_folder
from imgcluster.engines.protocol import Call, Engine, in_order
from imgcluster.engines.table import find_engine
from imgcluster.errors import quantity
from imgcluster.images.encode import thumbnail_jpeg
from imgcluster.images.header import EXTENSIONS
from imgcluster.output.report_thumbnails import (
    PREVIEW_SIDE,
    THUMBNAIL_SIDE,
    claim_thumbnails,
    missing_thumbnails,
    save_thumbnail,
)
from imgcluster.records import Progress
from imgcluster.workflows.reading import READING_SECONDS, decode_known

_NOT_IN_BROWSERS = tuple(
    suffix for kind in ("TIFF", "HEIC", "JPEG 2000", "PNM", "DIB") for suffix in EXTENSIONS[kind]
)


@dataclass(frozen=True)
class Thumbnails:
    """The folder where they lie, and how many were made now."""

    folder: str
    made: int = 0


def make_thumbnails(
    folder: str,
    paths: Mapping[bytes, Iterable[str]],
    progress: Progress,
    *,
    engine: str | Engine = "local",
) -> Thumbnails:
    """Make the thumbnails that `folder` lacks, with previews of what browsers cannot show.

    Where the folder cannot be used, they are of this run alone.

    Parameters
    ----------
    paths
        For each key the files that may have that content.

    An image that can no longer be read has no thumbnail; one line says how many those are.
    """
    try:
        claim_thumbnails(folder)
        return Thumbnails(folder, _make(folder, paths, progress, engine))
    except OSError as error:
        progress.note(
            f"cannot keep thumbnails in {folder}, so they are for this run only: {error.strerror or error}"
        )
    folder = temporary_folder("thumbnails")
    try:
        return Thumbnails(folder, _make(folder, paths, progress, engine))
    except OSError as error:
        progress.note(f"thumbnails are missing, for {folder} cannot be written: {error.strerror or error}")
    return Thumbnails(folder)


def _make(folder: str, paths: Mapping[bytes, Iterable[str]], progress: Progress, engine: str | Engine) -> int:
    unshown = [key.hex() for key, places in paths.items() if any(map(_is_unshown, places))]
    small = missing_thumbnails(folder, map(bytes.hex, paths))
    large = frozenset(missing_thumbnails(folder, unshown, preview=True))
    wanted = [(bytes.fromhex(key), key in large) for key in dict.fromkeys((*small, *sorted(large)))]
    progress.begin("making thumbnails", len(wanted))
    made = 0
    lost: list[str] = []
    outcomes = in_order(
        find_engine(engine),
        Call(_thumbnail),
        ((key, tuple(paths[key]), preview) for key, preview in wanted),
        timeout=READING_SECONDS,
        stopping=lambda: progress.stopping,
    )
    for outcome in outcomes:
        if outcome.result is None:
            lost.append(str(outcome.error))
        else:
            for jpeg, preview in zip(outcome.result, (False, True), strict=True):
                if jpeg is not None:
                    save_thumbnail(folder, outcome.item[0].hex(), jpeg, preview=preview)
            made += 1
        progress.advance()
    if lost:
        count = quantity(len(lost), "image")
        progress.note(f"without a thumbnail, for it cannot be read any more: {count} (the first: {lost[0]})")
    return made


def _is_unshown(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in _NOT_IN_BROWSERS


def _thumbnail(image: tuple[bytes, tuple[str, ...], bool]) -> tuple[bytes, bytes | None]:
    key, paths, preview = image
    side = PREVIEW_SIDE if preview else THUMBNAIL_SIDE
    pixels = decode_known(key, paths, side)
    return thumbnail_jpeg(pixels, THUMBNAIL_SIDE), thumbnail_jpeg(pixels, side) if preview else None
