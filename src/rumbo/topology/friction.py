"""Friction as authors write it: each kind as usual, changed, or off. What is usual stands here; `core.friction` tells the kinds apart."""

from __future__ import annotations

from typing import Final

import msgspec

from rumbo.core.definition import EventTest, Friction, FrictionRule
from rumbo.core.instant import DAY, MINUTE, SECOND, Duration, format_duration
from rumbo.core.interaction import folded
from rumbo.topology.fields import Fields
from rumbo.topology.words import Words, event_fields, event_test
from rumbo.topology.yaml import Yaml


class Usual(msgspec.Struct, frozen=True):
    """What a kind is where the author says no more."""

    event: str
    place: str
    weight: float
    count: int = 1
    within: Duration = 0
    until: str | None = None


KINDS: Final = {
    "rage_click": Usual("Element Clicked", "event.properties.element", 3.0, 3, 2 * SECOND),
    "form_error": Usual("Form Error Shown", "event.properties.form", 3.0, 2, 10 * MINUTE),
    "form_abandoned": Usual("Form Started", "event.properties.form", 3.0, 1, 10 * MINUTE, "Form Submitted"),
    "error_page": Usual("Error Page Viewed", "event.properties.path", 4.0, 3, 30 * MINUTE),
    "back_and_forth": Usual("Page Viewed", "event.properties.path", 2.0, 2, MINUTE),
    "repeated_ticket": Usual("Ticket Opened", "event.properties.topic", 8.0, 2, 7 * DAY),
    "payment_failure": Usual("Payment Failed", "event.properties.method", 8.0),
}
"""The kinds that are told from interactions."""
STUCK: Final = "stuck_in_stage"
"""The kind that is told from a stage."""
STUCK_WEIGHT: Final = 4.0
FRICTION: Final = (*KINDS, STUCK)
STUCK_OF: Final = ("weight",)
FRICTION_OF: Final = {
    kind: ("event", "where", "place", "weight", *(("until",) if usual.until else ()), *(("count",) if usual.count > 1 else ()), *(("within",) if usual.within else ()))
    for kind, usual in KINDS.items()
}  # fmt: skip
"""What each kind that is told from interactions may say."""
MOST: Final = 8
"""How many of one kind make one friction, at the most: no more are kept for long."""
_LONGEST: Final = 30 * DAY


def friction(node: Yaml, words: Words) -> Friction:
    """`friction:` of a topology; problems are noted."""
    fields = Fields(node, "friction", FRICTION, words.notes)
    rules = tuple(
        _trouble(kind, usual, fields.node(kind), words)
        for kind, usual in KINDS.items()
        if not _is_off(fields.node(kind))
    )
    if _is_off(given := fields.node(STUCK)):
        return Friction(rules)
    weight = _weight(Fields(given, f"friction.{STUCK}", STUCK_OF, words.notes), STUCK_WEIGHT, words) if given is not None else STUCK_WEIGHT  # fmt: skip
    return Friction(rules, weight)


def _is_off(node: Yaml | None) -> bool:
    return node is not None and (node.value == "off" or node.value is False)


def _trouble(kind: str, usual: Usual, node: Yaml | None, words: Words) -> FrictionRule:
    """One kind of friction: as usual, but for what the author says."""
    where = f"friction.{kind}"
    until = EventTest((folded(usual.until),), None, usual.until) if usual.until is not None else None
    made = FrictionRule(
        kind, EventTest((folded(usual.event),), None, usual.event), usual.place, usual.weight, usual.count, usual.within, until
    )  # fmt: skip
    if node is None:
        return made
    fields = Fields(node, where, FRICTION_OF[kind], words.notes)
    events = made.events
    if fields.has("event"):
        events = event_fields(fields, where, words)
    elif (text := fields.text("where")) is not None:
        words.expression(text, fields.at("where"), where, event_only=True)
        events = msgspec.structs.replace(events, where=text)
    place = fields.text("place", usual.place) or usual.place
    words.expression(place, fields.at("place"), where, wants="string", event_only=True)
    if usual.until is not None and (given := fields.node("until")) is not None:
        until = event_test(given, f"{where}.until", words)
    within = fields.length("within", usual.within) or usual.within
    if within > _LONGEST:
        words.notes.error(
            fields.at("within"), f"{where}: `within` is at most {format_duration(_LONGEST)}", "it is meant to tell one trouble"
        )  # fmt: skip
    count = fields.whole("count", usual.count, least=2, most=MOST)
    return FrictionRule(kind, events, place, _weight(fields, made.weight, words), count, within, until)


def _weight(fields: Fields, usual: float, words: Words) -> float:
    weight = fields.number("weight", usual)
    if weight is None or weight <= 0:
        words.notes.error(fields.at("weight"), f"{fields.where}: `weight` must be above 0", "write off instead of the mapping to leave the kind out")  # fmt: skip
        return usual
    return weight
