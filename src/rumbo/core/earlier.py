"""Profiles as formats 1 to 3 wrote them, put into the order of today. It knows places and names, no types."""

from __future__ import annotations

from typing import Any, Final

import msgspec

PROFILE: Final = (
    "customer", "clock", "first_seen", "events", "ring", "counters", "last", "windows", "traits", "journeys", "timers",
    "ledger", "visits", "clicks", "answers", "trouble", "member",
)  # fmt: skip
PROFILE_3: Final = ("customer", "ring", *PROFILE[1:4], *PROFILE[5:])
"""Format 3 had the ids where the formats before it had the clock."""
JOURNEY: Final = (
    "stage", "high_water", "entered_at", "entry", "history", "scores", "fired", "held", "since", "moved", "base", "segments",
    "lock", "flips", "unstable", "matches", "followed", "holds", "flows", "flown",
)  # fmt: skip
SCORE: Final = ("lanes", "rules", "band", "emitted", "seen", "out")
"""The fields of format 2, by their places. Format 1 had the first 11, 15 and 5 of them; of format 3 journeys and scores are as today's."""
_EMPTY: Final[dict[str, Any]] = {"lock": [], "flips": [], "unstable": 0, "holds": [], "flows": [], "out": ""}
"""What stands for a field that is not there; for all others an empty map."""
_Fields = dict[str, Any]

_decode: Final = msgspec.msgpack.Decoder(list[Any]).decode


def rearranged(value: bytes | memoryview) -> list[Any]:
    """The fields of a profile of format 1 to 3 as today's has them. Raises msgspec.ValidationError on what is no profile."""
    read = _decode(value)
    third = len(read) > 1 and type(read[1]) is bytes
    old = dict(zip(PROFILE_3 if third else PROFILE, read, strict=False))
    try:
        if not third:
            old["journeys"] = {name: _journey(fields) for name, fields in old["journeys"].items()}
        old["older"], old["ring"] = old["ring"], b""
    except (KeyError, TypeError, AttributeError):
        raise msgspec.ValidationError("a profile neither of this format nor of an earlier one") from None
    return _take(old, "customer counters clock first_seen events ring last windows traits journeys timers") + [
        old.get(name) for name in ("ledger", "visits", "clicks", "answers", "trouble", "member", "older")
    ]


def _journey(fields: list[Any]) -> list[Any]:
    old = dict(zip(JOURNEY, fields, strict=False))
    old["scores"] = {name: _score(each) for name, each in old["scores"].items()}
    apart = ("held since segments matches followed", "moved base lock flips unstable", "holds flows flown")
    return _take(old, "stage high_water entered_at entry history scores fired") + [_apart(old, each) for each in apart]


def _score(fields: list[Any]) -> list[Any]:
    old = dict(zip(SCORE, fields, strict=False))
    return [*_take(old, "lanes rules band emitted out"), old["seen"] or None]


def _take(old: _Fields, names: str) -> list[Any]:
    return [old.get(name, _EMPTY.get(name, {})) for name in names.split()]


def _apart(old: _Fields, names: str) -> list[Any] | None:
    """What stands apart; None where there is nothing of it."""
    found = _take(old, names)
    return found if any(found) else None
