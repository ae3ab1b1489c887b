"""What the documents say is true: commands exist, blocks are what ships, files that they name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rumbo.cli import COMMANDS
from rumbo.output import OutputTopics
from rumbo.topology.load import _KEYS, _SOURCE
from rumbo.topology.triggers import _TRIGGER

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_commands(page):
    """Every relative link leads somewhere, and every `rumbo …` is a command."""
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    for command in re.findall(r"rumbo ([a-z-]+)\b", "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))):
        assert command in COMMANDS


def test_the_readmes_examples_are_what_ships():
    """Blocks of YAML are parts of the saas topology."""
    shipped = "".join((ROOT / "topologies/saas" / name).read_text() for name in ("journey.yaml", "examples.yaml"))
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert block.removeprefix("triggers:\n") in shipped


def test_the_language_page_names_every_key():
    """A key that is not on the page does not exist for its readers."""
    text = (ROOT / "docs/language.md").read_text()
    for key in (*_KEYS, *_SOURCE, *_TRIGGER):
        if key != "keys":
            assert f"`{key}" in text or f"{key}:" in text or f" {key}" in text, key


def test_topics_are_named_where_they_are_documented():
    text = "".join(page.read_text() for page in PAGES)
    for topic in (
        OutputTopics().transitions,
        OutputTopics().scores,
        OutputTopics().actions,
        OutputTopics().suppressed,
        OutputTopics().progress,
    ):
        assert topic in text
