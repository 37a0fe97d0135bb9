"""The map: every image as a point, drawn by Bokeh in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgcluster.errors import MissingExtra
from imgcluster.output.report_names import script_json
from imgcluster.output.report_summary import ReportImage

MAP_LIMIT = 50_000
"""Points on the map; of more images a sample is shown, and the page says so."""

# Ten colours that keep a contrast of 3 to 1 with both the light and the dark page; the shape tells apart the
# clusters that share one, and helps those who see colours differently.
COLOURS = (
    "#3b7dd8", "#d1611f", "#2e9461", "#c2468f", "#8a63d2", "#9a7b0a", "#1b8fa3", "#d24545",
    "#6b7f2a", "#7a7f8c",
)  # fmt: skip
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "star")


@dataclass(frozen=True)
class LegendEntry:
    """One cluster in the map's legend: how it is drawn, and how many of its images are."""

    cluster: int
    colour: str
    marker: str
    drawn: int
    size: int


@dataclass(frozen=True)
class Map:
    """What the map's page needs; `item` is JSON that is safe inside a script element."""

    item: str
    legend: tuple[LegendEntry, ...]
    drawn: int
    everything: int


def draw_map(images: Sequence[ReportImage], *, limit: int = MAP_LIMIT, seed: int = 0) -> Map | None:
    """Draw those of `images` that have a place, as one layer of points per cluster; None where none has.

    A point knows its image by its row in `images`. Of more than `limit` a sample is drawn that depends on
    `seed` only.
    """
    rows = np.array([row for row, image in enumerate(images) if image.has_place], np.int64)
    if not len(rows):
        return None
    clusters = np.array([image.cluster for image in images])
    drawn = rows
    if len(rows) > limit:
        drawn = rows[np.sort(np.random.default_rng(seed).choice(len(rows), limit, replace=False))]
    plot = _empty_plot()
    size = 9 if len(drawn) <= 500 else 7 if len(drawn) <= 5_000 else 4 if len(drawn) <= 20_000 else 3
    legend = []
    for number, count in zip(
        *map(np.ndarray.tolist, np.unique(clusters[rows], return_counts=True)), strict=True
    ):
        members = drawn[clusters[drawn] == number]
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number // len(COLOURS) % len(MARKERS)]
        plot.scatter(
            "x",
            "y",
            source={
                "x": np.array([images[row].x for row in members], np.float32),
                "y": np.array([images[row].y for row in members], np.float32),
                "row": members.astype(np.int32),
            },
            name=f"cluster-{number}",
            marker=marker,
            size=size,
            color=colour,
            line_color=None,
            fill_alpha=0.85,
            selection_fill_alpha=0.85,
            nonselection_fill_alpha=0.12,
            nonselection_line_color=None,
        )
        legend.append(LegendEntry(number, colour, marker, len(members), count))
    from bokeh.embed import json_item

    return Map(script_json(json_item(plot, "map")), tuple(legend), len(drawn), len(rows))


def bokeh_scripts() -> dict[str, str]:
    """Return Bokeh's own scripts, as files to lie beside the page: nothing is loaded from a network."""
    require_bokeh()
    from bokeh.resources import Resources

    plain, webgl = Resources(mode="inline", components=["bokeh", "bokeh-gl"]).js_raw[:2]
    return {"bokeh.min.js": plain, "bokeh-gl.min.js": webgl}


def _empty_plot() -> Any:
    from bokeh.models import BoxSelectTool, HoverTool, LassoSelectTool, TapTool
    from bokeh.plotting import figure

    # The page has buttons, legend and tooltip of its own, which the keyboard reaches and the dark scheme
    # suits; Bokeh's tools do the work behind them. What is chosen stays so until it is taken back.
    plot = figure(
        name="map",
        sizing_mode="stretch_both",
        output_backend="webgl",
        toolbar_location=None,
        tools=[
            "pan", "wheel_zoom", "zoom_in", "zoom_out", "reset", HoverTool(tooltips=None),
            TapTool(mode="xor"), BoxSelectTool(mode="append"),
            LassoSelectTool(mode="append", continuous=False),
        ],
        active_drag="pan",
        active_scroll="wheel_zoom",
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        min_border=8,
    )  # fmt: skip
    plot.axis.visible = False
    plot.grid.visible = False
    return plot


def require_bokeh() -> None:
    """Raise MissingExtra where Bokeh is not installed."""
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        raise MissingExtra("the report's map", "report") from error
