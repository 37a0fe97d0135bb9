"""The page of a sweep: a slider over k, the groups, how they split, and the measures as curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imgcluster.output.report import own_assets
from imgcluster.output.report_map import COLOURS
from imgcluster.output.report_names import script_json, shown
from imgcluster.output.report_pages import load_templates
from imgcluster.output.report_summary import ReportImage
from imgcluster.output.report_thumbnails import THUMBNAIL_SIDE, read_thumbnail, thumbnail_name


@dataclass(frozen=True)
class SweepStep:
    """One k: its measures (None: not defined), the group of each image, names of groups, and its command."""

    k: int
    measures: Mapping[str, float | None]
    groups: Sequence[int]
    names: Mapping[int, str]
    command: str


def sweep_page(
    images: Sequence[tuple[str, str]], steps: Sequence[SweepStep], everything: int, thumbnails: str
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the page, by their paths below a folder; ``report.html`` is the one to open.

    Parameters
    ----------
    images
        Key in hex and path of each image that is shown.
    steps
        With one group for each of them.
    everything
        How many images the sweep is about.
    thumbnails
        The folder where they lie.

    Raises
    ------
    MissingExtra
        Where Jinja2 is not installed.
    """
    template = load_templates().get_template("sweep.html")
    tiles = []
    for key, path in images:
        thumbnail = read_thumbnail(thumbnails, key)
        place = "" if thumbnail is None else f"report/thumbnails/{thumbnail_name(key)}"
        if thumbnail is not None:
            yield place, thumbnail
        file = ReportImage(key, path, path, 0)
        tiles.append([place, file.name, file.link("")])
    for name, text in own_assets().items():
        yield f"report/assets/{name}", text.encode()
    document = {
        "colours": COLOURS,
        "tiles": tiles,
        "steps": [
            {
                "k": step.k,
                "measures": step.measures,
                "groups": list(step.groups),
                "names": {str(number): shown(name) for number, name in step.names.items()},
                "command": step.command,
            }
            for step in steps
        ],
    }
    text = template.render(
        data=script_json(document), ks=[step.k for step in steps], images=len(images), everything=everything,
        here="", below="report/", side=THUMBNAIL_SIDE, with_map=False, clusters=(),
    )  # fmt: skip
    yield "report.html", text.encode()
