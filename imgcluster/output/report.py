"""The report: pages to look at, which open from disk in any browser, without server or network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.output.additions import added
from imgcluster.output.report_facts import ConfusionTable, ReportFacts, ReportImage
from imgcluster.output.report_map import MAP_LIMIT, Map, bokeh_scripts, draw_map, require_bokeh
from imgcluster.output.report_pages import Pages, load_templates, on_map
from imgcluster.output.report_thumbnails import bring_thumbnails, missing_thumbnails, save_thumbnail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcluster.output.marker import Marker
    from imgcluster.records import Progress

__all__ = [
    "ConfusionTable",
    "ReportFacts",
    "ReportImage",
    "missing_thumbnails",
    "require_report_libraries",
    "save_thumbnail",
    "write_report",
]

_FOLDER, _PAGE = "report", "report.html"


def require_report_libraries() -> None:
    """Raise MissingExtra where what the report is made with is not installed."""
    load_templates()
    require_bokeh()


def write_report(
    out: str,
    facts: ReportFacts,
    images: Sequence[ReportImage],
    progress: Progress,
    *,
    thumbnail_folder: str,
    map_limit: int = MAP_LIMIT,
    seed: int = 0,
    since: Marker | None = None,
) -> str:
    """Write ``report.html`` and the folder ``report`` into `out`, in place of an earlier report.

    Parameters
    ----------
    out
        The folder, made where missing; paths in `images` may be relative to it.
    thumbnail_folder
        Where the thumbnails lie (`save_thumbnail`); those of `images` are linked or copied into the report.
    map_limit
        How many points the map draws at most; of more images it draws a sample chosen by `seed`.
    since
        The marker of the clustering in `out` that the report is about.

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
        with added(out, (_PAGE, _FOLDER), since, progress.note) as made:
            folder = os.path.join(made, _FOLDER)
            keys = [image.key for image in images]
            thumbnails = bring_thumbnails(thumbnail_folder, os.path.join(folder, "thumbnails"), keys)
            located = [image for image in images if on_map(image)]
            chart = draw_map(located, thumbnails, limit=map_limit, seed=seed) if located else None
            pages = Pages(environment, facts, images, thumbnails)
            _write_assets(os.path.join(folder, "assets"), {**_own_assets(), **(scripts if chart else {})})
            _write_pages(folder, pages, chart, progress)
            _write_text(os.path.join(made, _PAGE), pages.overview())
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImgclusterError(
            f"cannot write the report to {out}: {reason}; make room there or choose another folder"
        ) from error
    return os.path.join(out, _PAGE)


def _write_pages(folder: str, pages: Pages, chart: Map | None, progress: Progress) -> None:
    progress.begin("writing the report", sum(len(cluster.pages) for cluster in pages.clusters))
    for name, text in pages.contact_sheets():
        _write_text(os.path.join(folder, name), text)
        progress.advance()
    if chart:
        _write_text(os.path.join(folder, "map.html"), pages.map(chart))


def _write_assets(folder: str, assets: Mapping[str, str]) -> None:
    os.makedirs(folder, exist_ok=True)
    for name, text in assets.items():
        _write_text(os.path.join(folder, name), text)


def _own_assets() -> dict[str, str]:
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates", "assets")
    assets = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            assets[name] = file.read()
    return assets


def _write_text(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
