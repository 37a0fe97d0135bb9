"""The report: pages to look at, which open from disk in any browser, without server or network."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

from imgcluster.errors import ImgclusterError
from imgcluster.files import create, read_limited
from imgcluster.held import at, make_folders
from imgcluster.output.marker import Marker
from imgcluster.output.report_map import MAP_LIMIT, bokeh_scripts, draw_map, require_bokeh
from imgcluster.output.report_pages import Pages, load_templates
from imgcluster.output.report_summary import ConfusionTable, Map, ReportImage, ReportSummary
from imgcluster.output.report_thumbnails import copy_thumbnails, missing_thumbnails, save_thumbnail
from imgcluster.output.staged_install import staged_install
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Progress

__all__ = [
    "ConfusionTable",
    "ReportImage",
    "ReportSummary",
    "missing_thumbnails",
    "require_report_libraries",
    "save_thumbnail",
    "write_report",
]

_FOLDER, _PAGE = "report", "report.html"
_MOST_BYTES = 1 << 20  # of a file of our own


def require_report_libraries() -> None:
    """Raise MissingExtra where what the report is made with is not installed."""
    load_templates()
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
    environment, scripts = load_templates(), bokeh_scripts()
    try:
        with staged_install(out, (_PAGE, _FOLDER), expected_marker, progress.note, owner, wait) as made:
            folder = os.path.join(made, _FOLDER)
            kept, modes = os.path.join(folder, "thumbnails"), _modes(images)
            thumbnails, previews = (
                copy_thumbnails(thumbnail_folder, kept, modes, preview=preview) for preview in (False, True)
            )
            located = [image for image in images if image.has_place]
            pages = Pages(environment, summary, images, thumbnails, previews)
            chart = draw_map(located, pages.row, limit=map_limit, seed=seed) if located else None
            _write_assets(os.path.join(folder, "assets"), {**own_assets(), **(scripts if chart else {})})
            _write_pages(folder, pages, chart, progress)
            _write_text(os.path.join(made, _PAGE), pages.overview())
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImgclusterError(
            f"cannot write the report to {out}: {reason}; make room there or choose another folder"
        ) from error
    return os.path.join(out, _PAGE)


def _modes(images: Sequence[ReportImage]) -> dict[str, int]:
    """Give for each key the permissions that all of its files have."""
    modes: dict[str, int] = {}
    for image in images:
        modes[image.key] = modes.get(image.key, image.mode) & image.mode
    return modes


def _write_pages(folder: str, pages: Pages, chart: Map | None, progress: Progress) -> None:
    progress.begin("writing the report", sum(len(cluster.pages) for cluster in pages.clusters))
    for name, text in pages.contact_sheets():
        _write_text(os.path.join(folder, name), text)
        progress.advance()
    _write_text(os.path.join(folder, "images.html"), pages.search())
    if chart:
        _write_text(os.path.join(folder, "map.html"), pages.map(chart))


def _write_assets(folder: str, assets: Mapping[str, str]) -> None:
    make_folders(folder)
    for name, text in assets.items():
        _write_text(os.path.join(folder, name), text)


def own_assets() -> dict[str, str]:
    """Return the style and the scripts of the pages, by their names."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates", "assets")
    assets = {}
    for name in sorted(os.listdir(folder)):
        assets[name] = read_limited(os.path.join(folder, name), _MOST_BYTES).decode()
    return assets


def _write_text(path: str, text: str) -> None:
    with at(path) as place, create(place) as file:
        file.write(text.encode())
