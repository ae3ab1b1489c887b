"""What holds of everybody until something comes: a customer's first interaction, and whatever it is, finds it."""

from __future__ import annotations

import pytest

from rumbo.core import definition as d
from rumbo.core.authority import Order
from rumbo.core.instant import DAY, HOUR
from rumbo.core.program import Program
from tests.core.test_step import MESSAGE, START, A, B, brief, event, run

NOT_B = d.Not(d.Happened(B))
ON_A = d.Points("a", A, 40.0, half_life=None)
WARM = (d.Band("warm", 20.0, 20.0),)
STAGES = (d.Stage("one"), d.Stage("two", d.Happened(A, 2)))


def watching(when: d.Condition, **parts) -> d.Journey:
    return d.Journey("j", "1.0", triggers=(d.Trigger("t", d.OnCondition(when), MESSAGE),), **parts)


@pytest.mark.parametrize(
    "when",
    [
        NOT_B,
        d.InStage(("one",)),
        d.Reached("one"),
        d.InSegment("new"),
        d.All((d.InStage(("one",)), NOT_B)),
        d.AnyOf((d.Happened(B), d.InStage(("one",)))),
        d.Not(d.Not(d.InStage(("one",)))),
    ],
    ids=str,
)
def test_a_trigger_on_what_holds_from_the_beginning_is_called_once_whatever_comes_first(when):
    journey = watching(when, stages=STAGES, segments=(d.Segment("new", d.Not(d.Happened(A, 2))),))
    for first in ("A", "Nobody Asks"):
        found = run(journey, event(first), event("Nobody Asks", HOUR, "later"), until=DAY)
        assert [each for each in found if each[1] == "t"] == [(0, "t")]


def test_it_is_called_where_the_journey_has_nothing_else():
    """No stage, no segment, no score: the condition alone hangs on the beginning."""
    assert run(watching(NOT_B), event("A"), until=DAY) == [(0, "t")]


def test_what_the_first_interaction_ends_is_not_called():
    """Also where the two share the first instant, in either order: what nobody has done is looked at after its interactions."""
    journey = watching(NOT_B)
    for first in (["B"], ["A", "B"], ["B", "A"]):
        assert run(journey, *map(event, first), until=DAY) == []


def test_what_is_unknown_of_everybody_calls_nobody():
    assert run(watching(d.Not(d.Where("traits.seats > 3"))), event("A"), until=DAY) == []


def test_a_stage_that_is_open_to_everybody_is_entered_after_the_first_instant():
    journey = d.Journey("j", "1.0", stages=(d.Stage("one"), d.Stage("two", NOT_B)))
    assert run(journey, event("A"), until=DAY) == [(0, "forward two")]
    assert run(journey, event("A"), event("B"), until=DAY) == []


def test_a_segment_of_the_beginning_opens_a_stage():
    stages = (d.Stage("one"), d.Stage("two", d.InSegment("new")))
    journey = d.Journey("j", "1.0", stages=stages, segments=(d.Segment("new", NOT_B),))
    assert run(journey, event("A"), until=DAY) == [(0, "entered new"), (0, "forward two")]


def test_a_grade_that_nothing_known_gives_opens_a_stage_and_calls_a_trigger():
    fit = d.Score(
        "fit", (), bands=(d.Band("C", 0, 0),), traits=(d.Trait("seats", "traits.seats >= 50", 15.0),), grades=True
    )
    stages = (d.Stage("one"), d.Stage("two", d.InBand("fit", "C")))
    assert run(watching(d.InBand("fit", "C"), stages=stages, scores=(fit,)), event("A"), until=DAY) == [
        (0, "forward two"),
        (0, "t"),
    ]


def test_a_score_that_is_not_reported_of_everybody_is_not_from_the_first_interaction_on():
    score = d.Score("s", (ON_A,), bands=WARM, disqualify=(d.Disqualify(NOT_B, "unconfirmed"),))
    journey = d.Journey("j", "1.0", (score,))
    found = run(journey, event("A"), event("B", HOUR), until=DAY)
    assert found == [(0, "band None"), (HOUR, "band warm")]
    assert run(journey, event("B"), event("A", HOUR), until=DAY) == [(HOUR, "band warm")]


def test_a_reset_that_is_called_from_the_beginning_takes_nothing_from_the_first_points():
    """It became true before them; it is called again when it becomes true again."""
    score = d.Score("s", (ON_A,), bands=WARM, resets=(d.Reset(None, d.Not(d.Happened(B, 1, DAY)), 0.0),))
    found = run(d.Journey("j", "1.0", (score,)), event("A"), event("B", HOUR), until=3 * DAY)
    assert found == [(0, "band warm"), (DAY + HOUR, "band None")]


def test_points_that_a_reset_takes_by_time_alone_are_seen_by_what_hangs_on_a_limit():
    """No band is left: the limit lies between two of them."""
    score = d.Score("s", (ON_A,), resets=(d.Reset(None, d.Idle(A, DAY), 0.5),))
    stages = (d.Stage("one"), d.Stage("two", d.Not(d.Level("s", 30.0))))
    segment = d.Segment("some", d.Level("s", 30.0))
    trigger = d.Trigger("low", d.OnCondition(d.Not(d.Level("s", 30.0))), MESSAGE)
    journey = d.Journey("j", "1.0", (score,), segments=(segment,), triggers=(trigger,))
    assert run(journey, event("A"), until=3 * DAY) == [(0, "entered some"), (DAY, "left some"), (DAY, "low")]
    assert run(d.Journey("j", "1.0", (score,), stages), event("A"), until=3 * DAY)[-1] == (DAY, "forward two")


def test_a_customer_who_begins_with_what_somebody_says_is_looked_at_too():
    program = Program("test", [watching(d.InStage(("two",)), stages=STAGES)])
    profile = program.load("c", None)
    said = program.instruct(profile, event("A", 0, "crm"), "j", Order("two"))
    said += program.fire(profile, START)
    assert [brief(each.data) for each in said] == ["forward two", "t"]
