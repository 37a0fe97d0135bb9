"""Thumbnails of images, made once and kept by the key of the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imgcluster.caches import temporary_folder
from imgcluster.engines.protocol import Call, Engine, in_order
from imgcluster.engines.table import find_engine
from imgcluster.errors import quantity
from imgcluster.images.encode import thumbnail_jpeg
from imgcluster.output.report_thumbnails import (
    THUMBNAIL_SIDE,
    claim_thumbnails,
    missing_thumbnails,
    save_thumbnail,
)
from imgcluster.records import Progress
from imgcluster.workflows.reading import READING_SECONDS, decode_known


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
    """Make the thumbnails that `folder` lacks; where that cannot be used, they are of this run alone.

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
    wanted = [bytes.fromhex(key) for key in missing_thumbnails(folder, map(bytes.hex, paths))]
    progress.begin("making thumbnails", len(wanted))
    made = 0
    lost: list[str] = []
    outcomes = in_order(
        find_engine(engine),
        Call(_thumbnail),
        ((key, tuple(paths[key])) for key in wanted),
        timeout=READING_SECONDS,
        stopping=lambda: progress.stopping,
    )
    for outcome in outcomes:
        if outcome.result is None:
            lost.append(str(outcome.error))
        else:
            save_thumbnail(folder, outcome.item[0].hex(), outcome.result)
            made += 1
        progress.advance()
    if lost:
        count = quantity(len(lost), "image")
        progress.note(f"without a thumbnail, for it cannot be read any more: {count} (the first: {lost[0]})")
    return made


def _thumbnail(image: tuple[bytes, tuple[str, ...]]) -> bytes:
    return thumbnail_jpeg(decode_known(*image, THUMBNAIL_SIDE), THUMBNAIL_SIDE)
