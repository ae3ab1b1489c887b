"""Local time: days with a missing hour, days with one twice, and what every zone has in common."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR, MINUTE, SECOND, isoformat, parse_instant
from rumbo.core.interaction import Interaction
from rumbo.core.profile import Profile
from rumbo.core.zone import day_of, find_zone, instant_of, local, next_time, quiet_until, second_of_day, zone_of
from tests.core.test_step import MESSAGE, A, event, run

MADRID, NEW_YORK, UTC = ZoneInfo("Europe/Madrid"), ZoneInfo("America/New_York"), ZoneInfo("UTC")
LORD_HOWE, APIA, GAZA = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia"), ZoneInfo("Asia/Gaza")
zones = st.sampled_from([MADRID, NEW_YORK, UTC, LORD_HOWE, APIA, GAZA, ZoneInfo("Asia/Kathmandu")])
instants = st.integers(parse_instant("2011-06-01") // SECOND, parse_instant("2032-01-01") // SECOND).map(
    lambda second: second * SECOND
)
NIGHT = (20 * 3600, 9 * 3600)


@pytest.mark.parametrize(
    ("zone", "day", "second", "expected"),
    [
        (MADRID, date(2026, 1, 15), 9 * 3600, "2026-01-15T08:00:00Z"),
        (MADRID, date(2026, 3, 29), 2 * 3600 + 1800, "2026-03-29T01:00:00Z"),  # 02:30 is missing: 03:00
        (MADRID, date(2026, 10, 25), 2 * 3600 + 1800, "2026-10-25T00:30:00Z"),  # 02:30 comes twice: the first
        (NEW_YORK, date(2026, 3, 8), 2 * 3600 + 1, "2026-03-08T07:00:00Z"),
        (NEW_YORK, date(2026, 11, 1), 3600, "2026-11-01T05:00:00Z"),
        (LORD_HOWE, date(2026, 10, 4), 2 * 3600 + 900, "2026-10-03T15:30:00Z"),  # half an hour is missing: 02:30
        (APIA, date(2011, 12, 30), 12 * 3600, "2011-12-30T10:00:00Z"),  # the whole day is missing: the 31st begins
    ],
)
def test_a_missing_time_is_the_next_instant_and_a_doubled_one_the_first(zone, day, second, expected):
    assert isoformat(instant_of(day, second, zone)) == expected


@pytest.mark.parametrize(
    ("zone", "at", "until"),
    [
        (MADRID, "2026-01-15T18:59:59Z", None),  # 19:59:59
        (MADRID, "2026-01-15T19:00:00Z", "2026-01-16T08:00:00Z"),  # [from, …
        (MADRID, "2026-01-16T07:59:59Z", "2026-01-16T08:00:00Z"),
        (MADRID, "2026-01-16T08:00:00Z", None),  # … to)
        (MADRID, "2026-03-28T23:00:00Z", "2026-03-29T07:00:00Z"),  # the night in which the clocks go forward
        (MADRID, "2026-10-24T23:00:00Z", "2026-10-25T08:00:00Z"),  # and back
        (NEW_YORK, "2026-03-08T03:00:00Z", "2026-03-08T13:00:00Z"),
    ],
)
def test_quiet_hours_are_from_until_to_in_the_customers_zone(zone, at, until):
    found = quiet_until(parse_instant(at), *NIGHT, zone)
    assert (isoformat(found) if found else None) == until


@given(instants, st.integers(0, 86_399), zones)
def test_the_next_time_of_day_is_later_and_none_lies_between(after, second, zone):
    found = next_time(after, second, zone)
    assert after < found <= after + 3 * DAY
    shown = second_of_day(found, zone)
    if shown != second:  # it does not exist there: clocks changed at that very instant
        assert local(found - 1, zone).utcoffset() != local(found, zone).utcoffset()
    for quarter in range(int(after) + SECOND, int(found), 15 * MINUTE):
        here = local(quarter, zone)
        assert (second_of_day(quarter, zone) != second) or here.fold == 1


@given(instants, zones)
def test_a_day_is_the_instants_with_one_date(at, zone):
    first, following = day_of(at, zone)
    assert first <= at < following <= first + 26 * HOUR
    assert {local(each, zone).date() for each in (first, at, following - 1)} == {local(at, zone).date()}
    assert local(first - 1, zone).date() != local(at, zone).date() != local(following, zone).date()


@given(instants, st.integers(0, 86_399), st.integers(0, 86_399), zones)
def test_outside_of_quiet_hours_the_clock_shows_a_time_outside_of_them(at, begin, end, zone):
    """By the clock on the wall, apart from the hours that a change of clocks makes missing or doubled."""
    if begin == end:
        return
    shown = second_of_day(at, zone)
    inside = begin <= shown < end if begin < end else shown >= begin or shown < end
    changes = any(local(at + step, zone).utcoffset() != local(at, zone).utcoffset() for step in (-2 * DAY, 2 * DAY))
    if not changes:
        assert (quiet_until(at, begin, end, zone) != 0) is inside


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../etc/passwd", "Europe", "a\0b", "x" * 5000, "/etc/passwd"])
def test_what_is_no_zone_is_none(name):
    """Traits come from outside."""
    assert find_zone(name) is None


def test_the_trait_names_the_zone_and_else_the_topology():
    def of(**traits):
        return zone_of(Profile("c", traits={name: [value, 0, False] for name, value in traits.items()}), UTC)

    assert of() is UTC
    assert of(zone="Europe/Madrid") == MADRID
    assert of(timezone="America/New_York") == NEW_YORK
    assert of(zone="Mars/Base", timezone="America/New_York") == NEW_YORK
    assert of(zone=5) is UTC
    assert datetime(2026, 1, 1, tzinfo=of(zone="Europe/Madrid")).utcoffset() is not None


def test_where_a_customer_names_no_zone_it_is_the_accounts():
    """What *Grouped* says is of the account: it never takes the place of the customer's own zone, in whatever order they come."""

    def identified(name: str, at: int, **traits: str) -> Interaction:
        made = event(name, at)
        made.traits_raw = msgspec.json.encode(traits)
        return made

    quiet = d.Limits(d.QuietHours(20 * 3600, 9 * 3600, do="drop"))
    journey = d.Journey("j", "1.0", triggers=(d.Trigger("t", d.OnEvent(A), MESSAGE, limits=quiet),))
    group, own = (
        identified("Grouped", 2, timezone="America/New_York"),
        identified("Identified", 1, zone="Europe/Madrid"),
    )
    noon = event("A", 12 * HOUR)  # UTC: the middle of the day in Madrid, seven in the morning in New York
    assert run(journey, noon) == [(12 * HOUR, "t")]
    assert run(journey, group, noon) == [(12 * HOUR, "quiet_hours t")]
    assert run(journey, own, group, noon) == run(journey, group, own, noon) == [(12 * HOUR, "t")]
