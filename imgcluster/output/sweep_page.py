"""The page of a sweep: a slider over k, the groups, how they split, and the measures as curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from imgcluster.output.report_map import COLOURS
from imgcluster.output.report_names import ShownFile, script_json, shown
from imgcluster.output.report_pages import common_files, page
from imgcluster.output.report_thumbnails import Kept, PageFile, thumbnail_name


@dataclass(frozen=True)
class SweepStep:
    """One k: its measures (None: not defined), the group of each image, names of groups, and its command."""

    k: int
    measures: Mapping[str, float | None]
    groups: Sequence[int]
    names: Mapping[int, str]
    command: str


def sweep_page(
    images: Sequence[ShownFile],
    steps: Sequence[SweepStep],
    everything: int,
    thumbnails: str,
    levels: Sequence[int] = (),
) -> Iterator[PageFile]:
    """Yield the files of the page; ``report.html`` is the one to open.

    Parameters
    ----------
    steps
        With one group for each of the images.
    everything
        How many images the sweep is about.
    thumbnails
        The folder where they lie.
    levels
        Numbers of clusters that stand out, of those of the steps.
    """
    kept = Kept.of(thumbnails, ((image.key, image.mode) for image in images))
    yield from common_files(kept)
    tiles = [
        [
            f"report/thumbnails/{thumbnail_name(image.key)}" if image.key in kept.small else "",
            image.name,
            image.link(""),
        ]
        for image in images
    ]
    told = [asdict(step) | {"names": {n: shown(name) for n, name in step.names.items()}} for step in steps]
    data = script_json({"colours": COLOURS, "tiles": tiles, "steps": told})
    ks = [step.k for step in steps]
    places = {k: ks.index(k) for k in levels}
    counts = {"images": len(images), "everything": everything}
    yield page("report.html", "sweep.html", data=data, ks=ks, levels=places, **counts)
