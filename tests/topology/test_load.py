"""Definitions: every problem at once, each with its line and cure; hostile files are refused before they cost anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rumbo.core import definition as d
from rumbo.core.instant import DAY
from rumbo.errors import DefinitionError
from rumbo.topology import Loaded, load
from tests.topology.hostile import HOSTILE

TOPOLOGY = "topology: test\nsources: [{topic: web}]\njourneys: [journey.yaml]\n"
SHIPPED = sorted(path.parent for path in Path("topologies").glob("*/topology.yaml"))


def loaded(tmp_path, journey: str, topology: str = TOPOLOGY) -> Loaded:
    (tmp_path / "topology.yaml").write_text(topology)
    (tmp_path / "journey.yaml").write_text(journey)
    return Loaded(tmp_path)


def journey_of(tmp_path, body: str) -> d.Journey:
    found = loaded(tmp_path, f'journey: j\nversion: "1.0"\n{body}')
    assert found.errors == []
    assert found.topology is not None
    return found.topology.journeys[0]


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_what_ships_has_no_problem(folder):
    assert Loaded(folder).problems == []


@pytest.fixture(scope="session")
def cost():
    """What each hostile file cost a process of its own (`hostile.py`): CPU seconds, MiB beyond what was there, what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.topology.hostile"], capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once(cost, name):
    """Within a second and 100 MiB, with a place and a cure."""
    found = cost[name]
    assert re.match(r".*/(journey|topology)\.yaml:\d+: .+; .+", found["said"])
    assert found["seconds"] < 1
    assert found["mib"] < 100


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("journey: j\nversion: @1\n", ":2: not YAML: found character that cannot start any token, found `@1`; "),
        ("journey: j\nscores: {a: 1, b: {]\n", ":2: not YAML: did not find expected node content, found `]`; "),
        ("# \x85\u2028journey: j\n  version: 1\n", ":4: not YAML: mapping values are not allowed in this context, found `: 1`; "),
        ("journey: [j", ":1: not YAML: did not find expected ',' or ']', found the end; "),
        ("a: 1\nb: {\nc: 2\n", ":3: not YAML: did not find expected ',' or '}', found the end (while parsing a flow mapping from line 2 on); "),
        ("journey: \x01", ":1: not YAML: unacceptable character #x0001: control characters are not allowed; "),
    ],
)  # fmt: skip
def test_what_is_not_yaml_is_told_with_where_and_what_stands_there(tmp_path, text, said):
    """The line as an editor counts it, and the text there."""
    first = loaded(tmp_path, text).errors[0]
    assert said in str(first)


def test_text_that_yaml_1_1_would_change_stays(tmp_path):
    """`NO` is a country, `20:00` a time, `on` a word."""
    journey = journey_of(
        tmp_path,
        "triggers: [{id: t, event: NO, action: {kind: m, at: 20:00, flag: on, purpose: p, expires_after: 1d}}]",
    )
    assert journey.triggers[0].action.params == {"at": "20:00", "flag": "on"}
    assert journey.triggers[0].on == d.OnEvent(d.EventTest(("no",), None, "NO"))


def test_conditions_become_the_few_that_the_core_knows(tmp_path):
    """Each short form, desugared."""
    journey = journey_of(
        tmp_path,
        """
define: {seen: {event: [A, B], where: "event.properties.x > 1", at_least: 2, within: 7d}}
scores: {s: {points: [{event: A, points: 1}], bands: [{low: {enter: 2}}]}}
stages:
  - one
  - two: {when: {all: [seen, {not: {stage: one}}, {any: [{score: s, at_least: low}, {score: s, at_least: 5}]}]}}
  - three: {when: {idle: A, for: 30d}, back_to: {stage: one, when: {reached: two}, cooldown: 0s}}
""",
    )
    events = d.EventTest(("a", "b"), "event.properties.x > 1", "A or B")
    assert journey.stages[1].when == d.All(
        (d.Happened(events, 2, 7 * DAY), d.Not(d.InStage(("one",))), d.AnyOf((d.InBand("s", "low"), d.Level("s", 5.0))))
    )
    assert journey.stages[2].when == d.Idle(d.EventTest(("a",), None, "A"), 30 * DAY)
    assert journey.stages[2].back == (d.Back("one", d.Reached("two"), 0),)


def test_segments_stand_after_those_that_they_name(tmp_path):
    """However they are written; and a circle is refused."""
    body = "segments:\n  b: {all: [{segment: a}, {event: X}]}\n  a: {event: X, within: 7d}\n"
    assert [each.name for each in journey_of(tmp_path, body).segments] == ["a", "b"]
    circle = 'journey: j\nversion: "1.0"\nsegments: {a: {not: {segment: b}}, b: {segment: a}}\n'
    assert any("in a circle" in str(each) for each in loaded(tmp_path, circle).errors)
    unknown = 'journey: j\nversion: "1.0"\nsegments: {active: {event: X}, b: {segment: activ}}\n'
    assert any("did you mean 'active'" in str(each) for each in loaded(tmp_path, unknown).errors)


def test_authority_ways_down_and_figures_of_the_cohort(tmp_path):
    """Each form of the stages, desugared."""
    journey = journey_of(
        tmp_path,
        """
stages:
  - one: {stuck_after: p90, content: {hero: welcome, offers: [a, b]}}
  - two: {when: {event: A}, until: {event: B}, min_dwell: 1h, stuck_after: {cohort: p75, otherwise: 3d}}
  - three: {when: {event: C}, min_dwell: 2h, back_to: {stage: two, when: {event: B}}}
unstable: {flips: 5, within: 1d}
authority: {set: [{event: Set, stage: event.properties.stage, expires_after: 9d}], release: [Free, Freed]}
""",
    )
    one, two, three = journey.stages
    assert (one.stuck_after, one.stuck_cohort) == (None, "p90")
    assert (one.content, two.content) == ({"hero": "welcome", "offers": ["a", "b"]}, None)
    assert (two.stuck_after, two.stuck_cohort, two.min_dwell) == (3 * DAY, "p75", DAY // 24)
    assert two.until == d.Happened(d.EventTest(("b",), None, "B"))
    assert three.back[0].min_dwell == DAY // 12
    assert journey.unstable == d.Flaps(5, DAY)
    assert journey.authority.sets == (
        d.SetStage(d.EventTest(("set",), None, "Set"), "event.properties.stage", 9 * DAY),
    )
    assert journey.authority.releases == (d.EventTest(("free", "freed"), None, "Free or Freed"),)


def test_what_is_not_known_yet_is_refused_and_never_ignored(tmp_path):
    """Constructs of the language that this version lacks are named."""
    body = 'journey: j\nversion: "1.0"\nattribution: {models: [linear]}\npolicies: {p: {send_time: best}}\n'
    said = [str(each) for each in loaded(tmp_path, body).errors]
    assert any("`attribution` is not known" in each for each in said)
    assert any("`send_time` is not known" in each for each in said)


def test_warnings_do_not_keep_it_from_running(tmp_path):
    """An action that never expires, two names that are nearly the same."""
    found = loaded(
        tmp_path,
        'journey: j\nversion: "1.0"\ntriggers:\n  - {id: a, event: Order Completed, action: {kind: m, purpose: p}}\n'
        "  - {id: b, event: Order Completd, action: {kind: m, purpose: p, expires_after: 1d}}\n",
    )
    assert found.topology is not None
    assert [each.severity for each in found.problems] == ["warning", "warning"]


def test_a_folder_that_is_not_there_is_an_authors_mistake(tmp_path):
    with pytest.raises(DefinitionError, match="there is no such file"):
        load(tmp_path / "nowhere")


def test_a_file_in_place_of_the_folder_is_told_once(tmp_path):
    (tmp_path / "topology.yaml").write_text("topology: t")
    found = Loaded(tmp_path / "topology.yaml")
    assert [each.message for each in found.problems] == ["this is a file"]


def test_examples_name_only_what_is_defined(tmp_path):
    """A promise about a trigger that does not exist is a mistake."""
    (tmp_path / "examples.yaml").write_text("examples: [{name: x, given: [], then: [{action: nope}]}]")
    found = loaded(
        tmp_path,
        'journey: j\nversion: "1.0"\ntriggers: [{id: note, event: A, action: {kind: m, purpose: p, expires_after: 1d}}]',
    )
    assert "action 'nope' is not defined; did you mean 'note'?" in str(found.errors[0])
