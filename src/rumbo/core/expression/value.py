"""What expressions compute with: unknown, and CEL's operators on JSON's values. Nothing here raises: what cannot be is unknown.

Unknown (a missing field, a wrong type, an overflow, a division by zero) passes through comparison, arithmetic and `!`;
`&&` and `||` absorb it as CEL absorbs errors. Integers have 64 bits. Integer and double compare by value, as CEL says; in
arithmetic they mix to a double (our addition: JSON does not tell them apart).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
LONGEST: Final = timedelta(microseconds=_INT_MAX // 1000)


class Unknown:
    """Not to be told: why is in `reason` (for people; all unknowns count the same)."""

    __slots__ = ("reason",)

    def __init__(self, reason: str = "missing") -> None:
        self.reason = reason

    def __bool__(self) -> NoReturn:
        raise TypeError("unknown is neither true nor false: ask `is True`")

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()
WRONG_TYPE: Final = Unknown("the operation does not fit the value's type")
OUT_OF_RANGE: Final = Unknown("out of range")
BY_ZERO: Final = Unknown("division by zero")


def is_unknown(value: object) -> bool:
    """Whether it is unknown, for whatever reason."""
    return isinstance(value, Unknown)


def truth(value: object) -> bool:
    """Only true is yes; unknown is no."""
    return value is True


def _number(value: object) -> bool:
    return type(value) is int or type(value) is float


def equal(left: Any, right: Any) -> Any:
    """CEL's `==`: numbers by value whatever their type, values of different types are unequal, NaN equals nothing."""
    if isinstance(left, Unknown):
        return left
    if isinstance(right, Unknown):
        return right
    if type(left) is type(right):
        if isinstance(left, list):
            return len(left) == len(right) and all(equal(a, b) is True for a, b in zip(left, right, strict=True))
        if isinstance(left, dict):
            return left.keys() == right.keys() and all(equal(left[key], right[key]) is True for key in left)
        return left == right
    if _number(left) and _number(right):
        return float(left) == float(right)
    return False


def unequal(left: Any, right: Any) -> Any:
    """CEL's `!=`."""
    same = equal(left, right)
    return same if isinstance(same, Unknown) else not same


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        kind = type(left)
        if kind is type(right) and kind in _ORDERED:
            return compare(left, right)
        if isinstance(left, Unknown):
            return left
        if isinstance(right, Unknown):
            return right
        return compare(float(left), float(right)) if _number(left) and _number(right) else WRONG_TYPE

    return apply


_ORDERED: Final = frozenset({int, float, str, bool, datetime, timedelta})


def _whole(value: int) -> Any:
    return value if _INT_MIN <= value <= _INT_MAX else OUT_OF_RANGE


def _arithmetic(whole: Callable[[int, int], Any], real: Callable[[float, float], Any]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if isinstance(left, Unknown):
            return left
        if isinstance(right, Unknown):
            return right
        if type(left) is int and type(right) is int:
            return whole(left, right)
        return real(float(left), float(right)) if _number(left) and _number(right) else WRONG_TYPE

    return apply


def add(left: Any, right: Any) -> Any:
    """`+`: numbers, text, lists, durations, an instant and a duration."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    if type(left) is type(right) and isinstance(left, str | list):
        return left + right
    if isinstance(left, datetime | timedelta) or isinstance(right, datetime | timedelta):
        return _moved(left, right, 1)
    return _plus(left, right)


def subtract(left: Any, right: Any) -> Any:
    """`-`: numbers, durations, an instant less an instant or a duration."""
    if isinstance(left, datetime | timedelta):
        return _moved(left, right, -1)
    return _minus(left, right)


def _moved(left: Any, right: Any, sign: int) -> Any:
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    try:
        return bounded(left + right if sign > 0 else left - right)
    except TypeError:
        return WRONG_TYPE
    except OverflowError:
        return OUT_OF_RANGE


def bounded(value: Any) -> Any:
    """A duration within CEL's bounds (64 bits of nanoseconds: some 292 years), or out of range."""
    return OUT_OF_RANGE if isinstance(value, timedelta) and abs(value) > LONGEST else value


def _divide(left: int, right: int) -> Any:
    if right == 0:
        return BY_ZERO
    quotient = abs(left) // abs(right)
    return _whole(quotient if (left < 0) == (right < 0) else -quotient)


def _modulo(left: int, right: int) -> Any:
    if right == 0:
        return BY_ZERO
    return (
        int(math.fmod(left, right)) if abs(left) < 2**53 and abs(right) < 2**53 else left - right * _divide(left, right)
    )


def _real_divide(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)


_plus: Final = _arithmetic(lambda a, b: _whole(a + b), lambda a, b: a + b)
_minus: Final = _arithmetic(lambda a, b: _whole(a - b), lambda a, b: a - b)


def contains(item: Any, among: Any) -> Any:
    """`in`: an element of a list, a key of a map."""
    if isinstance(item, Unknown) or isinstance(among, Unknown):
        return item if isinstance(item, Unknown) else among
    if isinstance(among, dict):
        return item in among if isinstance(item, str) else False
    if not isinstance(among, list):
        return WRONG_TYPE
    return any(equal(item, each) is True for each in among)


def negate(value: Any) -> Any:
    """Unary `-`."""
    if isinstance(value, Unknown):
        return value
    if type(value) is int:
        return _whole(-value)
    return -value if type(value) is float else WRONG_TYPE


def invert(value: Any) -> Any:
    """`!`."""
    if value is True:
        return False
    if value is False:
        return True
    return value if isinstance(value, Unknown) else WRONG_TYPE


def element(of: Any, key: Any) -> Any:
    """`of[key]`."""
    if isinstance(of, Unknown) or isinstance(key, Unknown):
        return of if isinstance(of, Unknown) else key
    if isinstance(of, dict):
        return of.get(key, UNKNOWN) if isinstance(key, str) else WRONG_TYPE
    if type(key) is float and key.is_integer():
        key = int(key)
    if isinstance(of, list) and type(key) is int:
        return of[key] if 0 <= key < len(of) else OUT_OF_RANGE
    return WRONG_TYPE


OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": equal,
    "!=": unequal,
    "<": _ordered(lambda a, b: a < b),
    "<=": _ordered(lambda a, b: a <= b),
    ">": _ordered(lambda a, b: a > b),
    ">=": _ordered(lambda a, b: a >= b),
    "in": contains,
    "+": add,
    "-": subtract,
    "*": _arithmetic(lambda a, b: _whole(a * b), lambda a, b: a * b),
    "/": _arithmetic(_divide, _real_divide),
    "%": _arithmetic(_modulo, lambda _a, _b: WRONG_TYPE),
}
