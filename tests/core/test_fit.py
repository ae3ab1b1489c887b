"""Who a customer is: fit and grades; disqualification; resets; the matrix of two scores."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR
from rumbo.core.interaction import Interaction
from rumbo.core.program import Program
from rumbo.local.examples import run_example
from rumbo.topology import Loaded
from tests.core.test_step import MESSAGE, START, A, B, C, event, run

GRADES = (d.Band("C", -10, -10), d.Band("B", 20, 20), d.Band("A", 50, 50))
FIT = d.Score(
    "fit",
    (),
    bands=GRADES,
    floor=None,
    grades=True,
    traits=(
        d.Trait("size", "traits.seats >= 50", 30.0, -20.0),
        d.Trait("country", "traits.country == 'ES'", 20.0),
        d.Trait("role", "traits.role in ['vp', 'founder']", 10.0),
    ),
)
ENGAGED = d.Score("e", (d.Points("a", A, 40.0, half_life=10 * DAY),), bands=(d.Band("hot", 60, 45),))


def said(at: int, **traits) -> Interaction:
    return Interaction(
        "c", "Identified", "identified", f"i{at}", START + at, "t", 0, 0, traits_raw=msgspec.json.encode(traits)
    )


def journey(*scores: d.Score, **parts) -> d.Journey:
    return d.Journey("j", "1.0", scores=scores, **parts)


def outputs(made: d.Journey, *events: Interaction, until: int = 0) -> list:
    program = Program("test", [made])
    profile = program.load("c", None)
    decisions = [decision for each in events for decision in program.advance(profile, each)]
    return [each.data for each in decisions + program.fire(profile, START + until)]


def test_missing_data_is_neutral_and_what_is_known_counts():
    """Everyone begins with what nothing known gives; each change of grade is said, with the rules that make it."""
    found = outputs(
        journey(FIT),
        event("A"),
        said(1, seats=80),
        said(2, country="ES", role="vp"),
        said(3, seats=3),
        said(4, plan="x"),
    )
    assert [(each.value, each.grade, each.previous_band) for each in found] == [
        (30.0, "B", "C"),
        (60.0, "A", "B"),
        (10.0, "C", "A"),
    ]
    assert [(each.rule, each.points_now) for each in found[1].contributors] == [
        ("size", 30.0),
        ("country", 20.0),
        ("role", 10.0),
    ]
    assert found[1].contributors[0].event_ids == ("i2",)


def test_grades_compare_by_rank_and_do_not_decay():
    """At least B is B or A; a year later still."""
    trigger = d.Trigger("t", d.OnEvent(A), MESSAGE, when=d.InBand("fit", "B"))
    made = journey(FIT, triggers=(trigger,))
    assert run(made, event("A"), said(1, seats=80), event("A", 2), said(3, country="ES"), event("A", 365 * DAY))[
        1::2
    ] == [(2, "t"), (365 * DAY, "t")]


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["seats", "country", "role"]), st.sampled_from([10, 60, "ES", "vp", None])),
        max_size=8,
    )
)
def test_fit_is_what_the_last_traits_say(history):
    """Recomputed from nothing but the traits as they stand."""
    program = Program("test", [journey(FIT)])
    profile, known = program.load("c", None), {}
    for at, traits in enumerate(history):
        program.advance(profile, said(at, **traits))
        known |= traits
    if not history:
        return
    seats = known.get("seats")
    size = 0 if not isinstance(seats, int) else 30 if seats >= 50 else -20
    total = size + 20 * (known.get("country") == "ES") + 10 * (known.get("role") == "vp")
    state = profile.journeys["j"].scores["fit"]
    assert program.machine("j").scores["fit"].value(state, profile.clock) == total
    assert state.band == sum(1 for band in GRADES if total >= band.enter) - 1


def test_a_disqualified_score_is_null_with_its_reason_and_comes_back_with_its_points():
    """Not -9999: no value, no band, no limit is met."""
    out = d.Disqualify(d.Happened(B, 1, 5 * DAY), "competitor")
    score = msgspec.structs.replace(ENGAGED, disqualify=(out,))
    triggers = (
        d.Trigger("level", d.OnEvent(C), MESSAGE, when=d.Level("e", 10.0)),
        d.Trigger("low", d.OnEvent(C), MESSAGE, when=d.Where("score('e') < 1000")),
        d.Trigger("left", d.OnBand("e", "hot", "left"), MESSAGE),
    )
    found = outputs(
        journey(score, triggers=triggers),
        event("A"),
        event("A", 1),
        event("B", HOUR),
        event("A", 2 * HOUR),
        event("C", 3 * HOUR),
        until=6 * DAY,
    )
    scores = [each for each in found if hasattr(each, "band")]
    assert [(each.value, each.band, each.reason) for each in scores] == [
        (80.0, "hot", None),
        (None, None, "competitor"),
        (pytest.approx(84.7, abs=0.1), "hot", None),
    ]
    actions = [each for each in found if hasattr(each, "trigger")]
    assert [(each.trigger, each.scores) for each in actions] == [("left", {"e": None})]


def test_the_first_reason_that_holds_is_reported():
    score = msgspec.structs.replace(
        ENGAGED,
        disqualify=(d.Disqualify(d.Where("traits.role == 'student'"), "student"), d.Disqualify(d.Happened(B), "spam")),
    )
    found = outputs(journey(score), event("B"), said(1, role="student"), said(2, role="vp"))
    assert [each.reason for each in found] == ["spam", "student", "spam"]


def test_a_reset_multiplies_and_the_crossing_comes_earlier():
    """Two awards, halved: below the band at once; above it still, it is left when the formula says."""
    half = msgspec.structs.replace(ENGAGED, resets=(d.Reset(B, None, 0.5),))
    assert run(journey(half), event("A"), event("A", 1), event("B", 2), event("C", 3)) == [
        (1, "band hot"),
        (2, "band None"),
    ]
    gentle = msgspec.structs.replace(ENGAGED, resets=(d.Reset(B, None, 0.75),))
    found = run(journey(gentle), event("A"), event("A", 1), event("B", 2), until=30 * DAY)
    assert [what for _, what in found] == ["band hot", "band None"]
    assert found[1][0] / DAY == pytest.approx(4.150, abs=1e-3)  # 60 falls to 45 after H·log2(60/45)


def test_a_reset_sets_down_and_never_up():
    score = msgspec.structs.replace(ENGAGED, resets=(d.Reset(B, None, set=30.0),), min_delta=1.0)
    found = outputs(journey(score), event("A"), event("B", 1), event("B", 10 * DAY))
    assert [round(each.value, 3) for each in found] == [40.0, 30.0]


def test_a_reset_on_a_condition_happens_each_time_that_it_becomes_true():
    """Also by time alone; and where it hangs on a stage, in the same input, after the stage."""
    score = d.Score(
        "e", (d.Points("a", A, 40.0),), bands=(d.Band("hot", 60, 45),), resets=(d.Reset(None, d.Idle(A, 5 * DAY), 0.5),)
    )
    found = run(journey(score), event("A"), event("A", 1), event("A", 20 * DAY), until=40 * DAY)
    assert found == [(1, "band hot"), (5 * DAY + 1, "band None"), (20 * DAY, "band hot"), (25 * DAY, "band None")]
    staged = d.Score(
        "e",
        (d.Points("a", A, 40.0),),
        bands=(d.Band("hot", 60, 45),),
        resets=(d.Reset(None, d.InStage(("lost",)), set=0.0),),
    )
    stages = (d.Stage("one"), d.Stage("lost", d.Happened(B), side=True))
    found = run(journey(staged, stages=stages), event("A"), event("A", 1), event("B", 2), event("A", 3))
    assert found == [(1, "band hot"), (2, "aside lost"), (2, "band None")]


def test_a_reset_of_a_group_leaves_the_others():
    rules = (d.Points("a", A, 40.0, "x"), d.Points("b", B, 30.0, "y"))
    score = d.Score("e", rules, resets=(d.Reset(C, None, 0.0, group="x"),), min_delta=1.0)
    found = outputs(journey(score), event("A"), event("B", 1), event("C", 2))
    assert [each.value for each in found] == [40.0, 70.0, 30.0]
    assert [(each.rule, each.points_now) for each in found[-1].contributors] == [("b", 30.0), ("a", 0.0)]


def test_what_they_are_survives_storing():
    score = msgspec.structs.replace(ENGAGED, disqualify=(d.Disqualify(d.Happened(B), "spam"),))
    program = Program("test", [journey(score, FIT)])
    profile = program.load("c", None)
    for each in (said(0, seats=80), event("B", 1)):
        program.advance(profile, each)
    again = program.load("c", program.dump(profile))
    assert again.journeys["j"].scores["e"].out == "spam"
    assert program.dump(again) == program.dump(profile)


LEADS = Loaded(Path("topologies/leads"))


@pytest.mark.parametrize("example", LEADS.examples, ids=lambda each: each.name)
def test_the_presets_keep_their_promises(example):
    """MQL, SQL and PQL, as they ship."""
    assert LEADS.topology is not None
    outcome = run_example(LEADS.topology, example)
    assert (outcome.missing, outcome.extra) == ((), ())
