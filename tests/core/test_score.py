"""Scores: the golden numbers of the semantics, and the laws of the accumulator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.decay import add, decayed
from rumbo.core.definition import Band, EventTest, Group, Points, Score
from rumbo.core.instant import DAY, MINUTE
from rumbo.core.program import Program
from rumbo.core.score import ScoreMachine, crossing
from rumbo.core.state import SEEN_CAP, ScoreState
from tests.core.test_step import event, named

H = 14 * DAY
awards = st.lists(st.tuples(st.floats(0.1, 100), st.integers(0, 200 * DAY)), min_size=1, max_size=30)


def lane(given_awards):
    """An accumulator fed in this order."""
    first, *rest = given_awards
    made = [first[0], first[1]]
    for points, at in rest:
        add(made, points, at, H)
    return made


def test_golden_decay_and_crossing():
    """+50 at day 0, +10 at day 7, +30 at day 14, half-life 14 days."""
    made = lane([(50.0, 0), (10.0, 7 * DAY), (30.0, 14 * DAY)])
    assert decayed(made[0], made[1], 14 * DAY, H) == pytest.approx(62.071, abs=5e-4)
    assert decayed(made[0], made[1], 28 * DAY, H) == pytest.approx(31.036, abs=5e-4)
    assert crossing(made[0], made[1], 45, H) / DAY == pytest.approx(20.496, abs=5e-4)
    assert crossing(made[0], made[1], 20, H) / DAY == pytest.approx(36.875, abs=5e-4)


@given(awards, st.randoms())
def test_the_order_of_arrival_does_not_matter(given_awards, chance):
    """Points accumulate at the event's own time, so any order gives the same score."""
    shuffled = list(given_awards)
    chance.shuffle(shuffled)
    now = 200 * DAY
    one, other = lane(given_awards), lane(shuffled)
    assert decayed(one[0], one[1], now, H) == pytest.approx(decayed(other[0], other[1], now, H), rel=1e-12)


@given(awards, awards)
def test_two_accumulators_merge_by_addition(mine, yours):
    """Bringing two to a common anchor and adding equals folding their union."""
    now = 200 * DAY
    one, other, both = lane(mine), lane(yours), lane(mine + yours)
    total = decayed(one[0], one[1], now, H) + decayed(other[0], other[1], now, H)
    assert total == pytest.approx(decayed(both[0], both[1], now, H), rel=1e-12)


def machine(*, lanes=1, cap=None):
    """A score with one band from 60 to 45, over so many half-lives."""
    rules = tuple(Points(f"r{at}", EventTest(), 1.0, "g", half_life=(at + 1) * H) for at in range(lanes))
    return ScoreMachine(
        Score("s", rules, (Group("g", cap),) if cap else (), (Band("low", 20, 12), Band("high", 60, 45)))
    )


def test_bands_have_hysteresis():
    """Entered at `enter`, left only below `leave`; a jump goes straight to the highest that holds."""
    made = machine()
    assert [made.band(-1, value) for value in (19.9, 20, 59, 60)] == [-1, 0, 0, 1]
    assert [made.band(1, value) for value in (45, 44.9, 12, 11.9)] == [1, 0, 0, -1]


@given(st.lists(st.floats(10, 80), min_size=2, max_size=2), st.integers(0, 30))
def test_the_searched_crossing_is_the_first_instant_below(values, day):
    """With several half-lives the crossing is bisected to the microsecond."""
    made = machine(lanes=2)
    state = ScoreState(lanes={name: [value, 0] for name, value in zip(made.lanes, values, strict=True)}, band=1)
    now = day * DAY
    due = made.falls_at(state, now)
    assert due >= now
    assert made.value(state, due) <= 45 + 1e-9
    assert due == now or made.value(state, due - MINUTE) >= 45 - 1e-4


def test_a_cap_holds_the_crossing_back():
    """While the cap binds, decay below it shows nothing: the crossing is that of the sum under the cap."""
    made = machine(cap=50)
    state = ScoreState(lanes={name: [400.0, 0] for name in made.lanes}, band=1)
    assert made.value(state, 0) == 50
    assert made.falls_at(state, 0) / H == pytest.approx(
        3.152, abs=1e-3
    )  # 400 halves to 45 after log2(400/45) half-lives


def test_what_was_awarded_is_remembered_up_to_a_bound_and_what_is_forgotten_is_counted():
    """`once_per` remembers the last 64 values of a rule; a value that has gone gives points again."""
    rule = d.Points("r", named("A"), 1.0, once_per="event.properties.asset")
    program = Program("test", [d.Journey("j", "1.0", (d.Score("s", (rule,)),))])
    profile = program.load("c", None)
    for at in range(SEEN_CAP + 10):
        for again in range(2):
            program.advance(profile, event("A", at, f"{at}.{again}", asset=at))
    state = profile.journeys["j"].scores["s"]
    assert program.machine("j").scores["s"].value(state, profile.clock) == SEEN_CAP + 10
    assert state.seen["r"] == [str(at) for at in range(10, SEEN_CAP + 10)]
    assert program.stats["once_per_forgotten"] == 10


def test_a_rule_with_both_once_per_and_at_most_keeps_to_both():
    """What `at_most` refuses is not remembered as awarded: it gives its points when there is room again."""
    rule = d.Points("r", named("A"), 1.0, half_life=None, once_per="event.properties.asset", at_most=d.AtMost(2, DAY))
    program = Program("test", [d.Journey("j", "1.0", (d.Score("s", (rule,)),))])
    profile, found = program.load("c", None), []
    for at, asset in enumerate("xxyzz"):
        program.advance(profile, event("A", at, f"{at}", asset=asset))
        found.append(program.machine("j").scores["s"].value(profile.journeys["j"].scores["s"], profile.clock))
    program.advance(profile, event("A", DAY + 5, asset="z"))
    found.append(program.machine("j").scores["s"].value(profile.journeys["j"].scores["s"], profile.clock))
    assert found == [1, 1, 2, 2, 2, 3]
