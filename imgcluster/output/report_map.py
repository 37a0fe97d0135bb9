"""The map: every image as a point, drawn by Bokeh in the browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from imgcluster.errors import MissingExtra
from imgcluster.output.report_names import script_json
from imgcluster.output.report_summary import LegendEntry, Map, ReportImage

MAP_LIMIT = 50_000
"""Points on the map; of more images a sample is shown, and the page says so."""

# Ten colours that keep a contrast of 3 to 1 with both the light and the dark page; the shape tells apart the
# clusters that share one, and helps those who see colours differently.
COLOURS = (
    "#3b7dd8",
    "#d1611f",
    "#2e9461",
    "#c2468f",
    "#8a63d2",
    "#9a7b0a",
    "#1b8fa3",
    "#d24545",
    "#6b7f2a",
    "#7a7f8c",
)
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "star")


Row = Callable[[ReportImage], Mapping[str, Any]]
"""Gives what a point shows of its image."""


def draw_map(images: Sequence[ReportImage], row: Row, *, limit: int = MAP_LIMIT, seed: int = 0) -> Map:
    """Draw `images` (all of them with a place) as one layer of points per cluster.

    Above `limit` images a sample is drawn that depends on `seed` only.
    """
    numbers, sizes = np.unique([image.cluster for image in images], return_counts=True)
    drawn = list(images)
    if len(images) > limit:
        chosen = np.random.default_rng(seed).choice(len(images), limit, replace=False)
        drawn = [images[i] for i in np.sort(chosen)]
    plot = _empty_plot()
    size = 9 if len(drawn) <= 500 else 7 if len(drawn) <= 5_000 else 4 if len(drawn) <= 20_000 else 3
    legend = []
    for number, count in zip(numbers.tolist(), sizes.tolist(), strict=True):
        members = [image for image in drawn if image.cluster == number]
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number // len(COLOURS) % len(MARKERS)]
        _add_layer(plot, members, row, name=f"cluster-{number}", colour=colour, marker=marker, size=size)
        legend.append(LegendEntry(number, colour, marker, len(members), count))
    return Map(_json(plot), tuple(legend), len(drawn), len(images))


def bokeh_scripts() -> dict[str, str]:
    """Return Bokeh's own scripts, as files to lie beside the page: nothing is loaded from a network."""
    require_bokeh()
    from bokeh.resources import Resources

    plain, webgl = Resources(mode="inline", components=["bokeh", "bokeh-gl"]).js_raw[:2]
    return {"bokeh.min.js": plain, "bokeh-gl.min.js": webgl}


def _empty_plot() -> Any:
    require_bokeh()
    from bokeh.models import (
        BoxSelectTool,
        HoverTool,
        LassoSelectTool,
        PanTool,
        ResetTool,
        TapTool,
        WheelZoomTool,
        ZoomInTool,
        ZoomOutTool,
    )
    from bokeh.plotting import figure

    # The page has buttons, legend and tooltip of its own, which the keyboard reaches and the dark scheme
    # suits; Bokeh's tools do the work behind them.
    pan, wheel = PanTool(), WheelZoomTool()
    plot = figure(
        name="map",
        sizing_mode="stretch_both",
        output_backend="webgl",
        toolbar_location=None,
        tools=[
            pan,
            wheel,
            BoxSelectTool(),
            LassoSelectTool(continuous=False),
            TapTool(),
            HoverTool(tooltips=None),
            ZoomInTool(),
            ZoomOutTool(),
            ResetTool(),
        ],
        active_drag=pan,
        active_scroll=wheel,
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        min_border=8,
    )
    plot.axis.visible = False
    plot.grid.visible = False
    return plot


def _add_layer(
    plot: Any,
    images: Sequence[ReportImage],
    row: Row,
    *,
    name: str,
    colour: str,
    marker: str,
    size: int,
) -> None:
    """Add one cluster. Everything that a point shows stands in its own row, and filtering moves no rows."""
    rows = [row(image) for image in images]
    columns: dict[str, Any] = {
        "x": np.array([image.x for image in images], np.float32),
        "y": np.array([image.y for image in images], np.float32),
        **{each: [row[each] for row in rows] for each in (rows[0] if rows else ())},
    }
    plot.scatter(
        "x",
        "y",
        source=columns,
        name=name,
        marker=marker,
        size=size,
        color=colour,
        line_color=None,
        fill_alpha=0.85,
        selection_fill_alpha=0.85,
        nonselection_fill_alpha=0.12,
        nonselection_line_color=None,
    )


def _json(plot: Any) -> str:
    from bokeh.embed import json_item

    return script_json(json_item(plot, "map"))


def require_bokeh() -> None:
    """Raise MissingExtra where Bokeh is not installed."""
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        raise MissingExtra("the report's map", "report") from error
