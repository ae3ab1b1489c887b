"""The functions that every expression has: text, size, conversion. Pure; what cannot be is unknown, nothing raises."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rumbo.core.expression.value import OUT_OF_RANGE, WRONG_TYPE, Unknown

_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)")
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
    """From a bool, number or instant."""
    if isinstance(of, str | Unknown):
        return of
    if isinstance(of, bool):
        return "true" if of else "false"
    if isinstance(of, int):
        return str(of)
    if isinstance(of, float):
        return repr(int(of)) if of.is_integer() and abs(of) < 2**53 else repr(of)
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
        return sign * timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
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


def _part(read: Callable[[datetime], int]) -> Callable[[Any], Any]:
    return lambda of: (
        read(of.astimezone(UTC)) if isinstance(of, datetime) else of if isinstance(of, Unknown) else WRONG_TYPE
    )


METHODS: Final[dict[str, tuple[Callable[..., Any], int]]] = {
    "startsWith": (_text(str.startswith), 1),
    "endsWith": (_text(str.endswith), 1),
    "contains": (_text(str.__contains__), 1),
    "size": (size, 0),
    "getFullYear": (_part(lambda at: at.year), 0),
    "getMonth": (_part(lambda at: at.month - 1), 0),
    "getDate": (_part(lambda at: at.day), 0),
    "getDayOfMonth": (_part(lambda at: at.day - 1), 0),
    "getDayOfWeek": (_part(lambda at: at.isoweekday() % 7), 0),
    "getHours": (_part(lambda at: at.hour), 0),
    "getMinutes": (_part(lambda at: at.minute), 0),
    "getSeconds": (_part(lambda at: at.second), 0),
}
"""Name -> (function, number of arguments after the value)."""

FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {
    "size": (size, 1, 1),
    "int": (to_int, 1, 1),
    "double": (to_double, 1, 1),
    "string": (to_string, 1, 1),
    "duration": (to_duration, 1, 1),
    "timestamp": (to_timestamp, 1, 1),
    "min": (_smallest, 2, 8),
    "max": (_largest, 2, 8),
}
"""Name -> (function, fewest and most arguments)."""
