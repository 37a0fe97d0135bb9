"""The report: pages to look at, which open from disk in any browser, without server or network."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

from imgcluster.errors import explained
from imgcluster.files import create
from imgcluster.held import at, make_folders
from imgcluster.output.marker import Marker
from imgcluster.output.report_map import MAP_LIMIT, bokeh_scripts, draw_map, require_bokeh
from imgcluster.output.report_pages import Pages, common_files, require_jinja
from imgcluster.output.report_summary import ReportImage, ReportSummary
from imgcluster.output.report_thumbnails import Kept, PageFile
from imgcluster.output.staged_install import staged_install
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Progress

_FOLDER, _PAGE = "report", "report.html"


def require_report_libraries() -> None:
    """Raise MissingExtra where what the report is made with is not installed."""
    require_jinja()
    require_bokeh()


def write_report(  # noqa: PLR0913
    out: str,
    summary: ReportSummary,
    images: Sequence[ReportImage],
    progress: Progress,
    *,
    thumbnail_folder: str,
    map_limit: int = MAP_LIMIT,
    seed: int = 0,
    expected_marker: Marker | None = None,
    owner: Ownership = IN_MEMORY,
    wait: float = math.inf,
) -> str:
    """Write ``report.html`` and the folder ``report`` into `out`, in place of an earlier report.

    Parameters
    ----------
    out
        The folder, made where missing; paths in `images` may be relative to it.
    thumbnail_folder
        Where the thumbnails lie (`save_thumbnail`); those of `images` are copied into the report.
    map_limit
        How many points the map draws at most; of more images it draws a sample chosen by `seed`.
    expected_marker
        The marker of the clustering in `out` that the report is about.
    wait
        Seconds for another process that writes there.

    Returns
    -------
    str
        The path of the page to open. It comes last: where it is, the rest is.

    Raises
    ------
    MissingExtra
        Jinja2 or Bokeh is not installed; nothing was written.
    ImgclusterError
        The folder cannot be written, holds a file of somebody else where a page goes, or was clustered again.
    """
    require_report_libraries()
    advice = "; make room there or choose another folder"
    with (
        explained(f"cannot write the report to {out}", advice),
        staged_install(out, (_PAGE, _FOLDER), expected_marker, progress.note, owner, wait) as made,
    ):
        kept = Kept.of(thumbnail_folder, ((image.key, image.mode) for image in images))
        for file in _files(summary, images, kept, map_limit, seed, progress):
            path = os.path.join(made, file.name)
            make_folders(os.path.dirname(path))
            with at(path) as place, create(place, file.mode) as stream:
                stream.write(file.data)
    return os.path.join(out, _PAGE)


def _files(
    summary: ReportSummary,
    images: Sequence[ReportImage],
    kept: Kept,
    map_limit: int,
    seed: int,
    progress: Progress,
) -> Iterator[PageFile]:
    yield from common_files(kept)
    pages = Pages(summary, images, kept)
    progress.begin("writing the report", sum(len(cluster.pages) for cluster in pages.clusters))
    for sheet in pages.contact_sheets():
        yield sheet
        progress.advance()
    yield from (pages.columns(), pages.search(), pages.overview())
    chart = draw_map(images, limit=map_limit, seed=seed)
    if chart is not None:
        yield pages.map(chart)
        for name, text in bokeh_scripts().items():
            yield PageFile(f"report/assets/{name}", text.encode())
