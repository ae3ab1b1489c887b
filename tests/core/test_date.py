"""Dates: by the calendar of the customer's zone, across changes of clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR, MINUTE, from_datetime, isoformat, parse_instant
from rumbo.core.interaction import Interaction
from rumbo.core.program import Program
from tests.core.test_step import MESSAGE, event


def said(at: str, key: str = "i", **traits) -> Interaction:
    return Interaction(
        "c", "Identified", "identified", key, parse_instant(at), "t", 0, 0, traits_raw=msgspec.json.encode(traits)
    )


def due(on: d.OnDate, *inputs: Interaction, until: str, zone: str = "Europe/Madrid") -> list[str]:
    """When the trigger was called."""
    program = Program("test", [d.Journey("j", "1.0", triggers=(d.Trigger("t", on, MESSAGE),))], zone=zone)
    profile = program.load("c", None)
    made = [decision for each in inputs for decision in program.advance(profile, each)]
    made += program.fire(profile, parse_instant(until))
    return [isoformat(each.at) for each in made]


def test_days_before_a_date_at_a_time_of_day_there():
    """Thirty days before the 15th of April, at nine in Madrid: winter time still, one hour ahead of UTC."""
    on = d.OnDate("renewal", -30 * DAY, 9 * 3600)
    assert due(on, said("2026-01-01T00:00:00Z", renewal="2026-04-15"), until="2027-01-01T00:00:00Z") == [
        "2026-03-16T08:00:00Z"
    ]


@pytest.mark.parametrize(
    ("day", "at", "expected"),
    [
        (
            "2026-03-29",
            2 * 3600 + 1800,
            "2026-03-29T01:00:00Z",
        ),  # 02:30 does not exist: the next valid instant is 03:00
        ("2026-10-25", 2 * 3600 + 1800, "2026-10-25T00:30:00Z"),  # 02:30 comes twice: the first
        ("2026-03-29", 9 * 3600, "2026-03-29T07:00:00Z"),
        ("2026-03-28", 9 * 3600, "2026-03-28T08:00:00Z"),
    ],
)
def test_changes_of_clocks(day, at, expected):
    assert due(d.OnDate("x", 0, at), said("2026-01-01T00:00:00Z", x=day), until="2027-01-01T00:00:00Z") == [expected]


def test_whole_days_are_of_the_calendar_and_the_rest_is_exact():
    """Noon stays noon across the change; a day and an hour is a calendar day, and 3,600 seconds."""
    moved = said("2026-03-01T00:00:00Z", x="2026-03-28T12:00:00+01:00")
    assert due(d.OnDate("x", DAY), moved, until="2027-01-01T00:00:00Z") == ["2026-03-29T10:00:00Z"]
    assert due(d.OnDate("x", DAY + HOUR), moved, until="2027-01-01T00:00:00Z") == ["2026-03-29T11:00:00Z"]
    assert due(d.OnDate("x", 24 * HOUR - 1), moved, until="2027-01-01T00:00:00Z") == ["2026-03-29T10:59:59.999999Z"]


def test_the_customers_own_zone_wins_and_a_new_one_counts_at_once():
    on = d.OnDate("x", 0, 9 * 3600)
    tokyo = said("2026-01-01T00:00:00Z", x="2026-05-05", timezone="Asia/Tokyo")
    assert due(on, tokyo, until="2027-01-01T00:00:00Z") == ["2026-05-05T00:00:00Z"]
    moves = said("2026-02-01T00:00:00Z", "j", zone="America/New_York")
    assert due(on, tokyo, moves, until="2027-01-01T00:00:00Z") == ["2026-05-05T13:00:00Z"]


def test_a_new_date_takes_the_place_of_the_old_one():
    history = (said("2026-01-01T00:00:00Z", x="2026-05-05"), said("2026-02-01T00:00:00Z", "j", x="2026-03-01"))
    assert due(d.OnDate("x"), *history, until="2027-01-01T00:00:00Z", zone="UTC") == ["2026-03-01T00:00:00Z"]
    gone = said("2026-02-01T00:00:00Z", "j", x=None)
    assert due(d.OnDate("x"), history[0], gone, until="2027-01-01T00:00:00Z") == []


def test_what_has_passed_when_it_is_learned_calls_nothing():
    assert (
        due(d.OnDate("x", -3 * DAY), said("2026-01-01T00:00:00Z", x="2026-01-03"), until="2027-01-01T00:00:00Z") == []
    )


def test_each_year_comes_each_year():
    """A birthday; the 29th of February is the 28th where there is none."""
    found = due(
        d.OnDate("born", 0, 0, yearly=True),
        said("2026-01-01T00:00:00Z", born="1988-02-29"),
        until="2029-01-01T00:00:00Z",
        zone="UTC",
    )
    assert found == ["2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"]


def test_the_same_instant_calls_once():
    """Two interactions at the due instant, the timer between them."""
    on = d.OnDate("x")
    program = Program("test", [d.Journey("j", "1.0", triggers=(d.Trigger("t", on, MESSAGE),))])
    profile = program.load("c", None)
    at = "2026-01-05T00:00:00Z"
    program.advance(profile, said(at, "i", x="2026-01-05"))
    assert len(program.fire(profile, parse_instant(at))) == 1
    assert program.advance(profile, said(at, "j", x="2026-01-05")) == []
    assert program.fire(profile, parse_instant("2026-02-01T00:00:00Z")) == []


@pytest.mark.parametrize("value", ["soon", "2026-13-01", 20260101, True, ["2026-01-01"], "9999-12-31", ""])
def test_what_is_no_date_calls_nothing_and_is_counted(value):
    """The last is one, and its offset leads out of the calendar."""
    program = Program("test", [d.Journey("j", "1.0", triggers=(d.Trigger("t", d.OnDate("x", 40 * DAY), MESSAGE),))])
    profile = program.load("c", None)
    program.advance(profile, said("2026-01-01T00:00:00Z", x=value))
    assert profile.timers == {}
    assert program.stats["date_unreadable"] == (value != "9999-12-31")


def test_an_interaction_without_traits_changes_nothing():
    on = d.OnDate("x", 0, 9 * 3600)
    history = (said("2026-01-01T00:00:00Z", x="2026-05-05"), event("A", 3 * DAY))
    assert due(on, *history, until="2027-01-01T00:00:00Z") == ["2026-05-05T07:00:00Z"]


@given(
    st.dates(date(2026, 1, 20), date(2027, 12, 1)),
    st.integers(0, 24 * 60 - 1),
    st.integers(-15, 15),
    st.sampled_from(["Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_the_clock_on_the_wall_shows_the_time_that_was_asked_for(day, minute, days, zone):
    """Or, where that time does not exist, the first instant after it; and no earlier instant shows it."""
    found = due(
        d.OnDate("x", days * DAY, minute * 60),
        said("2026-01-01T00:00:00Z", x=str(day)),
        until="2028-06-01T00:00:00Z",
        zone=zone,
    )
    at = datetime.fromisoformat(found[0])
    shown = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    asked = datetime.combine(day, datetime.min.time()) + timedelta(days=days, minutes=minute)
    before = (at - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown == asked or before < asked < shown
    earlier = from_datetime(at.astimezone(UTC)) - 2 * HOUR
    for step in range(1, 120):
        there = (
            datetime.fromisoformat(isoformat(earlier + step * MINUTE)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        )
        assert there != asked or earlier + step * MINUTE >= from_datetime(at)
