"""The report's pages: which image stands where, and the templates filled in."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imgcluster.errors import MissingExtra
from imgcluster.output.names import UNSORTED
from imgcluster.output.report_names import script_json, shown
from imgcluster.output.report_summary import ConfusionTable, Map, ReportImage, ReportSummary
from imgcluster.output.report_thumbnails import THUMBNAIL_SIDE, thumbnail_name
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


@dataclass(frozen=True, slots=True)
class Tile:
    """One thumbnail as a template shows it; all fields are plain text, not yet escaped."""

    link: str
    thumbnail: str
    name: str
    folder: str
    path: str
    copy: str
    note: str
    mark: str
    preview: str = ""


@dataclass(frozen=True)
class Group:
    """Thumbnails under one heading; `of` is how many there are of the kind in the whole cluster."""

    title: str
    remark: str
    tiles: tuple[Tile, ...]
    of: int
    first: int = 1


@dataclass(frozen=True)
class Cluster:
    """One cluster as the overview and its own pages show it."""

    number: int
    size: int
    share: float
    bar: float
    silhouette: float
    shown: int
    wrong: int
    pages: tuple[str, ...]
    cover: tuple[Tile, ...]

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
    environment
        From `load_templates`.
    summary, images
        What to show.
    thumbnails, previews
        Keys that have a thumbnail, and those that have a preview because browsers cannot show the file; an
        image without a thumbnail is shown by its name.
    """

    def __init__(
        self,
        environment: Environment,
        summary: ReportSummary,
        images: Sequence[ReportImage],
        thumbnails: frozenset[str],
        previews: frozenset[str] = frozenset(),
    ) -> None:
        self._environment = environment
        self._summary = summary
        self._images = images
        self._thumbnails = thumbnails
        self._previews = previews
        self._with_map = any(image.has_place for image in images)
        members: defaultdict[int, list[ReportImage]] = defaultdict(list)
        for image in images:
            members[image.cluster].append(image)
        listed = [*summary.clusters, *([NamedCluster(-1, "", summary.unsorted)] if summary.unsorted else [])]
        self._ordered = {each.number: by_confidence(members[each.number]) for each in listed}
        self.clusters = tuple(self._cluster(row, each) for row, each in enumerate(listed))

    def overview(self) -> str:
        """Return ``report.html``."""
        summary = self._summary
        return self._fill(
            "overview.html",
            here="",
            below="report/",
            clear=CLEAR,
            settings=[(label, shown(value)) for label, value in summary.settings],
            failures=[(shown(f.path), shown(f.reason)) for f in summary.failures[:FAILURES_SHOWN]],
            confusion=_confusion_rows(summary.confusion),
        )

    def contact_sheets(self) -> Iterator[tuple[str, str]]:
        """Yield (file name, page) for every page of every cluster."""
        for cluster in self.clusters:
            groups = self._groups(cluster.number, "../", "", *self._ordered[cluster.number])
            place = self.clusters.index(cluster)
            neighbours = self.clusters[place - 1] if place else None, (*self.clusters, None)[place + 1]
            for i, name in enumerate(cluster.pages):
                share = math.ceil(cluster.shown / len(cluster.pages))
                part = tuple(_slice(groups, i * share, (i + 1) * share))
                yield (
                    name,
                    self._fill(
                        "cluster.html",
                        here="../",
                        below="",
                        cluster=cluster,
                        groups=part,
                        page=i,
                        neighbours=neighbours,
                    ),
                )

    def map(self, chart: Map) -> str:
        """Return ``map.html``."""
        return self._fill("map.html", here="../", below="", chart=chart)

    def search(self) -> str:
        """Return ``images.html``, where all images are searched and sorted."""
        rows = [self.row(image) | {"cluster": image.cluster, "date": image.date} for image in self._images]
        columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
        return self._fill("images.html", here="../", below="", columns=script_json(columns))

    def row(self, image: ReportImage) -> dict[str, Any]:
        """Give what scripts make a tile of."""
        return {
            "key": image.key if image.key in self._thumbnails else "",
            "preview": int(image.key in self._previews),
            "name": image.name,
            "folder": image.folder,
            "path": shown(image.path),
            "copy": "" if image.copy == shown(image.path) else image.copy,
            "link": image.link("../"),
            "note": image.note,
            "wrong": int(image.wrong),
        }

    def _fill(self, template: str, *, here: str, below: str, **values: object) -> str:
        return self._environment.get_template(template).render(
            summary=self._summary,
            clusters=self.clusters,
            with_map=self._with_map,
            here=here,
            below=below,
            title=self._summary.title,
            side=THUMBNAIL_SIDE,
            **values,
        )

    def _cluster(self, row: int, cluster: NamedCluster) -> Cluster:
        summary, number, size = self._summary, cluster.number, cluster.size
        typical, doubtful, others = self._ordered[number]
        here = len(typical) + len(doubtful) + len(others)
        members = list({image.key: image for image in (*typical, *others, *doubtful)}.values())
        spread = members[:: max(1, len(members) // _COVER_PICTURES)][:_COVER_PICTURES]
        pages = max(1, math.ceil(here / PAGE_SIZE))
        name = f"cluster-{number}" if number >= 0 else UNSORTED
        return Cluster(
            number=number,
            size=size,
            share=size / max(1, summary.images),
            bar=100 * size / max(1, *(each.size for each in summary.clusters)),
            silhouette=summary.silhouettes[row] if summary.silhouettes and number >= 0 else math.nan,
            shown=here,
            wrong=sum(image.wrong for image in (*typical, *doubtful, *others)),
            pages=tuple(f"{name}{f'-{i + 1}' if i else ''}.html" for i in range(pages)),
            cover=tuple(self._tile(image, "", "report/") for image in spread),
        )

    def _groups(
        self,
        number: int,
        here: str,
        below: str,
        typical: Sequence[ReportImage],
        doubtful: Sequence[ReportImage],
        others: Sequence[ReportImage],
    ) -> list[Group]:
        size = sum(map(len, self._ordered[number]))
        kinds = (
            ("Most typical", "nearest the centre", typical),
            ("Least sure", "between this cluster and another, or far out", doubtful),
            ("All others", "by distance from the centre", others),
        )
        return [
            Group(title, remark, tuple(self._tile(image, here, below) for image in images), size)
            for title, remark, images in kinds
            if images
        ]

    def _tile(self, image: ReportImage, here: str, below: str) -> Tile:
        def kept(keys: frozenset[str], *, preview: bool) -> str:
            name = thumbnail_name(image.key, preview=preview)
            return f"{below}thumbnails/{name}" if image.key in keys else ""

        return Tile(
            link=image.link(here),
            thumbnail=kept(self._thumbnails, preview=False),
            preview=kept(self._previews, preview=True),
            name=image.name,
            folder=image.folder,
            path=shown(image.path),
            copy=image.copy,
            note=image.note,
            mark=f"label: {shown(image.true_class or '?')}" if image.wrong else "",
        )


def _slice(groups: Sequence[Group], begin: int, end: int) -> Iterator[Group]:
    """Yield the parts of `groups` that hold the tiles `begin` to `end`, counted through all groups."""
    passed = 0
    for group in groups:
        first, last = max(begin - passed, 0), min(end - passed, len(group.tiles))
        if first < last:
            yield replace(group, tiles=group.tiles[first:last], first=first + 1, of=len(group.tiles))
        passed += len(group.tiles)


def _confusion_rows(table: ConfusionTable | None) -> list[tuple[str, int, list[tuple[int, bool]]]] | None:
    """Return per class its name, its number of images, and (count, is the matched cluster) per cluster."""
    if table is None:
        return None
    return [
        (
            shown(name),
            sum(row),
            [(n, cluster == match) for n, cluster in zip(row, table.clusters, strict=True)],
        )
        for name, row, match in zip(table.classes, table.counts, table.matched, strict=True)
    ]


def _or(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def _count(value: int) -> str:
    return f"{value:,}"


def _measure(value: float) -> str:
    """Return two decimals, or a dash where it is not defined."""
    return "–" if math.isnan(value) else f"{value:.2f}".replace("-", "\u2212")


def load_templates() -> Environment:
    """Return the templates, which escape every value; raises MissingExtra where Jinja2 is not installed."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtra("the report", "report") from error
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_count, measure=_measure, shown=shown)
    return environment
