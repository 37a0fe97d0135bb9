"""The sweep's plot."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from imgcluster.errors import MissingExtra, UsageError
from imgcluster.output.plots import sweep_plot

KS = (1, 2, 3, 4)
INERTIA = (10.0, 6.0, 3.0, 2.5)
SILHOUETTE = (float("nan"), 0.3, 0.6, 0.4)
STABILITY = (float("nan"), 0.8, 0.9, 0.5)


def test_a_png_can_be_read_and_holds_something() -> None:
    data = sweep_plot(KS, INERTIA, SILHOUETTE, STABILITY, 3)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.std() > 5


def test_an_svg_is_the_same_bytes_twice_and_names_the_suggestion() -> None:
    first = sweep_plot(KS, INERTIA, SILHOUETTE, STABILITY, 3, kind="svg")
    assert first == sweep_plot(KS, INERTIA, SILHOUETTE, STABILITY, 3, kind="svg")
    assert b"suggested: k = 3" in first


def test_a_sweep_without_any_k_can_be_drawn() -> None:
    assert sweep_plot((), (), (), (), None).startswith(b"\x89PNG")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="gif"):
        sweep_plot(KS, INERTIA, SILHOUETTE, STABILITY, 3, kind="gif")


def test_without_matplotlib_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[plot\]'"):
        sweep_plot(KS, INERTIA, SILHOUETTE, STABILITY, 3)
