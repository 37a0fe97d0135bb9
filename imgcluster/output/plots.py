"""Plots as image files."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgcluster.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_KINDS = ("png", "svg", "pdf")
PLOT_MARK = b"imgcluster sweep"
"""What every plot holds, by which an earlier one is known."""

_LINE, _SUGGESTED, _SOFT = "#3b7dd8", "#d1611f", "#5c6066"


def sweep_plot(
    ks: Sequence[int],
    inertia: Sequence[float],
    silhouette: Sequence[float],
    stability: Sequence[float],
    suggestion: int | None,
    *,
    kind: str = "png",
) -> bytes:
    """Draw three measures over the number of clusters, the suggested one marked.

    Parameters
    ----------
    ks
        Numbers of clusters, ascending.
    inertia, silhouette, stability
        One value per k; NaN where it is not defined.
    kind
        ``png``, ``svg`` or ``pdf``; the same input gives the same bytes.

    Raises
    ------
    MissingExtra
        Matplotlib is not installed.
    UsageError
        The kind is unknown.
    """
    if kind not in PLOT_KINDS:
        raise UsageError(f"a plot cannot be written as {kind!r}; choose one of {', '.join(PLOT_KINDS)}")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns of a home that cannot be written
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("the plot", "plot") from error
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    measures = (
        ("Inertia", "lower is tighter; look for the bend", inertia),
        ("Silhouette", "higher is better separated", silhouette),
        ("Stability", "higher: other samples give the same clusters", stability),
    )
    # SVG ids are random without a salt; text stays text, so that it can be searched.
    with mpl.rc_context({"svg.hashsalt": "imgcluster", "svg.fonttype": "none", "font.size": 10}):
        # Figure without pyplot: no window, no global state, safe in threads.
        figure = Figure(figsize=(7, 8), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        rows = figure.subplots(len(measures), 1, sharex=True)
        for axes, (title, remark, values) in zip(rows, measures, strict=True):
            axes.plot(ks, values, color=_LINE, marker="o", markersize=4.5, linewidth=1.6)
            axes.set_title(title, loc="left", fontweight="bold", fontsize=10.5)
            axes.set_title(remark, loc="right", color=_SOFT, fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#e4e4e0", linewidth=0.8)
            axes.margins(y=0.12)
            if suggestion is not None:
                axes.axvline(suggestion, color=_SUGGESTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=0)
                _mark(axes, ks, values, suggestion)
        rows[-1].set_xlabel("number of clusters, k")
        rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        if suggestion is not None:
            figure.suptitle(f"suggested: k = {suggestion}", color=_SUGGESTED, fontsize=11)
        file = io.BytesIO()
        figure.savefig(file, format=kind, metadata=_metadata(kind))
    return file.getvalue()


def _mark(axes: Axes, ks: Sequence[int], values: Sequence[float], k: int) -> None:
    """Emphasise the point at `k`, where it has a value."""
    chosen = [value for at, value in zip(ks, values, strict=True) if at == k and not math.isnan(value)]
    axes.plot([k] * len(chosen), chosen, color=_SUGGESTED, marker="o", markersize=8, linewidth=0)


def _metadata(kind: str) -> dict[str, str | None]:
    """Return metadata that names us and leaves out the time of writing."""
    undated: dict[str, dict[str, str | None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    return {"Software" if kind == "png" else "Creator": PLOT_MARK.decode(), **undated.get(kind, {})}
