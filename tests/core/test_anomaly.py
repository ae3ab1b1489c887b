"""Anomalies: a customer against what is usual for that customer, by a formula that is recomputed here from the full history."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.anomaly import take_in, take_in_empty
from rumbo.core.instant import DAY, HOUR, MINUTE
from rumbo.core.program import Program
from tests.core.test_step import MESSAGE, START, A, event, run, triggers


def odd(change="drop", **parts) -> d.Journey:
    return triggers(d.Trigger("t", d.Anomaly(A, change=change, **parts), MESSAGE))


def daily(counts, *, begin: int = -1) -> list:
    """The first one on the day before the first whole day, then so many each day, from a minute past midnight on."""
    made = [event("A", begin * DAY + HOUR)]
    return made + [event("A", day * DAY + (at + 1) * MINUTE) for day, count in enumerate(counts) for at in range(count)]


def test_a_drop_is_said_at_the_end_of_the_period_with_no_event():
    """Twenty a day for twenty days, then nothing: said at the end of that day, once."""
    found = run(odd(), *daily([20] * 20), until=200 * DAY)
    assert found == [(21 * DAY, "t")]


def test_a_rise_is_said_as_soon_as_the_count_is_reached():
    """Four a day are usual; 4 + 3·sqrt(4) = 10, so the eleventh is too many, and it is said once."""
    found = run(odd("rise"), *daily([4] * 20 + [30, 30, 4, 30]), until=40 * DAY)
    assert [at for at, _ in found][:1] == [20 * DAY + 11 * MINUTE]
    assert len(found) == 2


def test_nothing_is_said_before_the_warm_up_is_over():
    assert run(odd(), *daily([20] * 13), until=14 * DAY) == []
    assert run(odd(), *daily([20] * 13), until=200 * DAY) == [
        (15 * DAY, "t")
    ]  # the fourteenth day was the last of the warm-up
    assert run(odd("rise"), *daily([1] * 13 + [200]), until=20 * DAY) == []
    assert run(odd("rise"), *daily([1] * 14 + [200]), until=20 * DAY) == [(14 * DAY + 5 * MINUTE, "t")]


def test_a_silent_customer_has_no_timer_for_ever():
    """Once an empty period could not be too few any more, nothing waits."""
    program = Program("test", [odd()])
    profile = program.load("c", None)
    for each in daily([20] * 20):
        program.advance(profile, each)
    program.fire(profile, START + 400 * DAY)
    assert profile.timers == {}
    assert program.stats["timer"] < 60
    assert len(profile.journeys["j"].followed["rate:t:86400s"]) == 6


def test_the_last_instant_belongs_to_its_period():
    """(0, per]: the event at the end counts before the comparison that is due then."""
    history = daily([20] * 20)
    last = [event("A", 21 * DAY - at, f"l{at}") for at in range(20)]
    assert run(odd(), *history, *reversed(last), until=21 * DAY) == []
    assert run(odd(), *history, *(event("A", 21 * DAY + 1 + at) for at in range(20)), until=21 * DAY + HOUR) == [
        (21 * DAY, "t")
    ]


def test_an_interaction_of_a_period_that_has_ended_is_counted_and_changes_nothing():
    program = Program("test", [odd()])
    profile = program.load("c", None)
    for each in daily([5] * 3):
        program.advance(profile, each)
    before = list(profile.journeys["j"].followed["rate:t:86400s"])
    program.advance(profile, event("A", HOUR, "late"))
    assert profile.journeys["j"].followed["rate:t:86400s"] == before
    assert program.stats["anomaly_late"] == 1


@given(st.floats(0, 1000), st.floats(0, 1e6), st.integers(0, 300), st.floats(0.01, 0.9))
def test_empty_periods_at_once_are_empty_periods_one_by_one(mean, variance, periods, alpha):
    """The closed form."""
    one = (mean, variance)
    for _ in range(periods):
        one = take_in(*one, 0, alpha)
    assert take_in_empty(mean, variance, periods, alpha) == pytest.approx(one, rel=1e-9, abs=1e-9)


def test_golden_baseline():
    """Counts 10, 14 with a half-life of one period: a = 1/2, m = 12, v = 1/2 (0 + 1/2·16) = 4."""
    assert take_in(10.0, 0.0, 14, 0.5) == (12.0, 4.0)


def expected(minutes, change, deviations, warm_up, until, *, per=DAY, half_life=7 * DAY):
    """From the full history: every period's count, folded one by one."""
    if not minutes:
        return []
    counts: dict[int, list[int]] = {}
    for at in minutes:
        counts.setdefault(-(-at // per), []).append(at)
    first, alpha = -(-minutes[0] // per), 1 - 2 ** (-per / half_life)
    mean = variance = 0.0
    was, found = False, []
    for whole, period in enumerate(range(first + 1, until // per + 1)):
        times = counts.get(period, [])
        off = deviations * sqrt(max(variance, mean, 1.0))
        if whole < warm_up:
            odd_now = False
        elif change == "drop":
            odd_now = len(times) < mean - off
            if odd_now and not was:
                found.append(period * per)
        else:
            odd_now = len(times) > mean + off
            if odd_now and not was:
                found.append(next(at for count, at in enumerate(times, 1) if count > mean + off))
        was = odd_now
        mean, variance = (
            (float(len(times)), 0.0)
            if whole == 0
            else (mean + alpha * (len(times) - mean), (1 - alpha) * (variance + alpha * (len(times) - mean) ** 2))
        )
    return found


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=40),
    st.sampled_from(["drop", "rise"]),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.integers(1, 6),
)
def test_against_the_formula_over_the_full_history(days, change, deviations, warm_up):
    """Whatever the history, and however long the silences in it."""
    base = -(-START // DAY) * DAY - START
    minutes = sorted(
        {
            START + base + day * DAY + at * HOUR + number * MINUTE
            for number, (day, count) in enumerate(days)
            for at in range(count)
        }
    )
    until = START + base + 60 * DAY
    journey = odd(change, deviations=deviations, half_life=7 * DAY, warm_up=warm_up)
    found = run(journey, *(event("A", at - START) for at in minutes), until=60 * DAY + base)
    assert [START + at for at, _ in found] == expected(minutes, change, deviations, warm_up, until)
