"""Mistakes planted one a line in three files: each is found alone and among all the others, with its line and a cure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from rumbo.topology import Loaded

TOPOLOGY = """topology: shop
sources:
  - {topic: web, lateness: 10m}
journeys: [journey.yaml]
zone: Europe/Madrid
dlq: {limit: 0.5}
contact: {purposes: {p: service}}
"""
JOURNEY = """journey: shop
version: "1.0"
define:
  busy: {event: Visited, at_least: 3, within: 7d}
scores:
  s:
    groups: {g: {cap: 30}}
    points:
      - {event: Visited, points: 1, group: g}
      - {event: Bought, points: "event.properties.total / 10.0"}
    bands: [{low: {enter: 10, leave: 5}}]
segments:
  keen: {event: Visited, within: 7d}
stages:
  - one
  - two: {when: {score: s, at_least: low}}
  - three: {when: {event: Bought}, back_to: {stage: one, when: {idle: Bought, for: 30d}}}
  - gone: {side: true, when: {idle: Visited, for: 60d}, until: {event: Visited}}
policies:
  nudge: {purpose: p, cooldown: 7d, expires_after: 3d, priority: 3}
triggers:
  - {id: t1, event: Bought, where: "event.properties.total >= 100", action: {kind: m}, policy: nudge}
  - {id: t2, entered: two, again: once, action: {kind: m}, policy: nudge}
  - {id: t3, when: busy, only_if: {stage: two}, action: {kind: m}, policy: nudge}
  - {id: t4, absence: {of: Bought, for: 14d, since: {stage: three}}, action: {kind: m}, policy: nudge}
  - {id: t5, score: {name: s, entered: low}, action: {kind: m}, policy: nudge}
  - {id: t6, segment: {left: keen}, action: {kind: m, image: {by: event.name, cases: {A: b}}}, policy: nudge}
  - {id: t7, sequence: {steps: [Visited, Bought], within: 1d}, mode: shadow, action: {kind: m}, policy: nudge}
  - {id: t8, threshold: {score: s, rises_to: 20}, action: {kind: m}, policy: nudge}
"""
EXAMPLES = """examples:
  - name: one buys
    given: [{event: Bought, properties: {total: 5}}]
    until: 1d
    then: [{stage: two}, {stage: three}]
"""
FILES = {"topology.yaml": TOPOLOGY, "journey.yaml": JOURNEY, "examples.yaml": EXAMPLES}
MISTAKES = [
    ("topology.yaml", "lateness: 10m", "lateness: 10 minutes", "is not a duration"),
    ("topology.yaml", "Europe/Madrid", "Madrid", "is no time zone"),
    ("topology.yaml", "limit: 0.5", "limit: 50", "is a share"),
    ("topology.yaml", "p: service", "p: servise", "one of: marketing"),
    ("journey.yaml", "journey: shop", "journey: My Shop", "is not a name"),
    ("journey.yaml", 'version: "1.0"', "version: 1.0", "`version` must be text"),
    ("journey.yaml", "busy: {event: Visited, at_least: 3", "busy: {event: Visited, at_lest: 3", "did you mean 'at_least'"),
    ("journey.yaml", "g: {cap: 30}", "g: {cap: thirty}", "must be a number"),
    ("journey.yaml", "{event: Visited, points: 1", "{points: 1", "`event` is missing"),
    ("journey.yaml", "event.properties.total / 10.0", "event.propertees.total / 10.0", "did you mean `event.properties"),
    ("journey.yaml", "leave: 5", "leave: 50", "is above `enter`"),
    ("journey.yaml", "keen: {event: Visited, within: 7d}", "keen: {event: Visited, within: 0d}", "longer than nothing"),
    ("journey.yaml", "at_least: low", "at_least: lwo", "did you mean 'low'"),
    ("journey.yaml", "back_to: {stage: one", "back_to: {stage: four", "'four' is not defined"),
    ("journey.yaml", "until: {event: Visited}", "until: {evnt: Visited}", "this is no condition"),
    ("journey.yaml", "priority: 3", "priority: 30", "from 0 to 9"),
    ("journey.yaml", "event.properties.total >= 100", "event.properties.total >=", "ends too early"),
    ("journey.yaml", "again: once", "again: sometimes", "one of: always"),
    ("journey.yaml", "when: busy", "when: bussy", "did you mean 'busy'"),
    ("journey.yaml", "since: {stage: three}", "since: {stage: tree}", "did you mean 'three'"),
    ("journey.yaml", "{name: s, entered: low}", "{name: z, entered: low}", "'z' is not defined"),
    ("journey.yaml", "cases: {A: b}", "cases: {}", "`cases` is missing"),
    ("journey.yaml", "within: 1d}, mode", "skip: none}, mode", "`within` is missing"),
    ("journey.yaml", "id: t8, threshold", "id: t8, id: t9, threshold", "`id` stands twice"),
    ("examples.yaml", "name: one buys", "nme: one buys", "did you mean 'name'"),
    ("examples.yaml", "{stage: three}", "{stage: thre}", "did you mean 'three'"),
]  # fmt: skip
TWINS = {"nme: one buys": 1}
"""A mistake that is two: an unknown key, and the needed one that is missing."""


def write(folder: Path, mistakes) -> None:
    texts = dict(FILES)
    for file, right, wrong, _ in mistakes:
        assert texts[file].count(right) == 1, right
        texts[file] = texts[file].replace(right, wrong)
    for file, text in texts.items():
        (folder / file).write_text(text)


def line_of(file: str, right: str) -> int:
    return FILES[file][: FILES[file].index(right)].count("\n") + 1


def test_without_mistakes_there_is_no_problem(tmp_path):
    write(tmp_path, [])
    assert Loaded(tmp_path).problems == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=[each[3] for each in MISTAKES])
def test_a_mistake_alone_is_one_problem(mistake, tmp_path):
    """Where it stands, with a cure; it drags no others after it."""
    file, right, wrong, words = mistake
    write(tmp_path, [mistake])
    found = Loaded(tmp_path).errors
    assert len(found) == 1 + TWINS.get(wrong, 0), found
    hit = [each for each in found if words in str(each)]
    assert [(Path(each.file).name, each.line) for each in hit] == [(file, line_of(file, right))]
    assert all(each.hint for each in found)


def test_none_hides_another(tmp_path):
    """Twenty-six at once: twenty-six problems (and their twins), each with file, line and cure."""
    write(tmp_path, MISTAKES)
    found = Loaded(tmp_path).errors
    for file, right, _, words in MISTAKES:
        here = [each for each in found if Path(each.file).name == file and each.line == line_of(file, right)]
        assert any(words in str(each) for each in here), (file, right, "\n".join(map(str, found)))
    assert len(found) == len(MISTAKES) + sum(TWINS.values()), "\n".join(map(str, found))
    assert all(each.hint for each in found), [str(each) for each in found if not each.hint]


def test_every_problem_is_written_with_a_cure():
    """A problem without the likely cure is half a problem."""
    for path in sorted(Path("src/rumbo/topology").glob("*.py")):
        for call in (each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call)):
            if (
                isinstance(call.func, ast.Attribute)
                and call.func.attr in {"error", "warn"}
                and "notes" in ast.unparse(call.func.value)
            ):
                assert len(call.args) + len(call.keywords) >= 3, f"{path}:{call.lineno}"


def test_an_id_that_stands_twice_is_found_whatever_else_is_wrong_with_both(tmp_path):
    """Where it stands the second time, with the line of the first."""
    journey = """journey: shop
version: "1.0"
scores:
  s:
    points: [{event: A, points: 1}, {event: B, points: 2},
             {event: A, points: 3}]
    bands:
      - high: {enter: 9}
      - low: {enter: 3}
triggers:
  - {id: t, when: nothing, action: {kind: m}}
  - {id: t, action: {}}
flows:
  - {id: f}
  - {id: f, enter: {event: X}, steps: [{dance: yes}]}
"""
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    (tmp_path / "journey.yaml").write_text(journey)
    found = {(each.line, each.message) for each in Loaded(tmp_path).errors}
    assert {
        (6, "scores.s: two rules are called 'A'"),
        (9, "scores.s: band 'low' is not above 'high'"),
        (12, "triggers: 't' stands twice (first on line 11)"),
        (15, "flows: 'f' stands twice (first on line 14)"),
    } <= found
