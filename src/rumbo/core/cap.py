"""Frequency caps: how often a customer may be asked. Emissions are logged once for all caps that count them together. It never emits.

Caps are read and logs are written at the customer's clock, which never goes back; so no window of a cap ever holds more than
its count. A log holds as many instants as the largest cap that reads it.
"""

from __future__ import annotations

from typing import NamedTuple

from rumbo.core.consent import plain
from rumbo.core.definition import Action, Cap
from rumbo.core.instant import Instant, format_duration, isoformat
from rumbo.core.profile import opened
from rumbo.core.scope import Scope
from rumbo.core.zone import ZoneOf, day_of

MOST = 100
"""The largest count of a cap."""


class Log(NamedTuple):
    """What is counted together: emissions with all of these, None for any. Purposes and channels as they are compared."""

    rule: str | None = None
    kind: str | None = None
    purpose: str | None = None
    channel: str | None = None
    on: str | None = None
    """`delivered`: counted when that is said of them."""

    @property
    def name(self) -> str:
        """Where the profile keeps it, and how people read it."""
        said = " ".join(f"{part} {value}" for part, value in zip(self._fields, self, strict=True) if value is not None)
        return said or "all actions"


class Caps:
    """The caps of a whole topology: which logs there are, and how long each must be."""

    def __init__(self) -> None:
        self._keep: dict[Log, int] = {}

    def __bool__(self) -> bool:
        """Whether anything is capped."""
        return bool(self._keep)

    def count(self, cap: Cap, rule: str, action: Action, channel: str | None) -> Log:
        """The log that this cap reads for an action of this rule by this channel; it is written from now on."""
        on = cap.count_on if cap.count_on != "emitted" else None
        match cap.by:
            case "rule":
                log = Log(rule=rule, on=on)
            case "purpose":
                log = Log(purpose=plain(action.purpose or ""), on=on)
            case "channel":
                log = Log(channel=plain(channel or ""), on=on)
            case _:
                log = Log(None, cap.kind, _plain(cap.purpose), _plain(cap.channel), on)
        self._keep[log] = max(self._keep.get(log, 0), cap.count)
        return log

    def write(self, scope: Scope, rule: str, action: Action, channel: str | None, on: str | None = None) -> list[str]:
        """Write an emission (or, `on` delivered, a delivery) down in every log that counts it; their names."""
        this = Log(rule, action.kind, plain(action.purpose or ""), plain(channel or ""), on)
        sent = opened(scope.profile).sent
        written: list[str] = []
        for log, keep in self._keep.items():
            if log.on == on and all(wanted is None or wanted == is_ for wanted, is_ in zip(log, this, strict=True)):
                times = sent.setdefault(log.name, [])
                times.append(scope.now)
                del times[:-keep]
                written.append(log.name)
        return written


class Full(NamedTuple):
    """A cap that is used up: in words, and when it lets one through again."""

    detail: str
    release_at: Instant
    log: Log


def full(cap: Cap, log: Log, scope: Scope, zone: ZoneOf) -> Full | None:
    """Whether the cap lets nothing more through now."""
    ledger = scope.profile.ledger
    times = ledger.sent.get(log.name) if ledger is not None else None
    if times is None or len(times) < cap.count:
        return None
    first = times[-cap.count]
    if cap.within is None:
        begins, ends = day_of(scope.now, zone(scope))
        if first < begins:
            return None
        window = "a day"
    else:
        ends = first + cap.within
        if ends <= scope.now:
            return None
        window = format_duration(cap.within)
    return Full(f"{cap.count} within {window} for {log.name}, the last {isoformat(times[-1])}", ends, log)


def _plain(name: str | None) -> str | None:
    return plain(name) if name is not None else None
