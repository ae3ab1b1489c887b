"""Local time: a customer's zone, the times of day there, and the instants that they stand for. It never reads a clock.

Clocks are put forward and back. A local time that does not exist means the next valid instant, one that comes twice means
the first. The zone is the customer's trait `zone` or `timezone` where it names one, else the account's, else the topology's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from rumbo.core.instant import Instant, from_datetime, to_datetime
from rumbo.core.profile import Profile
from rumbo.core.scope import Scope

TRAITS: Final = ("zone", "timezone")
"""The traits that may name a customer's zone, the first one first."""
ACCOUNT_TRAITS: Final = {name: f"account.{name}" for name in TRAITS}
"""As what those of a customer's account are kept: what a *Grouped* interaction says is of the account, not of the customer."""
ZoneOf = Callable[[Scope], ZoneInfo]
"""Reads the customer's zone."""
_STEP: Final = timedelta(days=1)


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo | None:
    """The zone of this name; None where there is none. Names come from outside: no text makes it fail."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # not found, not a name, a folder of zones
        return None


def zone_of(profile: Profile, default: ZoneInfo) -> ZoneInfo:
    """The customer's zone, else the account's; `default` where no trait names one that exists."""
    for trait in (*TRAITS, *ACCOUNT_TRAITS.values()):
        known = profile.traits.get(trait)
        if known is not None and isinstance(known[0], str) and (zone := find_zone(known[0])) is not None:
            return zone
    return default


def local(at: Instant, zone: ZoneInfo) -> datetime:
    """What calendar and clock show there."""
    return to_datetime(at).astimezone(zone)


def second_of_day(at: Instant, zone: ZoneInfo) -> int:
    """What the clock shows there, in seconds since midnight: below 86,400."""
    here = local(at, zone)
    return here.hour * 3600 + here.minute * 60 + here.second


def instant_of(day: date, second: int, zone: ZoneInfo) -> Instant:
    """When the clock there shows this time on this day: the first time where twice, the next valid instant where never."""
    wall = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    shown = wall.replace(tzinfo=zone)
    before = from_datetime(shown.replace(fold=0))
    if local(before, zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return before
    # In a gap the offsets of both sides bracket it: read with the one before, the time lies after the gap by as much as it
    # lay behind its beginning.
    offset_before, offset_after = shown.replace(fold=0).utcoffset(), shown.replace(fold=1).utcoffset()
    if offset_before is None or offset_after is None:
        return before
    return _gap_end(from_datetime(wall - offset_after), before, zone)


def _gap_end(low: Instant, high: Instant, zone: ZoneInfo) -> Instant:
    """The instant at which the clocks change, between two that lie on its sides."""
    offset = local(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if local(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def next_time(after: Instant, second: int, zone: ZoneInfo) -> Instant:
    """The first instant later than `after` that this time of day stands for there."""
    day = local(after, zone).date() - _STEP
    while (found := instant_of(day, second, zone)) <= after:
        day += _STEP
    return found


def last_time(until: Instant, second: int, zone: ZoneInfo) -> Instant:
    """The last instant, at or before `until`, that this time of day stands for there."""
    day = local(until, zone).date() + _STEP
    while (found := instant_of(day, second, zone)) > until:
        day -= _STEP
    return found


def quiet_until(at: Instant, begin: int, end: int, zone: ZoneInfo) -> Instant:
    """When the quiet hours [begin, end) around `at` are over; 0 outside of them. `begin` after `end` goes over midnight."""
    began = last_time(at, begin, zone)
    ends = next_time(began, end, zone)
    return ends if at < ends else 0


def day_of(at: Instant, zone: ZoneInfo) -> tuple[Instant, Instant]:
    """The calendar day there: its first instant, and the first of the next day."""
    return last_time(at, 0, zone), next_time(at, 0, zone)
