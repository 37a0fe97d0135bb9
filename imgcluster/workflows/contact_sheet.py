"""One picture of one cluster, to send."""

from __future__ import annotations

import os
from pathlib import Path

from imgcluster.engines.local import ordered_map
from imgcluster.errors import ImgclusterError
from imgcluster.images.contact_sheet import contact_sheet
from imgcluster.images.decode import decode
from imgcluster.images.encode import encode_image
from imgcluster.images.reading import read_file
from imgcluster.output.manifest import read_assignments
from imgcluster.output.single_file import check_target, write_file
from imgcluster.records import Pixels, Progress, SilentProgress

_CELL = 160
_TIMEOUT_SECONDS = 60.0
_REMARK = "imgcluster contact sheet"


def make_contact_sheet(
    cluster: int,
    out: str,
    *,
    clusters: str | os.PathLike[str] = "clusters",
    count: int = 48,
    columns: int = 8,
    progress: Progress | None = None,
) -> int:
    """Draw the images of a cluster that lie nearest to its centre, the nearest first; tell how many.

    Raises
    ------
    ImgclusterError
        Where there is no such cluster, the picture's suffix is none that can be written, or `out` is a file
        that no contact sheet was written to.
    """
    progress = progress or SilentProgress()
    check_target(out, _REMARK.encode())
    members = [p for p in read_assignments(os.fspath(clusters)) if p.cluster == cluster]
    if not members:
        raise ImgclusterError(f"{clusters} has no cluster {cluster}: its folders are numbered from 0")
    members.sort(key=lambda placement: (placement.distance, os.fsencode(placement.path)))
    shown = members[:count]
    progress.begin("drawing the contact sheet", len(shown))
    pictures = []
    outcomes = ordered_map(
        _picture, [member.path for member in shown], threads=2, window=16, timeout=_TIMEOUT_SECONDS
    )
    for outcome in outcomes:
        progress.advance()
        if outcome.result is None:
            progress.note(f"left out: {outcome.item}: {outcome.error}")
        else:
            pictures.append(outcome.result)
    sheet = contact_sheet(pictures, min(columns, max(len(pictures), 1)), _CELL)
    picture = encode_image(sheet, Path(out).suffix or ".png", remark=_REMARK)
    write_file(out, picture, _REMARK.encode())
    return len(pictures)


def _picture(path: str) -> Pixels:
    return decode(read_file(path), at_least=_CELL).pixels
