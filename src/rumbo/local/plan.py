"""The tracking plan held against a history: what never came, what came with another type, what came and is never mentioned.

It reads records as the topology's sources say and runs no rule. Names from outside are bounded: a producer must not fill the memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from rumbo.core.interaction import Interaction
from rumbo.core.tracking import ANY, EventNeed, FieldNeed, TrackingPlan, kind_of, tracking_plan
from rumbo.intake import RawRecord, Reject, Skip, reader
from rumbo.topology import Topology

OTHERS: Final = 1_000
"""Event names that are remembered although nothing mentions them."""


class FieldSeen(msgspec.Struct, frozen=True):
    """A field in a history: in how many of the events that should carry it, and as what."""

    field: str
    expected: tuple[str, ...]
    used_by: tuple[str, ...]
    present: int
    types: dict[str, int]

    @property
    def strange(self) -> dict[str, int]:
        """The types that no rule can use, with how often they came. A null is an absence."""
        return {
            kind: count for kind, count in self.types.items() if self.expected and kind not in (*self.expected, "null")
        }


class EventSeen(msgspec.Struct, frozen=True):
    """An event of the plan in a history. `nearest` is an unmentioned event that is probably meant, where this one never came."""

    event: str
    used_by: tuple[str, ...]
    seen: int
    fields: tuple[FieldSeen, ...]
    nearest: str | None = None


class Comparison(msgspec.Struct, frozen=True):
    """The plan and the history side by side. `unmentioned`: name to count, the most frequent first."""

    records: int
    rejected: int
    events: tuple[EventSeen, ...]
    traits: tuple[FieldSeen, ...]
    unmentioned: dict[str, int]
    unmentioned_beyond: int
    """Events whose names came after the first thousand unmentioned ones."""

    @property
    def findings(self) -> list[str]:
        """What the producers and the definitions do not agree on, one sentence each."""
        return [*(said for event in self.events for said in _event_findings(event)), *self._trait_findings()]

    def _trait_findings(self) -> Iterator[str]:
        for trait in self.traits:
            if not trait.present:
                yield f"{trait.field} was never said of any customer"
            yield from _strange(trait, "")


def compare_plan(topology: Topology, records: Iterable[RawRecord]) -> Comparison:
    """Read a history and hold it against what the definitions need."""
    readers = {source.topic: reader(source.reading) for source in topology.sources}
    other = readers[topology.sources[0].topic]
    count = rejected = 0
    seen = Observed(tracking_plan(topology.journeys, topology.contact, topology.derived, topology.accounts))
    for record in records:
        if record.topic == topology.outputs.control:
            continue
        count += 1
        found = readers.get(record.topic, other)(record)
        if isinstance(found, Reject):
            rejected += 1
        elif not isinstance(found, Skip):
            seen.see(found)
    return seen.compared(count, rejected)


class Observed:
    """What a history shows of a plan so far."""

    def __init__(self, plan: TrackingPlan) -> None:
        self._plan = plan
        self._by_key = {each.key: each for each in plan.events}
        self._always = self._by_key.get(ANY)
        self._seen: Counter[str] = Counter()
        self._kinds: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._names: dict[str, str] = {}
        self._beyond = 0

    def see(self, event: Interaction) -> None:
        """Take one interaction into account."""
        need = self._by_key.get(event.key)
        for each in (need, self._always):
            if each is not None:
                self._count(each, event)
        if need is None:
            self._unmentioned(event)
        for trait in self._plan.traits:
            self._look(trait, ANY, event.traits, trait.path[1:])

    def _count(self, need: EventNeed, event: Interaction) -> None:
        self._seen[need.key] += 1
        for field in need.fields:
            self._look(field, need.key, getattr(event, field.path[1]), field.path[2:])

    def _look(self, field: FieldNeed, key: str, section: Any, path: tuple[str, ...]) -> None:
        for name in path:
            if not isinstance(section, dict) or name not in section:
                return
            section = section[name]
        if not path and section is None:  # no account is said
            return
        self._kinds[key, field.field][kind_of(section)] += 1

    def _unmentioned(self, event: Interaction) -> None:
        if event.key in self._names or len(self._names) < OTHERS:
            self._names.setdefault(event.key, event.name)
            self._seen[event.key] += 1
        else:
            self._beyond += 1

    def compared(self, records: int, rejected: int) -> Comparison:
        """The plan and what was seen of it."""
        names = {key: self._names[key] for key, _ in self._seen.most_common() if key in self._names}
        events = tuple(self._event(each, names) for each in self._plan.events)
        traits = tuple(self._field(each, ANY) for each in self._plan.traits)
        others = {name: self._seen[key] for key, name in names.items()}
        return Comparison(records, rejected, events, traits, others, self._beyond)

    def _event(self, need: EventNeed, names: dict[str, str]) -> EventSeen:
        seen = self._seen[need.key]
        near = get_close_matches(need.key, names, 1, 0.75) if not seen else []
        fields = tuple(self._field(each, need.key) for each in need.fields)
        return EventSeen(need.event, need.used_by, seen, fields, names[near[0]] if near else None)

    def _field(self, need: FieldNeed, key: str) -> FieldSeen:
        kinds = self._kinds[key, need.field]
        return FieldSeen(need.field, need.types, need.used_by, kinds.total(), dict(kinds.most_common()))


def _event_findings(event: EventSeen) -> Iterator[str]:
    if not event.seen:
        meant = f"; '{event.nearest}' came and is never mentioned: is it meant?" if event.nearest else ""
        if event.event != ANY:
            yield f"{event.event} never came{meant}"
        return
    for field in event.fields:
        if not field.present:
            yield f"{event.event}: {field.field} was in none of {event.seen:,}"
        yield from _strange(field, f"{event.event}: ")


def _strange(field: FieldSeen, where: str) -> Iterator[str]:
    for kind, count in field.strange.items():
        yield f"{where}{field.field} came as {kind} in {count:,} of {field.present:,}, where {' or '.join(field.expected)} is expected"
