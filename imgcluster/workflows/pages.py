"""Pictures for pages: thumbnails, made once and kept by the key of the image; and folders of such pages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from imgcluster.caches import temporary_folder
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.images.decode import decode
from imgcluster.images.encode import thumbnail_jpeg
from imgcluster.images.facts import date_taken
from imgcluster.images.header import EXTENSIONS
from imgcluster.output.folder_plan import refuse_place
from imgcluster.output.folders import FolderPlan, build_folders
from imgcluster.output.report_pages import require_jinja
from imgcluster.output.report_thumbnails import (
    PREVIEW_SIDE,
    TAKEN,
    THUMBNAIL_SIDE,
    PageFile,
    claim_thumbnails,
    missing_thumbnails,
    save_thumbnail,
)
from imgcluster.ownership import Ownership
from imgcluster.records import Progress
from imgcluster.workflows.known_images import KNOWN_LIMITS, make_of_known, with_each

_NOT_IN_BROWSERS = tuple(
    suffix for kind in ("TIFF", "HEIC", "JPEG 2000", "PNM", "DIB") for suffix in EXTENSIONS[kind]
)


def make_thumbnails(folder: str, paths: Mapping[bytes, Sequence[str]], progress: Progress) -> tuple[str, int]:
    """Make the thumbnails that `folder` lacks, with previews of what browsers cannot show.

    The folder where they lie, for they are of this run alone where `folder` cannot be used, and how many were
    made. An image that can no longer be read has no thumbnail; one line says how many those are.

    Parameters
    ----------
    paths
        For each key the files that may have that content.
    """
    try:
        claim_thumbnails(folder)
        return folder, _make(folder, paths, progress)
    except OSError as error:
        progress.note(
            f"cannot keep thumbnails in {folder}, so they are for this run only: {error.strerror or error}"
        )
    folder = temporary_folder("thumbnails")
    try:
        return folder, _make(folder, paths, progress)
    except OSError as error:
        progress.note(f"thumbnails are missing, for {folder} cannot be written: {error.strerror or error}")
    return folder, 0


def _make(folder: str, paths: Mapping[bytes, Sequence[str]], progress: Progress) -> int:
    unshown = [
        key.hex()
        for key, places in paths.items()
        if any(p.lower().endswith(_NOT_IN_BROWSERS) for p in places)
    ]
    small = missing_thumbnails(folder, map(bytes.hex, paths))
    large = frozenset(missing_thumbnails(folder, unshown, preview=True))
    wanted = [(bytes.fromhex(key), key in large) for key in dict.fromkeys((*small, *sorted(large)))]
    progress.begin("making thumbnails", len(wanted))
    made = 0
    lost: list[str] = []
    images = ((key, paths[key], preview) for key, preview in wanted)
    for outcome in with_each(_thumbnail, images, stopping=lambda: progress.stopping):
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
        progress.note(f"no new thumbnail, for it cannot be read any more: {count} (the first: {lost[0]})")
    return made


def _thumbnail(image: tuple[bytes, Sequence[str], bool]) -> tuple[bytes, bytes | None]:
    key, paths, preview = image
    side = PREVIEW_SIDE if preview else THUMBNAIL_SIDE
    pixels, taken = make_of_known(
        key, paths, lambda data: (decode(data, KNOWN_LIMITS, at_least=side).pixels, date_taken(data))
    )
    small = thumbnail_jpeg(pixels, THUMBNAIL_SIDE, TAKEN + taken)
    return small, thumbnail_jpeg(pixels, side) if preview else None


def prepare_pages(out: str) -> None:
    """Refuse before the long work what `write_pages` could not do: MissingExtra, ImgclusterError."""
    require_jinja()
    refuse_place(os.path.realpath(out))


def write_pages(
    out: str, files: Iterable[PageFile], images: Iterable[str], progress: Progress, owner: Ownership
) -> str:
    """Write pages into a folder of their own, in place of those of an earlier run; return the one to open.

    Parameters
    ----------
    images
        All that the pages are about.

    ImgclusterError where the folder holds images, is not ours to replace, or cannot be written.
    """
    folder = os.path.realpath(out)
    if any(path.startswith(f"{folder}/") for path in images):
        raise ImgclusterError(f"{out} holds images: name another folder with --out")
    data, most = {}, {}
    for file in files:
        data[file.name], most[file.name] = file.data, file.mode
    plan = FolderPlan(folder, "copy", (), ())
    build_folders(plan, extra_files=data, most=most, progress=progress, owner=owner)
    return os.path.join(os.path.abspath(out), "report.html")
