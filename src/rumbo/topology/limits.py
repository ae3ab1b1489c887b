"""What a policy allows, as authors write it: quiet hours, frequency caps, hold-outs."""

from __future__ import annotations

import re

from rumbo.core.cap import MOST
from rumbo.core.definition import Cap, HoldOut, Limits, QuietHours
from rumbo.core.zone import find_zone
from rumbo.topology.fields import Fields, kind
from rumbo.topology.problem import Notes
from rumbo.topology.yaml import Yaml

KEYS = ("quiet_hours", "caps", "hold_out")
QUIET = ("from", "to", "zone", "hold")
CAP = ("count", "within", "per", "count_on")
HOLD_OUT = ("experiment", "share")
CUSTOMER = "customer"
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_HOLD = {True: "hold", False: "drop", "before_expiry": "before_expiry"}


def limits(fields: Fields, where: str, notes: Notes) -> Limits:
    """The limits of one policy."""
    quiet, hold = fields.node("quiet_hours"), fields.node("hold_out")
    return Limits(
        _quiet(quiet, f"{where}.quiet_hours", notes) if quiet is not None else None,
        tuple(policy_cap(item, f"{where}.caps", notes) for item in fields.items("caps")),
        hold_out(hold, f"{where}.hold_out", notes) if hold is not None else None,
    )


def _quiet(node: Yaml, where: str, notes: Notes) -> QuietHours | None:
    fields = Fields(node, where, QUIET, notes)
    begin, end = time_of_day(fields, "from", notes), time_of_day(fields, "to", notes)
    zone = fields.text("zone", CUSTOMER) or CUSTOMER
    if zone != CUSTOMER and find_zone(zone) is None:
        notes.error(
            fields.at("zone"), f"{where}: '{zone}' is no time zone", f"{CUSTOMER}, or for example Europe/Madrid"
        )
        zone = CUSTOMER
    if begin is None or end is None:
        return None
    if begin == end:
        notes.error(node.line, f"{where}: `from` and `to` are the same time", "nothing would ever be asked for")
        return None
    return QuietHours(begin, end, None if zone == CUSTOMER else zone, _hold(fields, notes))  # type: ignore[arg-type]  # one of the three


def _hold(fields: Fields, notes: Notes) -> str:
    node = fields.node("hold")
    if node is None:
        return "hold"
    if isinstance(node.value, bool | str) and node.value in _HOLD:
        return _HOLD[node.value]
    notes.error(node.line, f"{fields.where}: `hold` is '{node.value}'", "true, false or before_expiry")
    return "hold"


def time_of_day(fields: Fields, key: str, notes: Notes) -> int | None:
    """Seconds since midnight."""
    text = fields.needed(key, 'a time of day, for example "20:00"')
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        notes.error(fields.at(key), f"{fields.where}: '{text}' is no time of day", 'from "00:00" to "23:59"')
        return None
    return int(found[1]) * 3600 + int(found[2]) * 60


def policy_cap(node: Yaml, where: str, notes: Notes) -> Cap:
    """A cap of a policy: by rule where it does not say otherwise."""
    fields = Fields(node, where, (*CAP, "by"), notes)
    made = _cap(fields, notes)
    by = fields.choice("by", ("rule", "purpose", "channel", "all"), "rule")
    return Cap(*made, by, count_on=_count_on(fields))  # type: ignore[arg-type]  # one of the four


def topology_cap(node: Yaml, where: str, notes: Notes) -> Cap:
    """A cap for every action with this kind, purpose and channel."""
    fields = Fields(node, where, (*CAP, "kind", "purpose", "channel"), notes)
    parts = fields.text("kind"), fields.text("purpose"), fields.text("channel")
    return Cap(*_cap(fields, notes), "all", *parts, _count_on(fields))  # type: ignore[arg-type]  # one of the two


def _count_on(fields: Fields) -> str:
    return fields.choice("count_on", ("emitted", "delivered"), "emitted")


def _cap(fields: Fields, notes: Notes) -> tuple[int, int | None]:
    count, within = fields.whole("count", 1, most=MOST), fields.length("within")
    if not fields.has("count"):
        notes.error(fields.line, f"{fields.where}: `count` is missing", "for example {count: 1, within: 7d}")
    if fields.has("within") is fields.has("per"):
        notes.error(fields.line, f"{fields.where}: needs `within` or `per`, not both", "within: 7d, or per: day")
    if fields.has("per"):
        fields.choice("per", ("day",), "day")
    return count, within


def hold_out(node: Yaml, where: str, notes: Notes, name: str | None = None) -> HoldOut | None:
    """`{experiment, share}`; a topology's needs no name."""
    fields = Fields(node, where, HOLD_OUT, notes)
    experiment = fields.text("experiment", name) or ""
    if not experiment:
        notes.error(node.line, f"{where}: `experiment` is missing", "the name that exposures and results go by")
    share = fields.node("share")
    if share is None or isinstance(share.value, bool) or not isinstance(share.value, int | float):
        notes.error(node.line, f"{where}: `share` must be a number{'' if share is None else f', not {kind(share)}'}", "for example share: 0.1")  # fmt: skip
        return None
    if not 0 < share.value < 1:
        notes.error(share.line, f"{where}: `share` is above 0 and below 1", "0.1 holds one customer in ten out")
        return None
    return HoldOut(experiment, float(share.value))
