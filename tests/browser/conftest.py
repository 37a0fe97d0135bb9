"""A headless Chromium, or a skip with a reason."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from report_sample import LABELLED, Sample

from imgcluster.errors import FailureCode
from imgcluster.records import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
PATIENCE_S = 20

# Text whose colour is too near to what lies behind it: WCAG's 4.5 to 1.
FAINT = """
  const linear = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const e = n.parentElement;
    if (!n.data.trim() || !e.checkVisibility() || ["SCRIPT", "NOSCRIPT"].includes(e.tagName)) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${n.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return faint;
"""


class Browser:
    """One browser window: opens files, looks with scripts, moves the mouse, remembers what was asked for."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.requests: list[str] = []

    def open(self, path: str) -> None:
        path, _, fragment = path.partition("#")
        self.driver.get(Path(path).as_uri() + f"#{fragment}" * bool(fragment))
        self.settle()

    def settle(self) -> None:
        """Wait until scripts have made what they make."""
        url = self.driver.current_url
        if "map.html" in url:
            self.wait("return document.documentElement.dataset.ready")
        elif "images.html" in url:
            self.wait("return document.getElementById('count').textContent")

    def look(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: object) -> Any:
        """Run `script` until it gives something true, and return that."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if found := self.look(script, *arguments):
                return found
            time.sleep(0.05)
        pytest.fail(f"not true within {PATIENCE_S} s: {script}")

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def mouse(self, kind: str, x: float, y: float, *, pressed: bool = False) -> None:
        button = (
            {"button": "left", "buttons": int(pressed), "clickCount": 1} if pressed or kind != "Moved" else {}
        )
        self.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent", {"type": f"mouse{kind}", "x": x, "y": y, **button}
        )

    def drag(self, *corners: tuple[float, float]) -> None:
        self.mouse("Moved", *corners[0])
        self.mouse("Pressed", *corners[0], pressed=True)
        for corner in corners[1:]:
            self.mouse("Moved", *corner, pressed=True)
        self.mouse("Released", *corners[-1])

    def faint(self) -> list[str]:
        """Return text that is hard to read."""
        return list(self.look(FAINT))

    def press(self, *keys: str) -> None:
        """Press keys where the focus is; a key with others before it is pressed while they are held."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def complaints(self) -> list[str]:
        """Return the console's errors and warnings, but for those of the software renderer about itself."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] != "INFO" and "GL Driver Message" not in entry["message"]
        ]

    def asked_for(self) -> list[str]:
        """Return the URL of every request since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in SWITCHES:
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=chromedriver)
    chrome = webdriver.Chrome(options=options, service=service)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Thirty images, labels that differ for some, a failure; its report is written."""
    sample = Sample(tmp_path_factory.mktemp("report")).add([f"{i}.jpg" for i in range(30)])
    sample.images = [replace(image, true_class="cat", wrong=image.cluster > 0) for image in sample.images]
    sample.write(
        sample.summary(
            settings=(("Network", "inception_v3"),),
            failures=(Failure("/photos/broken.jpg", "not an image", FailureCode.NOT_AN_IMAGE),),
            labelled=LABELLED,
        )
    )
    return sample


@pytest.fixture
def view(driver: Any, sample: Sample) -> Callable[..., Browser]:
    """Return a function that opens a page of a report, of `sample` where no other is named."""

    def prepare(
        page: str, of: Sample = sample, *, width: int = 1280, height: int = 900, scheme: str = "light"
    ) -> Browser:
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        driver.execute_cdp_cmd(
            "Storage.clearDataForOrigin", {"origin": "file://", "storageTypes": "local_storage"}
        )
        driver.get("about:blank")
        browser = Browser(driver)
        browser.complaints()
        browser.asked_for()
        browser.open(os.path.join(of.out, page))
        return browser

    return prepare
