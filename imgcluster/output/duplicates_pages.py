"""Pages that show the copies of pictures side by side, as the report shows clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgcluster.output.report import own_assets
from imgcluster.output.report_names import shown
from imgcluster.output.report_pages import PAGE_SIZE, Tile, load_templates
from imgcluster.output.report_summary import ReportImage
from imgcluster.output.report_thumbnails import THUMBNAIL_SIDE, read_thumbnail, thumbnail_name

MOST_SHOWN = 100
"""Of the copies of one picture."""


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """An image file, its key in hex, a note about it, and what stands on it: nothing on the one to keep."""

    path: str
    key: str
    note: str
    mark: str = ""


@dataclass(frozen=True)
class _Group:
    title: str
    size: int
    tiles: tuple[Tile, ...]


def duplicates_pages(
    groups: Sequence[tuple[str, Sequence[ComparedImage]]], thumbnails: str
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the pages, by their paths below a folder; ``report.html`` is the one to open.

    Parameters
    ----------
    groups
        What is said of each group, and its images, the one to keep first.
    thumbnails
        The folder where they lie.

    Raises
    ------
    MissingExtra
        Where Jinja2 is not installed.
    """
    template = load_templates().get_template("duplicates.html")
    seen = set()
    for key in dict.fromkeys(image.key for _, images in groups for image in images[:MOST_SHOWN]):
        thumbnail = read_thumbnail(thumbnails, key)
        if thumbnail is not None:
            seen.add(key)
            yield f"report/thumbnails/{thumbnail_name(key)}", thumbnail
    for name, text in own_assets().items():
        yield f"report/assets/{name}", text.encode()
    pages = list(_pages(groups)) or [[]]
    names = ["report.html", *(f"report/page-{number}.html" for number in range(2, len(pages) + 1))]
    for number, (name, page) in enumerate(zip(names, pages, strict=True)):
        here, below = ("../", "") if number else ("", "report/")
        shown_groups = [
            _Group(title, len(images), tuple(_tile(i, below, i.key in seen) for i in images[:MOST_SHOWN]))
            for title, images in page
        ]
        links = [f"{here}{other}" for other in names]
        text = template.render(
            groups=shown_groups, count=len(groups), pages=links, page=number, here=here, below=below,
            side=THUMBNAIL_SIDE, with_map=False, clusters=(),
        )  # fmt: skip
        yield name, text.encode()


def _pages(
    groups: Sequence[tuple[str, Sequence[ComparedImage]]],
) -> Iterator[list[tuple[str, Sequence[ComparedImage]]]]:
    """Put as many groups on each page as it has room for."""
    page: list[tuple[str, Sequence[ComparedImage]]] = []
    room = PAGE_SIZE
    for group in groups:
        tiles = min(len(group[1]), MOST_SHOWN)
        if page and tiles > room:
            yield page
            page, room = [], PAGE_SIZE
        page.append(group)
        room -= tiles
    if page:
        yield page


def _tile(image: ComparedImage, below: str, has_thumbnail: bool) -> Tile:  # noqa: FBT001 - one of its parts
    file = ReportImage(image.key, image.path, image.path, 0)
    thumbnail = f"{below}thumbnails/{thumbnail_name(image.key)}" if has_thumbnail else ""
    return Tile(
        link=file.link(""),
        thumbnail=thumbnail,
        name=file.name,
        folder=file.folder,
        path=shown(image.path),
        copy=file.copy,
        note=image.note,
        mark=image.mark,
    )
