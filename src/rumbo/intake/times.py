"""The event's time from what producers write: RFC 3339 with all its habits, epoch numbers, dates. Never the process's clock."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from rumbo.core.instant import SECOND, Instant, from_datetime

EARLIEST: Final = 946_684_800_000_000
"""2000-01-01: an earlier time is a mistake of units."""
LATEST: Final = 253_402_300_799_999_999
_UTC_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00").tzinfo
_LONG_FRACTION: Final = re.compile(r"(\.\d{6})\d+")
_DIGITS: Final = re.compile(r"[+-]?\d{1,19}(\.\d{1,9})?")
_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
_SECONDS: Final = {f":{each:02d}": each * SECOND for each in range(60)}
_FRACTIONS: Final = {f".{each:03d}Z": each * 1000 for each in range(1000)} | {"Z": 0}
"""What mostly follows the seconds."""
_MINUTES: Final = 4096
_minutes: Final[dict[str, Instant]] = {}
"""`2026-01-31T12:00`, those met last. Events of one batch lie close together: most are met again."""
_MAGNITUDES: Final = ((10**11, 1_000_000), (10**14, 1_000))


def usual_time(value: Any, record_ms: int, future: int) -> Instant:
    """What `pick_time` makes of `2026-01-31T12:00:00.000Z`, with or without its fraction; 0 where it has to look further."""
    if type(value) is not str:
        return 0
    try:
        at = _minutes[value[:16]] + _SECONDS[value[16:19]] + _FRACTIONS[value[19:]]
    except KeyError:
        return usual_time(value, record_ms, future) if _noted(value[:16]) else 0
    return at if EARLIEST <= at <= (record_ms * 1000 + future if record_ms >= 0 else LATEST) else 0


def _noted(minute: str) -> bool:
    """Keep a minute that was met for the first time."""
    if minute in _minutes or not _MINUTE.fullmatch(minute):
        return False
    at = _from_text(f"{minute}Z")[0]
    if at is None:
        return False
    if len(_minutes) >= _MINUTES:  # times come from outside: a producer must not fill the memory
        _minutes.clear()
    _minutes[minute] = at
    return True


def read_time(value: Any) -> tuple[Instant | None, str | None]:
    """An instant from a producer's value and the name of what had to be put right; (None, None) where it is no time."""
    if type(value) is str:
        return _from_text(value)
    if type(value) is int or type(value) is float:
        return _from_number(value)
    return None, None


def _from_text(value: str) -> tuple[Instant | None, str | None]:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return _from_odd_text(value.strip())
    if moment.tzinfo is None:
        return from_datetime(moment.replace(tzinfo=_UTC_EPOCH)), "zone_assumed"
    return from_datetime(moment), None


def _from_odd_text(value: str) -> tuple[Instant | None, str | None]:
    if _DIGITS.fullmatch(value):
        return _from_number(float(value) if "." in value else int(value))
    shorter = _LONG_FRACTION.sub(r"\1", value)  # nanoseconds
    try:
        moment = datetime.fromisoformat(shorter)
    except ValueError:
        return None, None
    zone = moment.tzinfo or _UTC_EPOCH
    fix = None if shorter != value and moment.tzinfo else "time_trimmed"
    return from_datetime(moment.replace(tzinfo=zone)), fix


def _from_number(value: float) -> tuple[Instant | None, str | None]:
    """Seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude."""
    if value != value or abs(value) >= 10**20:  # noqa: PLR0124  NaN is unequal to itself
        return None, None
    for bound, factor in _MAGNITUDES:
        if abs(value) < bound:
            return round(value * factor), "epoch_number"
    return (round(value) if abs(value) < 10**17 else round(value) // 1000), "epoch_number"


def pick_time(candidates: tuple[Any, ...], record_ms: int, future: int, flags: list[str]) -> Instant | None:
    """The first time field that can be meant, else the record's; None where there is none at all.

    One before 2000, or later than the record's by more than `future`, gives way to the next. `flags` gets what was done.
    Ask `usual_time` for the first one before: it has the same answer sooner.
    """
    latest = record_ms * 1000 + future if record_ms >= 0 else LATEST
    for place, value in enumerate(candidates):
        if value is None:
            continue
        at, fix = read_time(value)
        if at is None:
            flags.append("time_unreadable")
        elif EARLIEST <= at <= latest:
            if fix is not None:
                flags.append(fix)
            if place:
                flags.append("time_second_choice")
            return at
        else:
            flags.append("time_clamped")
    if record_ms < 0:
        return None
    flags.append("time_from_record")
    return record_ms * 1000
