"""Thumbnails of images, made once and kept by the key of the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from imgcluster.child import ChildDied, TimedOut
from imgcluster.engines.protocol import Call, Engine, in_order
from imgcluster.engines.table import find_engine
from imgcluster.errors import ImgclusterError, UnreadableImage, quantity
from imgcluster.images.encode import thumbnail_jpeg
from imgcluster.output.report_thumbnails import THUMBNAIL_SIDE, missing_thumbnails, save_thumbnail
from imgcluster.records import Progress
from imgcluster.workflows.reading import READING_SECONDS, decode_known


def make_thumbnails(
    folder: str,
    paths: Mapping[bytes, Iterable[str]],
    progress: Progress,
    *,
    engine: str | Engine = "local",
) -> int:
    """Make the thumbnails that `folder` lacks; tell how many were made.

    Parameters
    ----------
    paths
        For each key the files that may have that content.

    An image that can no longer be read has no thumbnail; one line says how many those are.

    Raises
    ------
    ImgclusterError
        Where `folder` cannot be written.
    """
    wanted = [bytes.fromhex(key) for key in missing_thumbnails(folder, map(bytes.hex, paths))]
    progress.begin("making thumbnails", len(wanted))
    made = unreadable = 0
    outcomes = in_order(
        find_engine(engine),
        Call(_thumbnail),
        ((key, tuple(paths[key])) for key in wanted),
        timeout=READING_SECONDS,
        stopping=lambda: progress.stopping,
    )
    for outcome in outcomes:
        if outcome.result is not None:
            _save(folder, outcome.item[0].hex(), outcome.result)
            made += 1
        elif isinstance(outcome.error, UnreadableImage | TimedOut | ChildDied):
            unreadable += 1
        else:
            raise _not_made(folder, outcome.error)
        progress.advance()
    if unreadable:
        progress.note(f"without a thumbnail, for it cannot be read any more: {quantity(unreadable, 'image')}")
    return made


def _thumbnail(image: tuple[bytes, tuple[str, ...]]) -> bytes:
    return thumbnail_jpeg(decode_known(*image, THUMBNAIL_SIDE), THUMBNAIL_SIDE)


def _save(folder: str, key: str, jpeg: bytes) -> None:
    try:
        save_thumbnail(folder, key, jpeg)
    except OSError as error:
        raise _not_made(folder, error) from error


def _not_made(folder: str, error: Exception | None) -> ImgclusterError:
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return ImgclusterError(f"cannot make thumbnails in {folder}: {reason}")
