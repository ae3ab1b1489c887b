"""One Chromium for all tests of the page; each test begins on an empty tab, and ends with nothing in the console and no other host asked."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.page.browser import Browser
from tests.serve.worker import Worker


@pytest.fixture(scope="session")
def chromium(tool, tmp_path_factory):
    made = Browser(tool("chromium"), tool("chromedriver"), tmp_path_factory.mktemp("chromium"))
    yield made
    made.end()


@pytest.fixture
def browser(chromium, request):
    """The tab. A test that provokes refusals is marked with what the console may say of them: `refused("401")`."""
    chromium.blank()
    yield chromium
    refused = request.node.get_closest_marker("refused")
    allowed = [f"the server responded with a status of {each}" for each in refused.args] if refused else []
    allowed += ["net::ERR_"] if refused and not refused.args else []
    asked, complaints = chromium.asked(), chromium.complaints()
    assert [each for each in complaints if not any(one in each for one in allowed)] == []
    hosts = {urlsplit(each).hostname for each in asked if urlsplit(each).scheme not in {"data", "about"}}
    assert hosts <= {"127.0.0.1", "rumbo.example"}
    chromium.go("about:blank")


@pytest.fixture
def worker(tmp_path):
    made = Worker(tmp_path)
    yield made
    made.close()
