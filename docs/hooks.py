"""Hooks of the documentation site: the order of its pages, and links that lead out of docs/ into the repository.

A page that is written later is found by itself. A file of the repository that a page links to becomes a page of the site, or a file of
it; a folder that is linked to stays text. A link to nothing is left as it is, and fails the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
ELSEWHERE = "repository"
SECTIONS: dict[str, list[str]] = {
    "Start": ["index.md", "concepts.md", "guide.md"],
    "Journeys": ["language.md", "reference.md", "expressions.md", "formats.md"],
    "Operating": ["operating.md", "metrics.md", "runbook.md"],
    "Trust": ["reliability.md", "benchmark.md", f"{ELSEWHERE}/SECURITY.md"],
}
LAST = f"{ELSEWHERE}/CHANGELOG.md"
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Known pages in their order, others after them."""
    found = {path.name for path in (ROOT / "docs").glob("*.md")}
    named = {name for names in SECTIONS.values() for name in names}
    sections = {title: [name for name in names if "/" in name or name in found] for title, names in SECTIONS.items()}
    more = sorted(found - named)
    config.nav = [*({title: names} for title, names in sections.items()), *([{"More": more}] if more else []), {"Changelog": LAST}]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add what pages link to, and what those link to."""
    waiting = ["SECURITY.md", "CHANGELOG.md", *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen: set[str] = set()
    while waiting:
        place = waiting.pop()
        if place in seen or not (ROOT / place).is_file():
            continue
        seen.add(place)
        if not place.startswith("docs/"):
            files.append(File.generated(config, f"{ELSEWHERE}/{place}", abs_src_path=str(ROOT / place)))
        if place.endswith(".md"):
            waiting += [target for _, target, _ in links((ROOT / place).read_text(encoding="utf-8"), place)]
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as the site has them."""
    here = page.file.src_uri
    place = here.removeprefix(f"{ELSEWHERE}/") if here.startswith(f"{ELSEWHERE}/") else f"docs/{here}"

    def moved(found: re.Match[str]) -> str:
        text, target, anchor = found[1], joined(place, found[2]), found[3] or ""
        if (ROOT / target).is_dir():
            return text
        if not (ROOT / target).is_file():
            return found[0]
        site = target.removeprefix("docs/") if target.startswith("docs/") else f"{ELSEWHERE}/{target}"
        return f"[{text}]({posixpath.relpath(site, posixpath.dirname(here) or '.')}{anchor})"

    return _LINK.sub(moved, markdown)


def links(markdown: str, place: str) -> list[tuple[str, str, str]]:
    """Text, file of the repository, anchor of each relative link."""
    return [(found[1], joined(place, found[2]), found[3] or "") for found in _LINK.finditer(markdown)]


def joined(place: str, target: str) -> str:
    """A link's target as a path from the top of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
