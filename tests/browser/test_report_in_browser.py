"""The report as people meet it: opened from disk in a real browser."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from report_sample import HOSTILE_NAMES, Sample

from imgcluster.records import NamedCluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Browser

pytestmark = pytest.mark.slow

PAGES = ("report.html", "report/cluster-1.html", "report/map.html", "report/images.html")

# The place of a point on the screen.
POINT = """
  const data = layers.get(arguments[0]).data_source.data;
  const i = [...data.row].findIndex((row) => columns.name[row] === arguments[1]);
  const frame = Bokeh.index.get_by_id(plot.id).frame;
  const box = document.getElementById("map").getBoundingClientRect();
  return [box.left + frame.x_scale.compute(data.x[i]), box.top + frame.y_scale.compute(data.y[i])];
"""

HOVER = "const h = document.getElementById('hover'); return !h.hidden && h.querySelector('.name').textContent"
CHOSEN = "return document.getElementById('chosen-count').textContent"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Ten thousand images in ten clusters, 120 of them with a thumbnail, on a map of 100 by 100 points."""
    sample = Sample(tmp_path_factory.mktemp("large"), k=10).add([f"{i}.jpg" for i in range(120)])
    blank = replace(sample.images[0], silhouette=0.3)
    others = [replace(blank, key=f"{i:064x}", path=f"/p/{i}.jpg", cluster=i % 10) for i in range(120, 10_000)]
    images = [*sample.images, *others]
    sample.images = [replace(each, x=float(i % 100), y=float(i // 100)) for i, each in enumerate(images)]
    sample.write()
    return sample


@pytest.fixture(scope="module")
def many_clusters(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Three thousand images in forty clusters, none of them on the map."""
    sample = Sample(tmp_path_factory.mktemp("many"), k=40).add([f"{i}.jpg" for i in range(120)])
    nowhere = [replace(image, silhouette=0.3, x=float("nan")) for image in sample.images]
    sample.images = [replace(nowhere[i % 120], path=f"/p/{i}.jpg") for i in range(3000)]
    sample.write()
    return sample


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_from_disk_without_complaint_or_request_elsewhere(
    view: Callable[..., Browser], page: str
) -> None:
    browser = view(page)
    browser.look("window.scrollTo(0, document.body.scrollHeight)")
    assert browser.complaints() == []
    asked = browser.asked_for()
    assert asked[0].endswith(page)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.parametrize("page", PAGES[:2])
def test_thumbnails_appear_and_move_nothing(view: Callable[..., Browser], page: str) -> None:
    browser = view(page)
    pictures = browser.driver.find_elements("css selector", "main img[loading=lazy]")
    assert len(pictures) >= 10
    for picture in pictures:
        browser.look("arguments[0].scrollIntoView()", picture)
        browser.wait("return arguments[0].naturalWidth === 160", picture)
    shifts = """
      return new Promise((done) => {
        new PerformanceObserver((list) => done(list.getEntries().map((entry) => entry.value)))
          .observe({ type: "layout-shift", buffered: true });
        setTimeout(() => done([]), 300);
      });
    """
    assert sum(browser.look(shifts)) < 0.01


def test_a_click_shows_the_image_its_path_and_copies_it(sample: Sample, view: Callable[..., Browser]) -> None:
    browser = view("report/cluster-0.html")
    browser.click("a.tile")
    browser.wait("return viewer.open && picture.naturalWidth === 160")
    assert browser.look("return viewer.querySelector('.path').textContent") == sample.images[0].path
    browser.click("[data-do=copy]")
    browser.wait("return document.getElementById('said').textContent === 'Path copied'")
    browser.click("[data-do=next]")
    assert browser.look("return viewer.querySelector('.path').textContent") == sample.images[3].path
    browser.click("[data-do=close]")
    # The browser tells of the closing a moment later, and focus returns then.
    browser.wait(
        "return !viewer.open && document.activeElement.title === arguments[0]", sample.images[3].path
    )
    assert browser.complaints() == []


def test_the_keyboard_reaches_an_image_and_leaves_it(sample: Sample, view: Callable[..., Browser]) -> None:
    browser = view("report/cluster-0.html")
    active = browser.driver.switch_to
    for _ in range(20):
        active.active_element.send_keys("\ue004")  # Tab
        if browser.look("return document.activeElement.matches('a.tile')"):
            break
    active.active_element.send_keys("\ue007")  # Enter
    browser.wait("return viewer.open")
    active.active_element.send_keys("\ue014")  # right arrow
    assert browser.look("return viewer.querySelector('.path').textContent") == sample.images[3].path
    active.active_element.send_keys("\ue00c")  # Escape
    browser.wait("return !viewer.open")


def test_a_file_that_the_browser_cannot_show_is_replaced_by_its_thumbnail(
    tmp_path: Path, view: Callable[..., Browser]
) -> None:
    sample = Sample(tmp_path, k=1).add(["scan.tif"])
    (tmp_path / "pictures" / "scan.tif").write_bytes(b"II*\0")
    sample.write()
    browser = view("report/cluster-0.html", sample)
    browser.click("a.tile")
    browser.wait("return picture.naturalWidth === 160 && !viewer.querySelector('.unshown').hidden")


def test_a_point_shows_its_own_thumbnail_and_a_hidden_cluster_none(
    sample: Sample, view: Callable[..., Browser]
) -> None:
    browser = view("report/map.html")
    x, y = browser.look(POINT, 1, "4.jpg")
    browser.mouse("Moved", x - 60, y - 60)
    browser.mouse("Moved", x, y)
    assert browser.wait(HOVER) == "4.jpg"
    key = sample.images[4].key
    browser.wait(
        "const i = hover.querySelector('img'); return i.src.includes(arguments[0]) && i.naturalWidth", key
    )

    browser.click("[data-cluster='0']")
    browser.mouse("Moved", x - 60, y - 60)
    browser.mouse("Moved", x, y)
    assert browser.wait(HOVER) == "4.jpg"  # hiding another cluster mixes up nothing

    browser.click("[data-cluster='1']")
    assert browser.look("return layers.get(1).visible") is False
    browser.mouse("Moved", x - 60, y - 60)
    browser.mouse("Moved", x, y)
    browser.wait("return hover.hidden")
    assert browser.complaints() == []


def test_hiding_a_cluster_takes_its_colour_off_the_map(view: Callable[..., Browser]) -> None:
    browser = view("report/map.html")
    before = browser.driver.find_element("id", "map").screenshot_as_base64
    browser.click("[data-legend=none]")
    browser.wait("return [...layers.values()].every((layer) => !layer.visible)")
    hidden = browser.driver.find_element("id", "map").screenshot_as_base64
    assert len(hidden) < len(before)  # an empty field compresses better
    browser.click("[data-legend=all]")
    browser.wait("return [...layers.values()].every((layer) => layer.visible)")


@pytest.mark.parametrize("tool", ["BoxSelectTool", "LassoSelectTool"])
def test_a_box_or_a_lasso_lists_the_files_in_it(
    sample: Sample, view: Callable[..., Browser], tool: str
) -> None:
    browser = view("report/map.html")
    browser.click(f"[data-tool={tool}]")
    places = [browser.look(POINT, 2, f"{i}.jpg") for i in range(2, 30, 3)]
    left, right = min(x for x, _ in places) - 12, max(x for x, _ in places) + 12
    top, bottom = min(y for _, y in places) - 12, max(y for _, y in places) + 12
    browser.drag((left, top), (right, top), (right, bottom), *([(left, bottom)] if tool[0] == "L" else []))
    browser.wait(f"{CHOSEN} === '10'")
    listed = browser.look("return [...document.querySelectorAll('#chosen a')].map((tile) => tile.title)")
    assert sorted(listed) == sorted(image.path for image in sample.images if image.cluster == 2)
    browser.click("#chosen a")
    browser.wait("return viewer.open && picture.naturalWidth === 160")
    browser.click("[data-do=close]")
    browser.click("[data-cluster='2']")
    browser.wait(f"{CHOSEN} === 'none'")


def test_zooming_and_resetting(view: Callable[..., Browser]) -> None:
    span = "return plot.x_range.end - plot.x_range.start"
    browser = view("report/map.html")
    before = browser.look(span)
    browser.click("[data-action=ZoomInTool]")
    browser.wait(f"{span} < arguments[0]", before)
    browser.click("[data-action=ResetTool]")
    browser.wait(f"{span} === arguments[0]", before)


KEY = (
    "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: arguments[0], bubbles: true }))"
)
SEEN = "return viewer.querySelector('[data-count]').textContent"


def test_the_viewer_counts_goes_to_both_ends_and_blows_nothing_up(view: Callable[..., Browser]) -> None:
    browser = view("report/cluster-0.html")
    browser.click("a.tile")
    browser.wait("return viewer.open && picture.naturalWidth === 160")
    assert browser.look(SEEN) == "1 of 10"
    assert browser.look("return [picture.clientWidth, picture.clientHeight]") == [160, 120]
    for key, count in (
        ("End", "10 of 10"),
        ("ArrowRight", "10 of 10"),
        ("ArrowLeft", "9 of 10"),
        ("Home", "1 of 10"),
    ):
        browser.look(KEY, key)
        assert browser.look(SEEN) == count


def test_a_large_image_fits_into_the_viewer(tmp_path: Path, view: Callable[..., Browser]) -> None:
    sample = Sample(tmp_path, k=1).add(["large.png"])
    large = cv2.imencode(".png", np.zeros((3000, 5000, 3), np.uint8))[1]
    (tmp_path / "pictures" / "large.png").write_bytes(large.tobytes())
    sample.write()
    browser = view("report/cluster-0.html", sample, width=390, height=800)
    browser.click("a.tile")
    browser.wait("return picture.naturalWidth === 5000")
    inside = "const [p, s] = [picture, picture.parentElement].map((e) => e.getBoundingClientRect());"
    assert browser.look(
        f"{inside} return p.width > 300 && p.right <= s.right + 1 && p.bottom <= s.bottom + 1"
    )


def test_a_swipe_goes_to_the_next_image(view: Callable[..., Browser]) -> None:
    browser = view("report/cluster-0.html", width=390, height=800)
    browser.click("a.tile")
    browser.wait("return viewer.open")

    def swipe(start: int, end: int) -> None:
        touch = "Input.dispatchTouchEvent"
        browser.driver.execute_cdp_cmd(touch, {"type": "touchStart", "touchPoints": [{"x": start, "y": 300}]})
        browser.driver.execute_cdp_cmd(touch, {"type": "touchMove", "touchPoints": [{"x": end, "y": 305}]})
        browser.driver.execute_cdp_cmd(touch, {"type": "touchEnd", "touchPoints": []})

    swipe(300, 100)
    browser.wait(f"{SEEN} === '2 of 10'")
    swipe(100, 110)
    swipe(100, 300)
    browser.wait(f"{SEEN} === '1 of 10'")


def test_images_are_found_by_name_and_put_in_order(tmp_path: Path, view: Callable[..., Browser]) -> None:
    sample = Sample(tmp_path).add([f"img{i}.jpg" for i in (10, 9, 1)])
    sample.images = [replace(image, date=f"200{i}-01-01") for i, image in enumerate(sample.images)]
    sample.write()
    names = "return [...document.querySelectorAll('#found .name')].map((name) => name.textContent).join(' ')"
    for choice, expected in (
        ("order=name", "img1.jpg img9.jpg img10.jpg"),
        ("order=new", "img1.jpg img9.jpg img10.jpg"),
        ("order=old", "img10.jpg img9.jpg img1.jpg"),
        ("within=1", "img9.jpg"),
        ("q=IMG1+2002", "img1.jpg"),
    ):
        browser = view(f"report/images.html#{choice}", sample)
        assert browser.look(names) == expected
    browser.look("query.value = 'nothing'; query.dispatchEvent(new Event('input'))")
    browser.wait("return document.getElementById('count').textContent === '0 of 3 images.'")
    browser.look("query.value = ''")
    browser.click("#query")
    browser.driver.switch_to.active_element.send_keys("img9")
    browser.wait(f"{names} === 'img9.jpg'")
    browser.click("#found a")
    browser.wait("return viewer.open && picture.naturalWidth === 160")
    assert browser.complaints() == []


def test_the_keyboard_reaches_every_point_of_the_map(sample: Sample, view: Callable[..., Browser]) -> None:
    browser = view("report/map.html")
    browser.look("document.getElementById('map').focus()")
    reached = set()
    browser.look(KEY, "Home")
    for _ in sample.images:
        reached.add(browser.look("return document.getElementById('at').textContent.split(',')[0]"))
        browser.look(KEY, "ArrowRight")
    assert reached == {image.name for image in sample.images}
    browser.look(KEY, "ArrowDown")
    assert browser.look(HOVER) == "1.jpg"
    browser.look(KEY, "Enter")
    browser.wait("return viewer.open && picture.naturalWidth === 160")
    browser.look("viewer.close()")
    browser.look("document.getElementById('map').focus()")
    browser.look(KEY, " ")
    browser.wait(f"{CHOSEN} === '1'")
    browser.look("plot.x_range.setv({ start: 100, end: 110 })")
    browser.look(KEY, "ArrowRight")
    assert browser.look("return plot.x_range.start") < 50  # what the keyboard reaches is brought into view


def test_pictures_stand_for_points_where_there_is_room_and_groups_have_names(
    large: Sample, view: Callable[..., Browser]
) -> None:
    browser = view("report/map.html", large)
    pictures = "return document.querySelectorAll('#over .picture').length"
    browser.wait("return document.querySelectorAll('#over .groupname').length > 0")
    assert browser.look(pictures) == 0
    browser.look("plot.x_range.setv({ start: -1, end: 5 }); plot.y_range.setv({ start: -1, end: 5 })")
    browser.wait(f"{pictures} > 5")
    box = browser.look(
        "const p = document.querySelector('#over .picture'), b = p.getBoundingClientRect();"
        " return [b.x, b.y, p.src]"
    )
    browser.mouse("Moved", box[0] + 45, box[1] + 45)  # beside the point, on its picture
    browser.wait("return !hover.hidden && hover.querySelector('img').src === arguments[0]", box[2])


def test_a_row_of_the_legend_lights_its_points(view: Callable[..., Browser]) -> None:
    browser = view("report/map.html")
    alphas = (
        "return [...layers.values()].map((layer) => layer.glyph.fill_alpha.value ?? layer.glyph.fill_alpha)"
    )
    before = browser.look(alphas)
    browser.look("document.querySelector('[data-cluster=\"1\"]').focus()")
    lit = browser.look(alphas)
    assert lit[1] > 2 * max(lit[0], lit[2])
    browser.look("document.activeElement.blur()")
    assert browser.look(alphas) == before


@pytest.mark.parametrize(("width", "height", "screens"), [(1280, 900, 6), (390, 800, 9)])
def test_forty_clusters_of_thousands_of_images_are_seen_without_long_scrolling(
    many_clusters: Sample, view: Callable[..., Browser], width: int, height: int, screens: int
) -> None:
    browser = view("report.html", many_clusters, width=width, height=height)
    assert browser.look("return document.documentElement.scrollHeight") < screens * height
    assert browser.look("return document.documentElement.scrollWidth") <= width
    reached = set()
    for _ in range(60):
        browser.driver.switch_to.active_element.send_keys("\ue004")  # Tab
        reached.add(browser.look("return document.activeElement.id"))
    assert {f"cluster-{n}" for n in range(40)} <= reached


def test_hostile_names_run_nothing_and_their_images_open(
    tmp_path: Path, view: Callable[..., Browser]
) -> None:
    sample = Sample(tmp_path, k=2).add(HOSTILE_NAMES)
    sample.write()
    opened = 0
    for page in ("report/cluster-0.html", "report/cluster-1.html"):
        browser = view(page, sample)  # an alert would raise at the next command
        tiles = browser.driver.find_elements("css selector", "a.tile")
        for tile in tiles:
            browser.look("show(arguments[0])", tile)
            browser.wait("return picture.src === arguments[0].href && picture.naturalWidth === 160", tile)
            assert browser.look("return viewer.querySelector('.unshown').hidden")
            opened += 1
    assert opened == len(HOSTILE_NAMES)
    browser = view("report/map.html", sample)
    browser.look(
        "for (const layer of layers.values()) layer.data_source.selected.indices = [0, 1, 2, 3, 4, 5]"
    )
    browser.wait(f"{CHOSEN} === '12'")
    names = browser.look(
        "return [...document.querySelectorAll('#chosen .name')].map((name) => name.textContent)"
    )
    assert "<img src=x onerror=alert(1)>.jpg" in names
    assert browser.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_text_is_readable(view: Callable[..., Browser], page: str, scheme: str) -> None:
    browser = view(page, scheme=scheme)
    assert browser.faint() == []
    background = browser.look("return getComputedStyle(document.body).backgroundColor")
    assert (int(background.split("(")[1].split(",")[0]) < 64) == (scheme == "dark")


@pytest.mark.parametrize("page", PAGES)
def test_a_phone_scrolls_in_one_direction_only(view: Callable[..., Browser], page: str) -> None:
    browser = view(page, width=360, height=740)
    assert browser.look("return document.documentElement.scrollWidth <= 360")


@pytest.fixture(scope="session")
def long_names(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    sample = Sample(tmp_path_factory.mktemp("names")).add([f"{i}.jpg" for i in range(12)])
    names = ("a rather long name that somebody gave to houses and streets", "x" * 60, "")
    clusters = tuple(NamedCluster(number, name, 4) for number, name in enumerate(names))
    sample.write(sample.summary(clusters=clusters, silhouettes=(-0.001, 0.5, 0.5)))
    return sample


@pytest.mark.parametrize("page", PAGES)
def test_long_names_of_clusters_fit_a_phone(
    long_names: Sample, view: Callable[..., Browser], page: str
) -> None:
    browser = view(page, long_names, width=360, height=740)
    assert browser.look("return document.documentElement.scrollWidth <= 360")
    assert browser.look(
        "return [...document.querySelectorAll('.wide')].every((e) => e.scrollWidth <= e.clientWidth)"
    )
    assert "\u22120.00" not in browser.look("return document.body.textContent")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_ten_thousand_images_takes_little_work(
    large: Sample, view: Callable[..., Browser], page: str
) -> None:
    """A second and a half of the processor, which others cannot lengthen; the map takes half of one."""
    browser = view(page, large)
    browser.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.driver.refresh()
    browser.settle()
    told = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    browser.driver.execute_cdp_cmd("Performance.disable", {})
    work = {each["name"]: each["value"] for each in told}["TaskDuration"]
    assert 0 < work < 1.5
