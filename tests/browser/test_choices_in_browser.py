"""What is chosen and put right on the pages of a report, saved from there, and honoured by `cluster`."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

import pytest
from clusterings import desk_with_photos
from in_process import imgcluster
from report_sample import Sample

from imgcluster.workflows.edits import Edit, read_edits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Browser

pytestmark = pytest.mark.slow

CLUSTER, MAP = "report/cluster-0.html", "report/map.html"
COUNT = "return document.getElementById('choices-count').textContent"
MADE = "return document.getElementById('choices-made').textContent"
COMMAND = "return document.querySelector('#choices-next code').textContent"
SAID = "return [...document.querySelectorAll('.said')].map((said) => said.textContent)"
TAB, ENTER, CONTROL = "\ue004", "\ue007", "\ue009"


def tick(browser: Browser, *names: str) -> None:
    for name in names:
        browser.click(f"[aria-label='Choose {name}']")


def put(browser: Browser, name: str) -> None:
    browser.look("nameField.value = arguments[0]; choices.requestSubmit()", name)
    browser.wait("return !state.chosen.size")


def go(browser: Browser, page: str) -> None:
    browser.look("document.querySelector(`.bar a[href$='${arguments[0]}']`).click()", page)
    there = "return location.pathname.endsWith(arguments[0]) && document.readyState === 'complete'"
    browser.wait(there, page)
    browser.settle()


@pytest.fixture
def without_storage(driver: object) -> Iterator[None]:
    """Pages get no storage, as some browsers have it for pages from disk."""
    source = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('refused'); } })"
    made = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})  # type: ignore[attr-defined]
    yield
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)  # type: ignore[attr-defined]


def test_what_is_put_right_on_the_pages_is_so_in_the_next_clustering(
    tmp_path: Path, view: Callable[..., Browser]
) -> None:
    """Issue 17, point 5: ticks, a lasso, a whole cluster; saved, and run as the page says."""
    desk = desk_with_photos(tmp_path)
    desk.extract()
    made = imgcluster("cluster", "--k", "3", "--report", cwd=tmp_path)
    assert made.exit_code == 0, made.output
    before = {file.name: file.parent.name for file in desk.out.glob("[0-9]/*.png")}
    of = Sample(tmp_path)
    assert of.out == str(desk.out)
    browser = view(f"report/cluster-{before['red0.png']}.html", of)
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path / "saved")}
    )
    tick(browser, "red0.png", "red3.png")
    put(browser, "evening, red")
    go(browser, f"cluster-{before['green0.png']}.html")
    browser.click("[data-choose]")
    browser.wait(f"{COUNT} === '5 chosen'")
    put(browser, "=greens")
    go(browser, "map.html")
    browser.click("[data-tool=LassoSelectTool]")
    for name in ("red", "green"):
        browser.click(f"[data-cluster='{before[name + '0.png']}']")
    browser.look("place.scrollIntoView({ block: 'center' })")
    box = browser.look("const b = place.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]")
    left, top, right, bottom = box[0] + 12, box[1] + 12, box[2] - 12, box[3] - 12
    browser.drag((left, top), (right, top), (right, bottom), (left, bottom))
    browser.wait(f"{COUNT} === '5 chosen'")
    tick(browser, *(f"blue{number}.png" for number in range(1, 5)))
    assert browser.look(COUNT) == "1 chosen"
    put(browser, "evening, red")
    assert browser.look(MADE) == f"3 images put right, cluster {before['green0.png']} is =greens"
    browser.click("[data-act=save]")
    command = browser.wait(COMMAND)
    saved = tmp_path / "saved" / "edits.csv"
    for _ in range(200):
        if saved.exists():
            break
        time.sleep(0.05)
    assert shlex.split(command)[-3:] == ["4", "--edits", "edits.csv"]
    done = imgcluster(*shlex.split(command)[1:], cwd=saved.parent)
    assert done.exit_code == 0, done.output
    folder = {file.name: file.parent.name.partition(" ")[2] for file in desk.out.glob("[0-9]*/*.png")}
    assert {name for name, cluster in folder.items() if cluster == "evening, red"} >= {
        "red0.png", "red3.png", "blue0.png",
    }  # fmt: skip
    assert {cluster for name, cluster in folder.items() if "green" in name} == {"=greens"}
    assert browser.complaints() == []


@pytest.mark.parametrize("storage", [True, False])
def test_choices_go_along_from_page_to_page_and_can_be_undone(
    request: pytest.FixtureRequest, view: Callable[..., Browser], *, storage: bool
) -> None:
    if not storage:
        request.getfixturevalue("without_storage")
    browser = view("report.html")
    assert not browser.look("return choices.checkVisibility()")
    browser.click("#cluster-0")
    tick(browser, "0.jpg", "3.jpg")
    put(browser, "cats")
    tick(browser, "6.jpg")
    go(browser, "images.html")
    assert browser.look(SAID) == ["→ cats", "→ cats"]
    assert browser.look(COUNT) == "1 chosen"
    browser.click("[data-act=not]")
    go(browser, "map.html")
    assert browser.look(MADE) == "3 images put right"
    for count in (2, 2, 0, 0, 0):
        browser.click("[data-act=undo]")
        assert browser.look("return state.put.size") == count
    assert not browser.look("return state.chosen.size")
    go(browser, "cluster-0.html")
    for _ in range(3):
        browser.click("[data-act=redo]")
    assert browser.look(SAID) == ["→ cats", "→ cats"]
    if storage:
        browser.driver.refresh()
        assert browser.look(SAID) == ["→ cats", "→ cats"]
    assert browser.complaints() == []


def test_the_keyboard_alone_chooses_names_and_undoes(view: Callable[..., Browser]) -> None:
    browser = view(CLUSTER)
    browser.look("document.querySelector('a.tile').focus()")
    browser.press(TAB)
    browser.press(" ")
    assert browser.look(COUNT) == "1 chosen"
    browser.press(CONTROL, "z")
    assert browser.look("return state.chosen.size") == 0
    browser.press(CONTROL, "y")
    for _ in range(80):
        if browser.look("return document.activeElement === nameField"):
            break
        browser.press(TAB)
    browser.press("a/b", ENTER)
    assert browser.look("return document.getElementById('said').textContent") == "A name goes without /."
    browser.press(CONTROL, "a")
    browser.press("cats", ENTER)
    browser.wait(f"{MADE} === '1 image put right'")
    browser.look("document.querySelector('a.tile').click()")
    browser.click("[data-do=choose]")
    browser.click("[data-do=close]")
    assert browser.look(COUNT) == "1 chosen"


def test_the_file_says_what_was_meant(tmp_path: Path, sample: Sample, view: Callable[..., Browser]) -> None:
    browser = view(CLUSTER)
    said = ((("0.jpg", "3.jpg"), '=1+"1", or so'), (("6.jpg",), "1"), (("12.jpg",), "unsorted"))
    for names, cluster in said:
        tick(browser, *names)
        put(browser, cluster)
    tick(browser, "9.jpg")
    browser.click("[data-act=not]")
    browser.click("[data-act=save]")
    assert browser.wait(COMMAND) == "imgcluster cluster --k 4 --edits edits.csv"
    file = tmp_path / "edits.csv"
    file.write_text(browser.look("return editsText()"), encoding="utf-8")
    key = [bytes.fromhex(image.key) for image in sample.images]
    assert set(read_edits(str(file), lambda _: None).images) == {
        Edit(key[0], '=1+"1", or so'), Edit(key[3], '=1+"1", or so'), Edit(key[6], "1"),
        Edit(key[9], "0", barred=True), Edit(key[12], "unsorted"),
    }  # fmt: skip


@pytest.mark.parametrize("cluster", ["2", "unsorted"])
def test_a_cluster_that_is_put_into_another_is_one_cluster_less(
    view: Callable[..., Browser], cluster: str
) -> None:
    browser = view(CLUSTER)
    browser.click("[data-choose]")
    browser.wait(f"{COUNT} === '10 chosen'")
    put(browser, cluster)
    browser.click("[data-act=save]")
    assert browser.wait(COMMAND).endswith("--k 2 --edits edits.csv")


def test_edits_that_leave_no_image_in_a_cluster_are_not_saved(view: Callable[..., Browser]) -> None:
    browser = view(CLUSTER)
    browser.look("return imageColumns().then(() => toggle([...new Set(columns.image)]))")
    put(browser, "unsorted")
    browser.click("[data-act=save]")
    browser.wait("return document.getElementById('said').textContent.startsWith('No image would be left')")
    assert browser.look("return document.getElementById('choices-next').hidden")
    browser.click("[data-act=undo]")
    tick(browser, "0.jpg")
    assert browser.look("return state.chosen.size")


def test_of_two_acts_on_an_image_the_later_one_counts(view: Callable[..., Browser]) -> None:
    browser = view(CLUSTER)
    tick(browser, "0.jpg")
    put(browser, "cats")
    browser.click("[data-choose]")
    browser.wait(f"{COUNT} === '10 chosen'")
    put(browser, "dogs")
    assert browser.look("return [...new Set(state.put.values())]") == ["dogs"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", [CLUSTER, MAP])
def test_choosing_fits_a_phone_and_can_be_read(view: Callable[..., Browser], page: str, scheme: str) -> None:
    browser = view(page, width=360, height=740, scheme=scheme)
    browser.look("toggle([0, 3]); act('put', [0, 3], 'a name that is not short at all'); toggle([6])")
    browser.click("[data-act=save]")
    browser.wait("return !document.getElementById('choices-next').hidden")
    assert browser.look("return document.documentElement.scrollWidth <= 360")
    assert browser.look("const b = choices.getBoundingClientRect(); return b.height < 340 && b.bottom <= 741")
    assert browser.faint() == []
