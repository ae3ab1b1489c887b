"""Instants and durations of the core: whole microseconds, so that arithmetic is exact and cheap. It never reads a clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z."""
Duration = int
"""Microseconds."""

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"us": 1, "ms": 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)")


def from_datetime(moment: datetime) -> Instant:
    """The instant of an aware datetime, to the microsecond."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def to_datetime(at: Instant) -> datetime:
    """The aware datetime (UTC) of an instant."""
    return _EPOCH + timedelta(microseconds=at)


@lru_cache(maxsize=64)
def isoformat(at: Instant) -> str:
    """RFC 3339 in UTC with `Z`; a fraction only where there is one. One decision writes the same instant several times."""
    digits = str(100 * SECOND + at % MINUTE)  # 1, then two of seconds and six of the fraction
    minute = _minute(at // MINUTE)
    return f"{minute}{digits[1:3]}Z" if digits.endswith("000000") else f"{minute}{digits[1:3]}.{digits[3:]}Z"


@lru_cache(maxsize=4096)
def _minute(minutes: int) -> str:
    """The text of an instant up to its minute: the times of a batch lie close together."""
    return to_datetime(minutes * MINUTE).isoformat().removesuffix("00+00:00")


def parse_instant(text: str) -> Instant:
    """An instant from RFC 3339 text; one without a zone is UTC. Raises ValueError with the text."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not an instant; write it like 2026-01-31T12:00:00Z") from None
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def parse_duration(text: str) -> Duration:
    """Microseconds from text such as `14d`, `1h30m`, `1.5h`, `500ms`. Raises ValueError with the cure."""
    cleaned = text.strip()
    parts = _PART.findall(cleaned)
    if not parts or "".join(number + unit for number, unit in parts) != cleaned:
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 30m, 12h, 14d or 1d12h")
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def format_duration(length: Duration) -> str:
    """The shortest text that `parse_duration` reads back as the same length."""
    text, rest = "", length
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, rest = divmod(rest, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"
