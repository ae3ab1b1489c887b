"""The guide is true: after each of its steps the files pass `check` without a warning, and every example holds."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from rumbo.local import run_examples
from rumbo.topology import Loaded, language
from rumbo.topology.problem import Notes
from rumbo.topology.yaml import plain, read_yaml

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
SCHEMAS = {
    name.removesuffix(".schema.json"): jsonschema_rs.Draft202012Validator(msgspec.json.decode(body))
    for name, body in language.documents().items()
}


def sections(text: str) -> dict[str, str]:
    """The top-level keys of a file, each with its text."""
    parts = re.split(r"^(?=[a-z_]+:)", text, flags=re.MULTILINE)
    return {part.split(":", 1)[0]: part for part in parts if re.match(r"[a-z_]+:", part)}


def steps() -> list[tuple[str, dict[str, str]]]:
    """The files as they are after each step that has examples; a section of a block takes the place of the one before."""
    files: dict[str, dict[str, str]] = {}
    made = []
    for step in re.split(r"^## ", GUIDE, flags=re.MULTILINE)[1:]:
        for block in re.findall(r"```yaml\n(.*?)```", step, re.DOTALL):
            name = block.splitlines()[0].removeprefix("# ")
            files.setdefault(name, {}).update(sections(block))
            if name == "examples.yaml":
                made.append((step.splitlines()[0], {file: "".join(parts.values()) for file, parts in files.items()}))
        made.append((f"{step.splitlines()[0]} (end)", {file: "".join(parts.values()) for file, parts in files.items()}))
    return made


def test_every_block_says_its_file():
    assert len(BLOCKS) > 10
    assert {block.splitlines()[0] for block in BLOCKS} == {"# topology.yaml", "# journey.yaml", "# examples.yaml"}


@pytest.mark.parametrize(("step", "files"), steps(), ids=[step for step, _ in steps()])
def test_every_step_is_checked_and_its_examples_hold(step, files, tmp_path):
    """By `check`, by the schemas that editors use, and by the examples."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        node = read_yaml(text, Notes(name))
        assert node is not None
        assert [each.message for each in SCHEMAS[Path(name).stem].iter_errors(plain(node))] == []
    found = Loaded(tmp_path)
    assert found.problems == []
    assert found.topology is not None
    assert found.examples
    for outcome in run_examples(found.topology, found.examples):
        assert outcome.passed, (outcome.example.name, outcome.missing, outcome.extra)
