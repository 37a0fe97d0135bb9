"""The report of `duplicates`: pages that show each group side by side, in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence

from imgcluster.analysis.duplicates import DuplicateFile, DuplicateGroup
from imgcluster.output.duplicates_pages import MOST_SHOWN, ComparedImage, duplicates_pages
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress
from imgcluster.workflows.duplicates import DuplicatesResult
from imgcluster.workflows.known_images import permissions
from imgcluster.workflows.pages import make_thumbnails, write_pages

_MOST_GROUPS = 5_000


def report_duplicates(
    result: DuplicatesResult,
    out: str,
    *,
    thumbnails: str,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> str:
    """Write pages into the folder `out`, in place of those of an earlier run; return the one to open.

    `thumbnails` keeps those that were made, from one report to the next.

    MissingExtra where the report's library is not installed; ImgclusterError where `out` is not ours to
    replace, or cannot be written.
    """
    groups = [*result.groups, *result.look_alikes]
    if len(groups) > _MOST_GROUPS:
        progress.note(
            f"the report shows the first {_MOST_GROUPS:,} of {len(groups):,} groups; --plan has all"
        )
        groups = groups[:_MOST_GROUPS]
    compared = [_compared(group) for group in groups]
    paths: dict[bytes, list[str]] = {}
    for image in (image for _, images in compared for image in images[:MOST_SHOWN]):
        paths.setdefault(bytes.fromhex(image.key), []).append(image.path)
    kept, _ = make_thumbnails(thumbnails, paths, progress)
    everything = (image.path for _, images in compared for image in images)
    return write_pages(out, duplicates_pages(compared, kept), everything, progress, owner)


def _compared(group: DuplicateGroup) -> tuple[str, Sequence[ComparedImage]]:
    keep, kinds = group.keep, {copy.kind for copy in group.copies}
    size = f"{keep.pixels / 1e6:.1f} megapixels, " if keep.pixels else ""
    note = f"{size}{keep.size:,} bytes"
    copies = (
        _image(
            copy.file,
            f"cosine {copy.cosine:.3f} · difference {copy.difference:.1f} · {copy.file.size:,} bytes",
            copy.kind,
        )
        for copy in group.copies
    )
    verb = "look like" if kinds == {"look-alike"} else "keep"
    title = f"{verb} {os.path.basename(keep.path)}"
    return title, (_image(keep, note), *copies)


def _image(file: DuplicateFile, note: str, mark: str = "") -> ComparedImage:
    return ComparedImage(file.key.hex(), file.path, file.path, note, mark, mode=permissions(file.path))
