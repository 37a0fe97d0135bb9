"""A headless Chromium, or a skip with a reason."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
PATIENCE_S = 20


class Browser:
    """One browser window: opens files, looks with scripts, moves the mouse, remembers what was asked for."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.requests: list[str] = []

    def open(self, path: str) -> None:
        self.driver.get(Path(path).as_uri())
        if path.endswith("map.html"):
            self.wait("return document.documentElement.dataset.ready")

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


@pytest.fixture
def open_browser(driver: Any) -> Callable[..., Browser]:
    """Return a function that gives the browser a width and a colour scheme."""

    def prepare(width: int = 1280, height: int = 900, scheme: str = "light") -> Browser:
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        driver.get("about:blank")
        browser = Browser(driver)
        browser.complaints()
        browser.asked_for()
        return browser

    return prepare
