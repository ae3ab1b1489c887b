"""The page while a year of real households plays: a real worker on the embedded broker, as `make demo` starts them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.page.browser import PHONE

pytestmark = pytest.mark.xdist_group("page")  # one browser
HOUSEHOLDS = 150


@contextmanager
def demo(folder, *options):
    """The command, and where its page is; ended as Ctrl-C ends it."""
    said = folder / "said"
    with said.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-m", "rumbo.cli", "demo", *options], stdout=out, stderr=out)
    try:
        yield child, lambda: re.findall(r"http://127\.0\.0\.1:\d+/", said.read_text()), said.read_text
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0, said.read_text()
    finally:
        child.kill()
        child.wait()


def figure(browser, css):
    return int(re.sub(r"\D", "", browser.one(css).text) or 0)


def _seen(browser):
    """The clock and the last action, once there is a clock."""
    clock, last = browser.one("#clock").text, browser.one(".log li").get_attribute("data-id")
    return (clock, last) if clock.startswith(("2017-", "2018-")) else None


@pytest.mark.refused
def test_a_year_in_motion(chromium, browser, tmp_path):
    """Counts grow, the clock goes on, actions come by themselves; at the end nothing lags and everybody is somewhere once."""
    with demo(tmp_path, "--households", str(HOUSEHOLDS), "--seconds", "8", "--stay") as (child, urls, said):
        browser.until(lambda: urls() or child.poll() is not None, 60)
        browser.go(urls()[0])
        browser.until(lambda: browser.all(".log li") and browser.all(".flows .ribbon.return"), 40)
        clock, last = browser.until(lambda: _seen(browser))
        browser.until(lambda: figure(browser, "#throughput") > 0)
        browser.until(lambda: browser.one("#clock").text > clock)
        browser.until(lambda: browser.one(".log li").get_attribute("data-id") != last)
        browser.until(lambda: browser.one("#clock").text == "2018-01-02 00:00" and figure(browser, "#lag") == 0, 60)
        browser.until(lambda: "stays at" in said(), 30)
        browser.says(f"{HOUSEHOLDS} customers")
        end = re.search(r"year's end: (.*)", said())[1]
        told = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", end)}
        script = "return Object.fromEntries([...document.querySelectorAll('.funnel tbody tr')].map(r => [r.querySelector('.stage').textContent, Number(r.children[1].innerText)]))"
        browser.until(lambda: {**browser.js(script), "prospect": 0} == {"prospect": 0, **told})
        assert sum(browser.js(script).values()) == HOUSEHOLDS
        browser.until(lambda: browser.one(".log a").click() or True)  # what is just being written again is stale
        browser.says("Timeline", "Order Completed")
        browser.sized(PHONE)
        assert browser.js("return document.documentElement.scrollWidth") <= PHONE[0]
    assert "every one of them exactly once" in said()


def test_the_demo_ends_by_itself(tmp_path):
    """Nobody has to stop it who did not ask it to stay."""
    done = subprocess.run(
        [sys.executable, "-m", "rumbo.cli", "demo", "--households", "5", "--seconds", "0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"http://127\.0\.0\.1:\d+/", done.stderr)
    assert "every one of them exactly once" in done.stdout
