"""Definitions: every problem at once, each with its line and cure; hostile files are refused before they cost anything."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from rumbo.core import definition as d
from rumbo.core.instant import DAY
from rumbo.errors import DefinitionError
from rumbo.topology import Loaded, load

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


PLANTED = """journey: Bad Name
version: 1.0
define:
  loop: {all: [loop]}
  never_built: {event: X, at_lest: 3}
scores:
  s:
    points:
      - {event: A, points: many}
      - {event: B, points: 1, group: nowhere}
      - {points: 1}
    bands: [{low: {enter: 10, leave: 20}}]
stages:
  - one
  - two
  - three: {when: {score: s, at_least: lwo}}
  - four: {when: {event: A, within: 3 days}}
  - five: {when: {idle: A}, back_to: {stage: six, when: {event: A}}}
  - one
triggers:
  - {event: A, action: {kind: message, purpose: p, expires_after: 1d}}
  - {id: t1, event: A, when: loop, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: t2, event: A, where: "event.propertees.x == 1", action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: t3, event: A, where: "event.name ==", action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: t4, entered: tow, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: t5, event: A, policy: nope, action: {purpose: p, expires_after: 1d}}
  - {id: t5, event: A, again: sometimes, action: {kind: m, purpose: p, expires_after: 1d}}
  - {id: t6, event: A}
"""


def test_planted_mistakes_each_have_a_line_and_none_hides_another(tmp_path):
    """Twenty and more, all at once."""
    found = loaded(tmp_path, PLANTED).errors
    said = "\n".join(str(each) for each in found)
    expected = [
        (1, "'Bad Name' is not a name"), (2, "`version` must be text"), (4, "defined by itself"), (5, "did you mean 'at_least'"),
        (9, "many"), (10, "group 'nowhere'"), (11, "`event` is missing"), (12, "`leave` 20 is above"), (15, "no way in"),
        (16, "did you mean 'low'"), (17, "is not a duration"), (18, "`idle` needs `for`"), (18, "stage 'six'"), (19, "'one' stands twice"),
        (21, "`id` is missing"), (22, "both `event` and `when`"), (23, "did you mean `event.properties"), (24, "ends too early"),
        (25, "did you mean 'two'"), (26, "policy 'nope'"), (26, "`kind` is missing"), (27, "`again` is 'sometimes'"), (28, "`action` is missing"),
    ]  # fmt: skip
    for line, words in expected:
        assert any(each.line == line and words in str(each) for each in found), f"line {line}: {words}\n{said}"
    assert any("'t5' stands 2 times" in str(each) for each in found)


HOSTILE = {
    "10,000 levels": "journey: " + "[" * 10_000,
    "10,000 block levels": "".join(f"{' ' * at}a:\n" for at in range(10_000))[:900_000],
    "aliases that multiply": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "an unknown tag": "journey: !!python/object/apply:os.system [ls]\n",
    "a huge file": "x: " + "y" * 2_000_000,
    "many values": "x: [" + "1," * 60_000 + "1]",
    "two documents": "journey: a\n---\njourney: b\n",
    "a key twice": "journey: a\njourney: b\n",
    "not YAML": "journey: [unclosed\n  - : :",
    "a long expression": 'journey: j\nversion: "1"\ntriggers: [{id: t, event: A, where: "'
    + "a && " * 2_000
    + 'a", action: {kind: m}}]',
    "a deep expression": 'journey: j\nversion: "1"\ntriggers: [{id: t, event: A, where: "'
    + "(" * 900
    + ")" * 900
    + '", action: {kind: m}}]',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once(tmp_path, name):
    """Within a second and 100 MiB, with a place."""
    tracemalloc.start()
    begun = time.process_time()
    found = loaded(tmp_path, HOSTILE[name]).errors
    seconds, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found
    assert seconds < 10  # tracing slows it tenfold
    assert peak < 100 * 1024 * 1024


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
  - one: {stuck_after: p90}
  - two: {when: {event: A}, until: {event: B}, min_dwell: 1h, stuck_after: {cohort: p75, otherwise: 3d}}
  - three: {when: {event: C}, min_dwell: 2h, back_to: {stage: two, when: {event: B}}}
unstable: {flips: 5, within: 1d}
authority: {set: [{event: Set, stage: event.properties.stage, expires_after: 9d}], release: [Free, Freed]}
""",
    )
    one, two, three = journey.stages
    assert (one.stuck_after, one.stuck_cohort) == (None, "p90")
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


def test_examples_name_only_what_is_defined(tmp_path):
    """A promise about a trigger that does not exist is a mistake."""
    (tmp_path / "examples.yaml").write_text("examples: [{name: x, given: [], then: [{action: nope}]}]")
    found = loaded(
        tmp_path,
        'journey: j\nversion: "1.0"\ntriggers: [{id: note, event: A, action: {kind: m, purpose: p, expires_after: 1d}}]',
    )
    assert "action 'nope' is not defined; did you mean 'note'?" in str(found.errors[0])
