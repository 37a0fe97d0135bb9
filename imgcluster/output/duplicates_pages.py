"""Pages that show the copies of pictures side by side, as the report shows clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgcluster.output.report_names import ShownFile
from imgcluster.output.report_pages import PAGE_SIZE, Group, common_files, page
from imgcluster.output.report_thumbnails import Kept, PageFile

MOST_SHOWN = 100
"""Of the copies of one picture."""


@dataclass(frozen=True, slots=True)
class ComparedImage(ShownFile):
    """An image file, a note about it, and what stands on it: nothing on the one to keep."""

    note: str
    mark: str = ""


def duplicates_pages(
    groups: Sequence[tuple[str, Sequence[ComparedImage]]], thumbnails: str
) -> Iterator[PageFile]:
    """Yield the files of the pages; ``report.html`` is the one to open.

    Parameters
    ----------
    groups
        What is said of each group, and its images, the one to keep first.
    thumbnails
        The folder where they lie.
    """
    shown = [Group(title, " files", images[:MOST_SHOWN], len(images)) for title, images in groups]
    kept = Kept.of(thumbnails, ((image.key, image.mode) for group in shown for image in group.images))
    yield from common_files(kept)
    pages = list(_pages(shown)) or [[]]
    names = ["report.html", *(f"report/page-{number}.html" for number in range(2, len(pages) + 1))]
    for number, (name, part) in enumerate(zip(names, pages, strict=True)):
        links = [f"../{other}" if number else other for other in names]
        place = {"pages": links, "page": number, "count": len(groups)}
        yield page(name, "duplicates.html", groups=part, kept=kept, rows=None, **place)


def _pages(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Put as many groups on each page as it has room for."""
    part: list[Group] = []
    room = PAGE_SIZE
    for group in groups:
        if part and len(group.images) > room:
            yield part
            part, room = [], PAGE_SIZE
        part.append(group)
        room -= len(group.images)
    if part:
        yield part
