"""The documentation site is built without a warning, every link in it leads somewhere, and it fetches nothing from elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """What a page links to, what it fetches, and where it can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.fetched, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {value for name, value in attrs if name in {"id", "name"} and value}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in {"script", "img", "iframe"} and given.get("src"):
            self.fetched.append(given["src"])
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preconnect", "preload"}:
            self.fetched.append(given["href"])


def build(folder, config=ROOT / "mkdocs.yml"):
    """`make docs`, into a folder."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", folder]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, {path: Page(path) for path in folder.rglob("*.html") if path.name != "404.html"}


def test_every_page_is_in_it(site):
    """One a document, and those of the repository that documents link to."""
    folder, pages = site
    written = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in pages} >= written
    assert (folder / "repository/SECURITY.html").exists()
    assert (folder / "repository/CHANGELOG.html").exists()


def test_every_link_leads_somewhere(site):
    """To a page or a file that is there, and to an anchor that it has."""
    folder, pages = site
    checked = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_relative_to(folder), (path.name, link)
            assert target.exists(), (path.name, link)
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, (path.name, link)
            checked += 1
    assert checked > 100


def test_nothing_is_fetched_from_another_host(site):
    _, pages = site
    fetched = {each for page in pages.values() for each in page.fetched}
    assert fetched
    assert {each for each in fetched if urlsplit(each).netloc} == set()


@pytest.mark.parametrize("wrong", ["[gone](gone.md)", "[gone](operating.md#gone)", "[gone](../GONE.md)"])
def test_a_link_to_nothing_fails_the_build(tmp_path, wrong):
    """The strictness is worth something."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("mkdocs.yml", "SECURITY.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for page in (tmp_path / "docs").glob("*.md"):
        if page.name != "operating.md":
            page.write_text(f"# {page.stem}\n")
    (tmp_path / "SECURITY.md").write_text("# Security\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n")
    (tmp_path / "docs/operating.md").write_text("# Operating\n")
    assert build(tmp_path / "site", tmp_path / "mkdocs.yml").returncode == 0
    (tmp_path / "docs/operating.md").write_text(f"# Operating\n\n{wrong}\n")
    done = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode != 0
    assert "gone" in (done.stdout + done.stderr).lower()
