"""The functions that every expression has: text, size, conversion. Pure; what cannot be is unknown, nothing raises."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rumbo.core.expression.value import OUT_OF_RANGE, WRONG_TYPE, Unknown, bounded

_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)")
_BOOLS: Final = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)
_MICROSECOND: Final = timedelta(microseconds=1)
_OFFSET: Final = re.compile(r"([+-]?)(\d{2}):(\d{2})")
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _text(apply: Callable[[str, str], bool]) -> Callable[..., Any]:
    def method(of: Any, part: Any) -> Any:
        if type(of) is str and type(part) is str:
            return apply(of, part)
        return of if isinstance(of, Unknown) else part if isinstance(part, Unknown) else WRONG_TYPE

    return method


def size(of: Any) -> Any:
    """Characters of a text, elements of a list or map."""
    return len(of) if isinstance(of, str | list | dict) else of if isinstance(of, Unknown) else WRONG_TYPE


def to_bool(of: Any) -> Any:
    """From text as Go's `strconv.ParseBool` reads it, which CEL means."""
    if isinstance(of, bool | Unknown):
        return of
    return _BOOLS.get(of, WRONG_TYPE) if type(of) is str else WRONG_TYPE


def to_dyn(of: Any) -> Any:
    """The value as it is: to the checker, of any type."""
    return of


def to_int(of: Any) -> Any:
    """From a double (towards zero), decimal text, or an instant (seconds)."""
    if type(of) is int or isinstance(of, Unknown):
        return of
    if type(of) is float:
        return int(of) if math.isfinite(of) and abs(of) < 2**63 else OUT_OF_RANGE
    if type(of) is str and re.fullmatch(r"-?\d{1,19}", of) and -(2**63) <= int(of) < 2**63:
        return int(of)
    return int(of.timestamp()) if isinstance(of, datetime) else WRONG_TYPE


def to_double(of: Any) -> Any:
    """From an integer or text."""
    if type(of) in {int, float}:
        return float(of)
    if type(of) is str:
        try:
            return float(of)
        except ValueError:
            return WRONG_TYPE
    return of if isinstance(of, Unknown) else WRONG_TYPE


def to_string(of: Any) -> Any:
    """From a bool, number, instant or duration (in seconds)."""
    if isinstance(of, str | Unknown):
        return of
    if isinstance(of, bool):
        return "true" if of else "false"
    if isinstance(of, int):
        return str(of)
    if isinstance(of, float):
        return repr(int(of)) if of.is_integer() and abs(of) < 2**53 else repr(of)
    if isinstance(of, timedelta):
        seconds = of // _MICROSECOND
        return f"{seconds // 1_000_000}s" if seconds % 1_000_000 == 0 else f"{of.total_seconds()!r}s"
    return of.isoformat().replace("+00:00", "Z") if isinstance(of, datetime) else WRONG_TYPE


def to_duration(of: Any) -> Any:
    """From text such as `90s`, `1h30m`; `d` and `w` besides CEL's units."""
    if isinstance(of, timedelta | Unknown):
        return of
    if type(of) is not str:
        return WRONG_TYPE
    sign, body = (-1, of[1:]) if of[:1] == "-" else (1, of)
    parts = _DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        return OUT_OF_RANGE
    try:
        return bounded(sign * timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts)))
    except OverflowError:
        return OUT_OF_RANGE


def to_timestamp(of: Any) -> Any:
    """From RFC 3339 text or seconds."""
    if isinstance(of, datetime | Unknown):
        return of
    try:
        if type(of) is str:
            moment = datetime.fromisoformat(of)
            return moment if moment.tzinfo else WRONG_TYPE
        return datetime.fromtimestamp(of, UTC) if type(of) is int else WRONG_TYPE
    except (ValueError, OverflowError, OSError):
        return OUT_OF_RANGE


def _smallest(*numbers: Any) -> Any:
    """The smallest of some numbers (ours)."""
    bad = next((each for each in numbers if isinstance(each, Unknown)), None)
    if bad is not None:
        return bad
    return min(numbers) if all(type(each) in {int, float} for each in numbers) else WRONG_TYPE


def _largest(*numbers: Any) -> Any:
    """The largest of some numbers (ours)."""
    bad = next((each for each in numbers if isinstance(each, Unknown)), None)
    if bad is not None:
        return bad
    return max(numbers) if all(type(each) in {int, float} for each in numbers) else WRONG_TYPE


def zone(name: str) -> tzinfo:
    """A zone by its name (`Europe/Madrid`) or offset (`+02:00`). Raises ValueError with the cure."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        length = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-length if sign == "-" else length)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is no time zone; write it like Europe/Madrid or +02:00") from None


def _part(read: Callable[[datetime], int], whole: timedelta | None = None) -> Callable[..., Any]:
    """A part of an instant in a zone; of a duration, where it has that part, how many whole ones it is long."""

    def part(of: Any, where: tzinfo = UTC) -> Any:
        if isinstance(of, datetime):
            return read(of.astimezone(where))
        if isinstance(of, timedelta) and whole is not None:
            return of // whole if of >= timedelta(0) else -(-of // whole)
        return of if isinstance(of, Unknown) else WRONG_TYPE

    return part


def _milliseconds(of: Any, where: tzinfo = UTC) -> Any:
    """Of an instant and of a duration alike: the part below the second."""
    if isinstance(of, timedelta):
        return of.microseconds // 1000
    return _part(lambda at: at.microsecond // 1000)(of, where)


ZONED: Final[dict[str, Callable[..., Any]]] = {
    "getFullYear": _part(lambda at: at.year),
    "getMonth": _part(lambda at: at.month - 1),
    "getDate": _part(lambda at: at.day),
    "getDayOfMonth": _part(lambda at: at.day - 1),
    "getDayOfWeek": _part(lambda at: at.isoweekday() % 7),
    "getDayOfYear": _part(lambda at: at.timetuple().tm_yday - 1),
    "getHours": _part(lambda at: at.hour, timedelta(hours=1)),
    "getMinutes": _part(lambda at: at.minute, timedelta(minutes=1)),
    "getSeconds": _part(lambda at: at.second, timedelta(seconds=1)),
    "getMilliseconds": _milliseconds,
}
"""Parts of an instant: UTC, or in the zone that a literal names."""

METHODS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {
    "startsWith": (_text(str.startswith), 1, 1),
    "endsWith": (_text(str.endswith), 1, 1),
    "contains": (_text(str.__contains__), 1, 1),
    "size": (size, 0, 0),
    **{name: (read, 0, 1) for name, read in ZONED.items()},
}
"""Name -> (function, fewest and most arguments after the value)."""

FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {
    "size": (size, 1, 1),
    "dyn": (to_dyn, 1, 1),
    "bool": (to_bool, 1, 1),
    "int": (to_int, 1, 1),
    "double": (to_double, 1, 1),
    "string": (to_string, 1, 1),
    "duration": (to_duration, 1, 1),
    "timestamp": (to_timestamp, 1, 1),
    "min": (_smallest, 2, 8),
    "max": (_largest, 2, 8),
}
"""Name -> (function, fewest and most arguments)."""
