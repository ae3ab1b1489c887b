"""What long runs leave behind: rows by commit in a file that is appended to, so that a run can be broken off and goes on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def commit() -> str:
    """The last commit that changed the product, so that a run goes on over commits of its own rows; work not committed is said."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        name = git("log", "-1", "--format=%h", "--", "src")
        return name + ("-dirty" if git("status", "--porcelain", "--", "src") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # not a checkout


def is_lasting(name: str) -> bool:
    """Whether rows under this name can be found again: what is not committed changes under its name."""
    return name != "unknown" and not name.endswith("-dirty")


def rows(path: Path) -> list[dict[str, Any]]:
    """What earlier runs found."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, row: dict[str, Any]) -> None:
    """One more row, whole or not at all."""
    with path.open("a") as out:
        out.write(json.dumps(row) + "\n")


def between(path: Path, mark: str, text: str) -> None:
    """Put *text* between the two comments `<!-- mark -->` and `<!-- /mark -->` of a document."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, _, rest = path.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    path.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}")
