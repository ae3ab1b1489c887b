"""`python -m tests.page FOLDER`: pictures of the page while the year of the demonstration plays, for the documents and to be looked at."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.page.browser import PHONE, Browser

WIDE = (1280, 1060)
SECONDS = 40


def main(folder: Path) -> None:
    """Play, wait until the year is half over, take the pictures."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "chromium is not installed"
    assert driver, "chromedriver is not installed"
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(chromium, driver, Path(profile))
        command = [sys.executable, "-m", "rumbo.cli", "demo", "--seconds", str(SECONDS), "--stay"]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            line = next(each for each in child.stderr or () if "http://" in each)
            found = re.search(r"http://\S+", line)
            assert found
            pictures(browser, found[0], folder)
        finally:
            child.terminate()
            child.wait(30)
            browser.end()


def pictures(browser: Browser, url: str, folder: Path) -> None:
    """Each view, light and dark, on a desk and on a phone."""
    browser.go(url)
    browser.until(lambda: "2017-09" < browser.one("#clock").text < "2019" and browser.all(".log li.action a"), 90)
    who = browser.one(".log li.action a").text
    for name, view, size, dark in (
        ("map", "#/map", WIDE, False),
        ("map-dark", "#/map", WIDE, True),
        ("customer", f"#/customer/{who}", WIDE, True),
        ("customer-phone", f"#/customer/{who}", PHONE, False),
        ("map-phone", "#/map", PHONE, False),
        ("definition", "#/definition", WIDE, False),
        ("definition-phone", "#/definition", PHONE, True),
    ):
        browser.blank(size, dark=dark)
        browser.go(url + view)
        browser.until(lambda: browser.all(".funnel tbody tr, .timeline li, .flows .ribbon"))
        time.sleep(6)  # two rounds of figures
        if "customer" in name:
            browser.js(
                "const all = [...document.querySelectorAll('.timeline details')]; if (all[0]) all[0].open = true"
            )
        browser.picture(folder / f"page-{name}.png", whole="phone" in name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
