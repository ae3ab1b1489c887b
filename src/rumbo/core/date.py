"""Dates: the day (or instant) in a trait of the customer, and an offset, by the calendar of the customer's zone. It never reads a clock.

Whole days of an offset are calendar days, so that 09:00 stays 09:00 when clocks change; what is left is exact. A local time that
does not exist is the next valid instant, one that comes twice the first (`core.zone`). A date without a time begins at
midnight; text without a zone is local. What has passed when it is learned calls nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rumbo.core.condition import Vocabulary
from rumbo.core.decision import Leaf
from rumbo.core.definition import OnDate, Trigger
from rumbo.core.instant import DAY, SECOND, Instant, format_duration, from_datetime, isoformat
from rumbo.core.scope import Scope, Turn
from rumbo.core.trigger import TriggerMachine
from rumbo.core.zone import TRAITS, instant_of, local

_NO_TRAITS: Final = len(b"{}")
_DATE: Final = len("2026-01-31")


class DateMachine(TriggerMachine):
    """One trigger on a date. What is remembered is the due instant that it was called for last."""

    hears = None

    def __init__(self, journey: str, trigger: Trigger, order: int, words: Vocabulary) -> None:
        super().__init__(trigger, order, words)
        on = trigger.on
        if not isinstance(on, OnDate):
            raise TypeError(f"trigger {trigger.id} is no date")
        self._on, self.timer = on, f"date:{journey}:{trigger.id}"
        self._kept = f"date:{trigger.id}"
        self._read, self.zone = words.trait(on.trait), words.zone()
        self._traits = frozenset({on.trait, *TRAITS})

    def next_due(self, scope: Scope, after: Instant) -> Instant | None:
        """The first due instant at or after `after`; None where there is none, or no date."""
        found = moment(self._read(scope), self.zone(scope))
        return next_of(found, self._on, self.zone(scope), after) if found is not None else None

    def hear(self, turn: Turn) -> None:
        """Learn a new date or a new zone."""
        event = turn.event
        if event is None or len(event.traits_raw) <= _NO_TRAITS or self._traits.isdisjoint(event.traits):
            return
        if event.traits.get(self._on.trait) is not None and moment(self._read(turn), self.zone(turn)) is None:
            turn.counts["date_unreadable"] += 1
        self._arm(turn, turn.now)

    def _arm(self, turn: Turn, after: Instant) -> None:
        due = self.next_due(turn, after)
        if due is None or turn.state.followed.get(self._kept) == [due]:
            turn.profile.timers.pop(self.timer, None)
        else:
            turn.profile.timers[self.timer] = due

    def due(self, turn: Turn) -> bool:
        """The day has come."""
        turn.state.remember().followed[self._kept] = [turn.at]
        turn.called.append(self)
        if self._on.yearly:
            self._arm(turn, turn.at + 1)
        return False

    def leaves(self, scope: Scope) -> tuple[Leaf, ...]:
        """The date and the zone, and the guard."""
        known = scope.profile.traits.get(self._on.trait)
        seen = {self._on.trait: known[0] if known is not None else None, "zone": str(self.zone(scope))}
        return (Leaf(date_text(self._on), holds=True, saw=seen), *super().leaves(scope))


def moment(value: object, zone: ZoneInfo) -> tuple[datetime, Instant | None] | None:
    """A trait's value as local wall time, and its instant where it names one. None where it is neither a date nor an instant."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        if len(text) == _DATE:
            return datetime.combine(date.fromisoformat(text), datetime.min.time()), None
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            return found, None
        at = from_datetime(found.astimezone(UTC))
        return local(at, zone).replace(tzinfo=None), at
    except (ValueError, OverflowError):
        return None


def next_of(found: tuple[datetime, Instant | None], on: OnDate, zone: ZoneInfo, after: Instant) -> Instant | None:
    """The first due instant at or after `after`: of the date itself or, yearly, of its next return."""
    wall, at = found
    try:
        if not on.yearly:
            due = _due(wall, at, on, zone)
            return due if due >= after else None
        begin = max(wall.year, local(after, zone).year - 2)
        years = (
            _due(_in_year(wall, year), at if year == wall.year else None, on, zone) for year in range(begin, begin + 6)
        )
        return next((due for due in years if due >= after), None)
    except (ValueError, OverflowError):
        return None


def _due(wall: datetime, at: Instant | None, on: OnDate, zone: ZoneInfo) -> Instant:
    days, rest = _days(on.offset)
    if at is not None and on.at is None and not days:
        return at + rest
    second = on.at if on.at is not None else wall.hour * 3600 + wall.minute * 60 + wall.second
    below = 0 if on.at is not None else wall.microsecond
    return instant_of(wall.date() + timedelta(days=days), second, zone) + below + rest


def _days(offset: Instant) -> tuple[int, Instant]:
    """Whole days and what is left, both of the offset's sign."""
    days, rest = divmod(abs(offset), DAY)
    return (-days, -rest) if offset < 0 else (days, rest)


def _in_year(wall: datetime, year: int) -> datetime:
    """The same day of another year; the 29th of February is the 28th where there is none."""
    try:
        return wall.replace(year=year)
    except ValueError:
        return wall.replace(year=year, day=28)


def date_text(on: OnDate) -> str:
    """A date as a person would say it."""
    side = "" if not on.offset else f"{format_duration(abs(on.offset))} {'before' if on.offset < 0 else 'after'} "
    time = "" if on.at is None else f" at {isoformat(on.at * SECOND)[11:16]}"
    return f"{side}the date in {on.trait}{time}{', each year' if on.yearly else ''}"
