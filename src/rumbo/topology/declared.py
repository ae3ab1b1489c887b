"""A declared tracking plan (`plan:` of a topology): what producers have promised to send, held against what the definitions need."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec

from rumbo.core.interaction import folded
from rumbo.core.tracking import ANY, EventNeed, FieldNeed, TrackingPlan
from rumbo.topology.fields import Fields, kind
from rumbo.topology.problem import Notes
from rumbo.topology.yaml import Yaml

TYPES: Final = ("string", "number", "boolean", "array", "object", "any")
PLAN: Final = ("events", "traits")
_TRAITS: Final = re.compile(r"\btraits(?:\.\w+)+")


class Declared(msgspec.Struct):
    """The promise: events by folded name with their fields (`properties.total`), the customer's traits; the type of each."""

    names: dict[str, str]
    events: dict[str, dict[str, str]]
    traits: dict[str, str]


def declared_plan(node: Yaml, notes: Notes) -> Declared:
    """`{events: {Order Completed: {properties.total: number}}, traits: {plan: string}}`; problems are noted."""
    fields = Fields(node, "plan", PLAN, notes)
    found = Declared({}, {}, _types(fields.node("traits"), "plan.traits", notes))
    for name, body in fields.mapping("events").items():
        if folded(name) in found.names:
            notes.error(
                body.line,
                f"plan.events: '{name}' stands twice",
                f"it is the same event as '{found.names[folded(name)]}'",
            )
        found.names[folded(name)] = name
        types = found.events[folded(name)] = _types(body, f"plan.events.{name}", notes)
        for path in types:
            if path != "account" and (
                path.split(".", 1)[0] not in {"properties", "context", "traits"} or "." not in path
            ):
                notes.error(
                    body.line,
                    f"plan.events.{name}: `{path}` is no field of an event",
                    "write it like properties.total, context.page.path or traits.plan",
                )
    return found


def _types(node: Yaml | None, where: str, notes: Notes) -> dict[str, str]:
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        notes.error(
            node.line,
            f"{where} must be a mapping of fields to types, not {kind(node)}",
            "for example {properties.total: number}",
        )
        return {}
    for name, given in node.value.items():
        if given.value not in TYPES:
            notes.error(given.line, f"{where}: `{name}` is '{given.value}'", f"one of: {', '.join(TYPES)}")
    return {name: str(given.value) for name, given in node.value.items()}


def undeclared(need: TrackingPlan, plan: Declared, files: Iterable[tuple[Notes, Yaml]]) -> None:
    """Warn of every event and field that a rule needs and the plan does not have, where it is mentioned first."""
    places = _Places(files)
    for event in need.events:
        if event.key == ANY:
            continue
        notes, line = places.of(event.key)
        if event.key not in plan.events:
            cure = _cure(event.event, plan.names.values(), notes)
            notes.warn(line, f"event '{event.event}' is not in the tracking plan", cure)
            continue
        for said, cure in _fields(event, plan.events[event.key], notes):
            notes.warn(line, f"event '{event.event}': {said}", cure)
    for trait in need.traits:
        name = trait.field.removeprefix("traits.")
        notes, line = places.of(folded(name), trait.field)
        for said, cure in _field(trait, name, plan.traits, notes):
            notes.warn(line, f"customer: {said}", cure)


def _fields(event: EventNeed, types: dict[str, str], notes: Notes) -> Iterator[tuple[str, str]]:
    for field in event.fields:
        yield from _field(field, field.field.removeprefix("event."), types, notes)


def _field(field: FieldNeed, name: str, types: dict[str, str], notes: Notes) -> Iterator[tuple[str, str]]:
    users = f"read by {', '.join(field.used_by)}"
    given = next(
        (types[each] for each in _above(name) if each in types and (each == name or types[each] in {"object", "any"})),
        None,
    )
    if given is None:
        yield f"`{field.field}` ({users}) is not in the tracking plan", _cure(name, types, notes)
    elif field.types and given != "any" and given not in field.types and name in types:
        yield (
            f"`{field.field}` ({users}) is {given} in the tracking plan, where {' or '.join(field.types)} is needed",
            "change the plan or the rule",
        )


def _cure(name: str, known: Collection[str], notes: Notes) -> str:
    near = notes.nearest(name, known)
    return f"did you mean '{near}'?" if near is not None else "add it there, and have it collected"


def _above(name: str) -> Iterator[str]:
    """The field itself and the objects that it lies in."""
    parts = name.split(".")
    return (".".join(parts[:length]) for length in range(len(parts), 0, -1))


class _Places:
    """Where each text, and each trait that an expression reads, stands first; what stands nowhere is told at the head of the first file."""

    def __init__(self, files: Iterable[tuple[Notes, Yaml]]) -> None:
        read = list(files)
        found = [(notes, node) for notes, root in read for node in _texts(root)]
        self._places = [*((notes, node.line) for notes, node in found), (read[0][0], 1)]
        self._first: dict[str, int] = {}
        for at, (_, node) in enumerate(found):
            self._first.setdefault(folded(node.value), at)
            for path in _TRAITS.findall(node.value) if "traits." in node.value else ():
                for above in _above(path):
                    self._first.setdefault(above, at)

    def of(self, name: str, path: str = "") -> tuple[Notes, int]:
        """Where a text is this (folded) name, or an expression reads this path."""
        nowhere = len(self._places) - 1
        return self._places[min(self._first.get(name, nowhere), self._first.get(path, nowhere))]


def _texts(root: Yaml) -> Iterator[Yaml]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node.value, dict):
            waiting += reversed(node.value.values())
        elif isinstance(node.value, list):
            waiting += reversed(node.value)
        elif isinstance(node.value, str):
            yield node
