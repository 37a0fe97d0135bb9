"""Thumbnails of images, made once and kept by the key of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcluster.child import TimedOut
from imgcluster.engines.local import ordered_map
from imgcluster.errors import ImgclusterError, UnreadableImage
from imgcluster.images.encode import thumbnail_jpeg
from imgcluster.machine import cores
from imgcluster.output.report_thumbnails import THUMBNAIL_SIDE, missing_thumbnails, save_thumbnail
from imgcluster.workflows.known_files import READING_SECONDS, decode_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from imgcluster.records import Progress


def make_thumbnails(folder: str, paths: Mapping[bytes, Iterable[str]], progress: Progress) -> int:
    """Make the thumbnails that `folder` lacks, in threads; tell how many were made.

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
    wanted = missing_thumbnails(folder, map(bytes.hex, paths))
    progress.begin("making thumbnails", len(wanted))
    made = unreadable = 0
    threads = cores()
    outcomes = ordered_map(
        lambda key: save_thumbnail(folder, key, _thumbnail(bytes.fromhex(key), paths)),
        wanted,
        threads=threads,
        window=16 * threads,
        timeout=READING_SECONDS,
        stopping=lambda: progress.stopping,
    )
    for outcome in outcomes:
        if outcome.error is None:
            made += 1
        elif isinstance(outcome.error, UnreadableImage | TimedOut):
            unreadable += 1
        else:
            raise _not_made(folder, outcome.error)
        progress.advance()
    if unreadable:
        progress.note(f"{unreadable} images cannot be read any more and have no thumbnail")
    return made


def _thumbnail(key: bytes, paths: Mapping[bytes, Iterable[str]]) -> bytes:
    return thumbnail_jpeg(decode_known(key, paths[key], THUMBNAIL_SIDE), THUMBNAIL_SIDE)


def _not_made(folder: str, error: Exception) -> ImgclusterError:
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    told = ImgclusterError(f"cannot make thumbnails in {folder}: {reason}")
    told.__cause__ = error
    return told
