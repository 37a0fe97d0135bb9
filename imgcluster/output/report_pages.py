"""Pages from templates: those of the report, and what those of other commands have in common with them."""

from __future__ import annotations

import hashlib
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from imgcluster.errors import MissingExtra
from imgcluster.files import read_limited
from imgcluster.output.names import UNSORTED
from imgcluster.output.report_map import Map
from imgcluster.output.report_names import ShownFile, script_json, shown
from imgcluster.output.report_summary import ReportImage, ReportSummary
from imgcluster.output.report_thumbnails import THUMBNAIL_SIDE, Kept, PageFile
from imgcluster.records import NamedCluster

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE_SIZE = 500
"""Most thumbnails on one page, few enough for a phone's memory; a cluster's pages are of equal length."""

GROUP_SIZE = 24
"""How many images of a cluster are shown as its most typical, and how many as its least sure."""

FAILURES_SHOWN = 200
CLEAR = 0.25
"""The mean silhouette from which a cluster is called clear, else mixed."""
_COVER_PICTURES = 4
_MOST_BYTES = 1 << 20  # of a file of our own
_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")


@dataclass(frozen=True)
class Group:
    """Images under one heading, from the one numbered `first` on; `of` is how many there are of the kind."""

    title: str
    remark: str
    images: Sequence[ShownFile]
    of: int
    first: int = 1


@dataclass(frozen=True)
class Cluster:
    """One cluster as the overview and its own pages show it."""

    number: int
    size: int
    silhouette: float
    groups: tuple[Group, ...]
    wrong: int
    pages: tuple[str, ...]
    cover: tuple[ShownFile, ...]

    @property
    def word(self) -> str:
        """How well it holds together, in a word; empty where that is not defined."""
        return "" if math.isnan(self.silhouette) else "clear" if self.silhouette >= CLEAR else "mixed"


def by_confidence(
    images: Sequence[ReportImage],
) -> tuple[list[ReportImage], list[ReportImage], list[ReportImage]]:
    """Split a cluster's images into the most typical, the least sure, and the others.

    Most typical are those nearest the centre; least sure those with the lowest probability, then silhouette
    and, where these are equal or unknown, the farthest. The others come by distance. Every image is in one
    of the three.
    """
    by_distance = sorted(images, key=lambda image: (_or(image.distance, math.inf), os.fsencode(image.path)))
    count = min(GROUP_SIZE, (len(images) + 1) // 2)
    typical, rest = by_distance[:count], by_distance[count:]
    doubtful = sorted(
        range(len(rest)),
        key=lambda i: (
            _or(rest[i].probability, math.inf),
            _or(rest[i].silhouette, math.inf),
            -_or(rest[i].distance, math.inf),
            i,
        ),
    )[:GROUP_SIZE]
    chosen = set(doubtful)
    return typical, [rest[i] for i in doubtful], [image for i, image in enumerate(rest) if i not in chosen]


class Pages:
    """Fills the templates for one report.

    Parameters
    ----------
    summary, images
        What to show.
    kept
        The pictures that there are of them; an image without a thumbnail is shown by its name.
    """

    def __init__(self, summary: ReportSummary, images: Sequence[ReportImage], kept: Kept) -> None:
        self._images, self._kept = images, kept
        self._rows: dict[str, int] = {}  # equal files are one image, known by the row of the first
        for row, image in enumerate(images):
            self._rows.setdefault(image.key, row)
        members: defaultdict[int, list[ReportImage]] = defaultdict(list)
        for image in images:
            members[image.cluster].append(image)
        listed = [*summary.clusters, *([NamedCluster(-1, "", summary.unsorted)] if summary.unsorted else [])]
        silhouettes = (*summary.silhouettes, *[math.nan] * len(listed))
        self.clusters = tuple(
            _cluster(each, members[each.number], silhouette)
            for each, silhouette in zip(listed, silhouettes, strict=False)
        )
        placed = "".join(f"{image.key}{image.cluster} " for image in images)
        self._common = {
            "summary": summary,
            "clusters": self.clusters,
            "with_map": any(image.has_place for image in images),
            "title": summary.title,
            "kept": kept,
            "rows": self._rows,
            "identity": hashlib.sha256(placed.encode()).hexdigest()[:16],
        }

    def overview(self) -> PageFile:
        """Return ``report.html``."""
        return page(
            "report.html", "overview.html", clear=CLEAR, failures_shown=FAILURES_SHOWN, **self._common
        )

    def contact_sheets(self) -> Iterator[PageFile]:
        """Yield every page of every cluster."""
        for place, cluster in enumerate(self.clusters):
            neighbours = self.clusters[place - 1] if place else None, (*self.clusters, None)[place + 1]
            share = math.ceil(sum(group.of for group in cluster.groups) / len(cluster.pages))
            for i, name in enumerate(cluster.pages):
                yield page(
                    f"report/{name}",
                    "cluster.html",
                    cluster=cluster,
                    groups=tuple(_slice(cluster.groups, i * share, (i + 1) * share)),
                    page=i,
                    neighbours=neighbours,
                    **self._common,
                )

    def map(self, chart: Map) -> PageFile:
        """Return ``map.html``."""
        return page("report/map.html", "map.html", chart=chart, **self._common)

    def search(self) -> PageFile:
        """Return ``images.html``, where all images are searched and sorted."""
        return page("report/images.html", "images.html", **self._common)

    def columns(self) -> PageFile:
        """Return the script that tells of every image what a tile shows and edits need, by columns."""
        kept, images = self._kept, self._images
        columns = {
            "image": [self._rows[image.key] for image in images],
            "key": [image.key for image in images],
            "cluster": [image.cluster for image in images],
            "thumbnail": [int(image.key in kept.small) for image in images],
            "preview": [int(image.key in kept.large) for image in images],
            "name": [image.name for image in images],
            "folder": [image.folder for image in images],
            "path": [shown(image.path) for image in images],
            "copy": ["" if image.copy == shown(image.path) else image.copy for image in images],
            "link": [image.link("../") for image in images],
            "note": [image.note for image in images],
            "date": [image.date for image in images],
            "mark": [image.mark for image in images],
        }
        return PageFile("report/assets/columns.js", f"const columns = {script_json(columns)};".encode())


def page(name: str, template: str, **values: object) -> PageFile:
    """Fill a template for the page with this path below the folder of the page to open."""
    here, below = ("../", "") if "/" in name else ("", "report/")
    common = {"here": here, "below": below, "side": THUMBNAIL_SIDE, "with_map": False, "clusters": ()}
    text = _templates().get_template(template).render({**common, **values})
    return PageFile(name, text.encode())


def common_files(kept: Kept) -> Iterator[PageFile]:
    """Yield what the pages of every command need: style and scripts, and pictures."""
    folder = os.path.join(_HERE, "assets")
    for name in sorted(os.listdir(folder)):
        yield PageFile(f"report/assets/{name}", read_limited(os.path.join(folder, name), _MOST_BYTES))
    yield from kept.files()


def require_jinja() -> None:
    """Raise MissingExtra where Jinja2 is not installed."""
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise MissingExtra("the report", "report") from error


def _cluster(cluster: NamedCluster, images: Sequence[ReportImage], silhouette: float) -> Cluster:
    typical, doubtful, others = by_confidence(images)
    kinds = (
        ("Most typical", ", nearest the centre", typical),
        ("Least sure", ", between this cluster and another, or far out", doubtful),
        ("All others", ", by distance from the centre", others),
    )
    distinct = list({image.key: image for image in (*typical, *others, *doubtful)}.values())
    name = f"cluster-{cluster.number}" if cluster.number >= 0 else UNSORTED
    pages = max(1, math.ceil(len(images) / PAGE_SIZE))
    return Cluster(
        number=cluster.number,
        size=cluster.size,
        silhouette=silhouette,
        groups=tuple(Group(title, remark, kind, len(kind)) for title, remark, kind in kinds if kind),
        wrong=sum(image.wrong for image in images),
        pages=tuple(f"{name}{f'-{i + 1}' if i else ''}.html" for i in range(pages)),
        cover=tuple(distinct[:: max(1, len(distinct) // _COVER_PICTURES)][:_COVER_PICTURES]),
    )


def _slice(groups: Sequence[Group], begin: int, end: int) -> Iterator[Group]:
    """Yield the parts of `groups` that hold the images `begin` to `end`, counted through all groups."""
    for group in groups:
        first, last = max(begin, 0), min(end, group.of)
        if first < last:
            yield Group(group.title, group.remark, group.images[first:last], group.of, first + 1)
        begin, end = begin - group.of, end - group.of


def _or(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def _count(value: int) -> str:
    return f"{value:,}"


def _measure(value: float) -> str:
    """Return two decimals, or a dash where it is not defined."""
    return "–" if math.isnan(value) else f"{value:z.2f}".replace("-", "\u2212")


@cache
def _templates() -> Environment:
    """Return the templates, which escape every value."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_count, measure=_measure, shown=shown)
    return environment
