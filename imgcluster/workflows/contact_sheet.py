"""One picture of one cluster, to send."""

from __future__ import annotations

import os
from pathlib import Path

from imgcluster.errors import ImgclusterError
from imgcluster.images.contact_sheet import contact_sheet
from imgcluster.images.encode import encode_image
from imgcluster.output.single_file import check_target, write_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Pixels, Placement, Progress
from imgcluster.workflows.cluster_result import read_clusters
from imgcluster.workflows.known_images import decode_known, permissions, with_each
from imgcluster.workflows.name import find_cluster
from imgcluster.workflows.options import ContactSheetOptions

_CELL = 160
_REMARK = "imgcluster contact sheet"


def make_contact_sheet(
    options: ContactSheetOptions, *, owner: Ownership = IN_MEMORY, progress: Progress = SILENT
) -> int:
    """Draw the images of a cluster that lie nearest to its centre; tell how many.

    Raises
    ------
    ImgclusterError
        Where there is no such cluster, none of its images can be read, the picture's suffix is none that can
        be written, or `out` is a file that no contact sheet was written to.
    """
    out, clusters = options.out, options.clusters
    check_target(out, _REMARK.encode())
    placements, there = read_clusters(clusters, owner, progress.note)
    number = find_cluster(there, options.cluster).number
    members = [placement for placement in placements if placement.cluster == number]
    members.sort(key=lambda placement: (placement.distance, os.fsencode(placement.path)))
    shown = members[: options.count]
    progress.begin("drawing the contact sheet", len(shown))
    pictures, mode = [], 0o666
    for outcome in with_each(_picture, shown):
        progress.advance()
        if outcome.result is None:
            progress.note(f"left out: {outcome.item.path}: {outcome.error}")
        else:
            pictures.append(outcome.result)
            mode &= permissions(outcome.item.seen_at)
    if not pictures:
        raise ImgclusterError(
            f"none of the images of cluster {options.cluster} in {clusters} can be read any more"
        )
    sheet = contact_sheet(pictures, min(options.columns, len(pictures)), _CELL)
    picture = encode_image(sheet, Path(out).suffix or ".png", remark=_REMARK)
    write_file(out, picture, _REMARK.encode(), most=mode)
    return len(pictures)


def _picture(placement: Placement) -> Pixels:
    return decode_known(placement.key, placement.places, _CELL)
