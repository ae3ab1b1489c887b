"""A headless Chromium at a page, and a worker's page to look at: what the browser asked for, what it complained of, what is wrong for axe."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.packages import AXE, npm_file

WAIT_SECONDS = 20
WIDE, PHONE = (1280, 900), (360, 740)


class Browser:
    """One tab. Every test begins on a fresh one (`blank`)."""

    def __init__(self, chromium: str, chromedriver: str, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for each in (
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
            "--disable-background-networking", "--no-first-run", f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP rumbo.example 127.0.0.1",
        ):  # fmt: skip
            options.add_argument(each)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(chromedriver))

    def end(self):
        self.driver.quit()

    def blank(self, size=WIDE, *, dark=False, still=False):
        """An empty page of this size, with nothing remembered."""
        self.driver.get("about:blank")
        self.sized(size)
        self.prefers(dark=dark, still=still)
        self.complaints()
        self.asked()

    def sized(self, size):
        width, height = size
        self._cdp(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def prefers(self, *, dark=False, still=False):
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "",
        }
        said = [{"name": name, "value": value} for name, value in features.items()]
        self._cdp("Emulation.setEmulatedMedia", features=said)

    def go(self, url):
        self.driver.get(url)

    def until(self, what, seconds=WAIT_SECONDS):
        """Wait until `what()` is true; its value. What the page says is in the failure."""
        until = monotonic() + seconds
        while monotonic() < until:
            with suppress(NoSuchElementException, StaleElementReferenceException):
                if found := what():
                    return found
            sleep(0.1)  # of the poll
        raise AssertionError(f"after {seconds} s the page says: {self.text()}")

    def text(self):
        return self.js("return document.body.innerText")

    def says(self, *words):
        return self.until(lambda: all(word in self.text() for word in words))

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def focused(self):
        return self.driver.switch_to.active_element

    def complaints(self):
        """What stands in the console since it was last looked at."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def asked(self):
        """Every URL asked for since it was last looked at."""
        events = [json.loads(each["message"])["message"] for each in self.driver.get_log("performance")]
        return [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]

    def axe(self):
        """What axe-core finds serious or critical."""
        self.js(npm_file(AXE, "axe.min.js").decode())
        found = self.driver.execute_async_script("axe.run(document).then(arguments[0])")
        return [
            (each["id"], [(node["target"], node["failureSummary"]) for node in each["nodes"]])
            for each in found["violations"]
            if each["impact"] in {"serious", "critical"}
        ]

    def picture(self, path: Path, *, whole=True):
        """The page as a PNG: all of it, or what is seen without scrolling."""
        size = self._cdp("Page.getLayoutMetrics")["cssContentSize" if whole else "cssLayoutViewport"]
        width, height = (size["width"], size["height"]) if whole else (size["clientWidth"], size["clientHeight"])
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 3000), "scale": 1}
        taken = self._cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _cdp(self, command, **given):
        return self.driver.execute_cdp_cmd(command, given)


class Served:
    """A worker's API and page on a thread of its own, so that a test may look on while things happen."""

    def __init__(self, worker, **given) -> None:
        self.worker, self._given = worker, given
        self._up, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        async with self.worker.served(**self._given):
            self._up.set()
            await self._over.wait()

    def __enter__(self):
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(15)

    @property
    def url(self):
        return self.worker.url

    def do(self, what):
        """Run a coroutine where the worker runs."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)
