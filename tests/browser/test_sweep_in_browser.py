"""The page of a sweep in a real browser: the groups rearrange, and each step is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from imgcluster.output.report_names import ShownFile
from imgcluster.output.report_thumbnails import thumbnail_name
from imgcluster.output.sweep_page import SweepStep, sweep_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Browser

pytestmark = pytest.mark.slow

STEP = """
  const [slider, index, done] = [document.getElementById("k"), arguments[0], arguments[1]];
  slider.value = index;
  const begun = performance.now();
  slider.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => { const c = new MessageChannel();
    c.port1.onmessage = () => done(performance.now() - begun); c.port2.postMessage(0); });
"""


def write_page(folder: Path, count: int, ks: range) -> str:
    rng = np.random.default_rng(0)
    thumbnails, images = folder / "thumbnails", []
    for number in range(count):
        key = f"{number:064x}"[::-1]
        place = thumbnails / thumbnail_name(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        picture = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (160, 120))
        place.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        path = f"/photos/</script>{number}.jpg"
        images.append(ShownFile(key, path, path))
    steps = [
        SweepStep(
            k,
            {"stability": 0.5, "silhouette": None},
            [n % k for n in range(count)],
            {0: "<b>cats"},
            f"do {k}",
        )
        for k in ks
    ]
    for file in sweep_page(images, steps, count, str(thumbnails), levels=[ks[-1]]):
        place = folder / "page" / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.data)
    return str(folder / "page" / "report.html")


def test_groups_follow_the_slider_without_a_request_elsewhere(
    tmp_path: Path, view: Callable[..., Browser]
) -> None:
    browser = view(write_page(tmp_path, 30, range(2, 6)))
    browser.wait("return document.documentElement.dataset.ready")
    for index, k in enumerate(range(2, 6)):
        browser.look("go(arguments[0])", index)
        titles = browser.look(
            "return [...document.querySelectorAll('#groups h2')]"
            ".filter((h) => h.checkVisibility()).map((h) => h.textContent)"
        )
        assert len(titles) == k
        assert titles[0].startswith("<b>cats")
        assert browser.look("return document.getElementById('command').textContent") == f"do {k}"
    browser.look("go(0)")
    browser.look("document.querySelector('[data-level]').click()")
    assert browser.look("return document.getElementById('k-shown').textContent") == "5"
    assert browser.look("return document.querySelectorAll('#flows path').length") > 0
    assert browser.complaints() == []
    assert all(url.startswith(("file:", "data:", "about:")) for url in browser.asked_for())


def test_ninety_five_of_a_hundred_steps_take_less_than_a_tenth_of_a_second(
    tmp_path: Path, view: Callable[..., Browser]
) -> None:
    browser = view(write_page(tmp_path, 2_000, range(2, 13)))
    browser.wait("return document.documentElement.dataset.ready")
    browser.driver.set_script_timeout(20)
    took = sorted(browser.driver.execute_async_script(STEP, (7 * n + 3) % 11) for n in range(100))
    assert took[94] < 100, took[90:]
