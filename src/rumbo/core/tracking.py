"""The tracking plan that definitions imply: which events and fields they need, of what type, and for what. It never runs a rule.

An expression in a condition with no event of its own (`{where: …}` in a stage) is read on any interaction: those fields stand
under the event `*`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, assert_never, cast

import msgspec

from rumbo.core import definition as d
from rumbo.core.expression import ExpressionError, Type, needs, parse, references
from rumbo.core.interaction import folded
from rumbo.core.signal import FRICTION, PAGE_LEFT, SESSION_ENDED, SESSION_STARTED

ANY: Final = "*"
TYPES: Final[dict[Type, str]] = {"bool": "boolean", "number": "number", "string": "string", "list": "array"}
"""What an expression can need, as JSON names it."""


class FieldNeed(msgspec.Struct, frozen=True):
    """A field that rules read: `event.properties.total`, `traits.plan`. `types` as JSON names them; none where any will do."""

    field: str
    path: tuple[str, ...]
    types: tuple[str, ...]
    used_by: tuple[str, ...]


class EventNeed(msgspec.Struct, frozen=True):
    """An event that rules listen to, under the name as it was written first; `key` is the name as names are compared."""

    event: str
    key: str
    used_by: tuple[str, ...]
    fields: tuple[FieldNeed, ...]


class TrackingPlan(msgspec.Struct, frozen=True):
    """Everything that some rule needs: events by name, then the customer's traits."""

    events: tuple[EventNeed, ...]
    traits: tuple[FieldNeed, ...]


class Use(NamedTuple):
    """Who reads an expression, or (where `text` is empty) a trait of the customer. `events`: on which interactions, none for any."""

    journey: str
    rule: str
    events: tuple[str, ...]
    text: str
    trait: str
    wants: Type


def uses(
    journeys: Iterable[d.Journey], contact: d.Contact, derived: d.Derived, accounts: d.Accounts | None = None
) -> Iterator[Use]:
    """Every expression, and every trait that must be of some type, with the rule that reads it. `journey` is empty for the topology's own."""
    drawer = _Drawer()
    drawer.derived(derived)
    drawer.contact(contact)
    drawer.accounts(accounts)
    yield from drawer.uses("")
    for journey in journeys:
        drawer = _Drawer()
        drawer.journey(journey)
        yield from drawer.uses(journey.id)


def tracking_plan(
    journeys: Iterable[d.Journey],
    contact: d.Contact | None = None,
    derived: d.Derived | None = None,
    accounts: d.Accounts | None = None,
) -> TrackingPlan:
    """What these journeys, the terms of contact and what is derived need of their producers; not what Rumbo derives itself."""
    drawer = _Drawer()
    if derived is not None:
        drawer.derived(derived)
    if contact is not None:
        drawer.contact(contact)
    drawer.accounts(accounts)
    for journey in journeys:
        drawer.journey(journey)
    keys = sorted(drawer.events.keys() - drawer.own, key=lambda key: (key == ANY, key))
    events = tuple(drawer.events[key].need(key) for key in keys)
    return TrackingPlan(events, _fields(drawer.traits))


class _Uses:
    def __init__(self) -> None:
        self.types: dict[str, None] = {}
        self.used_by: dict[str, None] = {}


class _Event:
    def __init__(self, name: str) -> None:
        self.name = name
        self.used_by: dict[str, None] = {}
        self.fields: defaultdict[tuple[str, ...], _Uses] = defaultdict(_Uses)

    def need(self, key: str) -> EventNeed:
        return EventNeed(self.name, key, tuple(self.used_by), _fields(self.fields))


def _fields(found: dict[tuple[str, ...], _Uses]) -> tuple[FieldNeed, ...]:
    return tuple(
        FieldNeed(".".join(path), path, tuple(uses.types), tuple(uses.used_by)) for path, uses in sorted(found.items())
    )


class _Rule(NamedTuple):
    """Who asks, and the interactions on which it does (none: any)."""

    name: str
    events: d.EventTest = d.EventTest()


class _Drawer:
    def __init__(self) -> None:
        self.events: dict[str, _Event] = {}
        self.traits: defaultdict[tuple[str, ...], _Uses] = defaultdict(_Uses)
        self.own: set[str] = set()
        """Names of what Rumbo derives, which no producer sends."""
        self._texts: dict[tuple[str, str, tuple[str, ...], Type], None] = {}
        self._typed: dict[tuple[str, str, Type], None] = {}

    def uses(self, journey: str) -> Iterator[Use]:
        """What was met, by who reads it."""
        for rule, text, events, wants in self._texts:
            yield Use(journey, rule, events, text, "", wants)
        for rule, trait, wants in self._typed:
            yield Use(journey, rule, (), "", trait, wants)

    def derived(self, derived: d.Derived) -> None:
        if derived.sessions is not None:
            self.own |= {folded(name) for name in (SESSION_STARTED, SESSION_ENDED, PAGE_LEFT)}
            self._test(derived.sessions.events, "sessions")
            self._expression(derived.sessions.page, _Rule("sessions", derived.sessions.events), "string")
        if (scanners := derived.scanners) is not None:
            for events in (scanners.click, scanners.delivered, scanners.human):
                if events is not None:
                    self._test(events, "scanners")
            for events in (scanners.click, scanners.delivered):
                if events is not None and scanners.message is not None:
                    self._expression(scanners.message, _Rule("scanners", events), "string")
            for text, kind in ((scanners.link, "string"), (scanners.honeypot, "bool"), (scanners.known, "bool")):
                if text is not None:
                    self._expression(text, _Rule("scanners", scanners.click), cast("Type", kind))
        if derived.friction is not None:
            self._friction(derived.friction)
        for answer in derived.answers:
            self._test(answer.events, "answers")
            here = _Rule("answers", answer.events)
            self._expression(answer.score, here, "number")
            for text in (answer.survey, answer.kind, answer.comment):
                if text is not None:
                    self._expression(text, here, "string")

    def _friction(self, friction: d.Friction) -> None:
        self.own.add(folded(FRICTION))
        for rule in friction.rules:
            for events in (rule.events, rule.until):
                if events is not None:
                    self._test(events, f"friction {rule.kind}")
                    self._expression(rule.place, _Rule(f"friction {rule.kind}", events), "string")

    def journey(self, journey: d.Journey) -> None:
        for score in journey.scores:
            for rule in score.rules:
                self._points(rule, f"score {score.name}")
            self._whole(score, f"score {score.name}")
        for segment in journey.segments:
            self._condition(segment.when, _Rule(f"segment {segment.name}"))
        for stage in journey.stages:
            for condition in (stage.when, stage.until, *(back.when for back in stage.back)):
                self._condition(condition, _Rule(f"stage {stage.name}"))
        for order in journey.authority.sets:
            self._test(order.events, "authority")
            self._expression(order.stage, _Rule("authority", order.events), "string")
        for release in journey.authority.releases:
            self._test(release, "authority")
        for trigger in journey.triggers:
            self._trigger(trigger, f"trigger {trigger.id}")
        for flow in journey.flows:
            self._flow(flow, f"flow {flow.id}")

    def _whole(self, score: d.Score, name: str) -> None:
        for rule in score.traits:
            self._expression(rule.where, _Rule(name), "bool")
        for verdict in score.disqualify:
            self._condition(verdict.when, _Rule(name))
        for reset in score.resets:
            if reset.events is not None:
                self._test(reset.events, name)
            self._condition(reset.when, _Rule(name, reset.events or d.EventTest()))

    def contact(self, contact: d.Contact) -> None:
        for rule in contact.consent:
            self._test(rule.events, "consent")
            for text in (rule.status, rule.purpose, rule.channel, rule.source, rule.proof, rule.expires):
                if text is not None:
                    self._expression(text, _Rule("consent", rule.events), "dyn")
        for message in contact.messages:
            self._test(message.events, "messages")
            self._expression(message.action, _Rule("messages", message.events), "string")
        for events in (*contact.listed, *contact.unlisted):
            self._test(events, "suppression list")
        if contact.preferred is not None:
            self._field(("traits", contact.preferred.trait), "string", _Rule("channel"))

    def accounts(self, accounts: d.Accounts | None) -> None:
        if accounts is None:
            return
        self._expression(accounts.account, _Rule("accounts"), "dyn")
        self._field(("traits", accounts.role), "dyn", _Rule("accounts"))
        if accounts.leave is not None:
            self._test(accounts.leave, "accounts")

    def _points(self, rule: d.Points, name: str) -> None:
        self._test(rule.events, name)
        here = _Rule(name, rule.events)
        if isinstance(rule.points, str):
            self._expression(rule.points, here, "number")
        if rule.once_per is not None:
            self._expression(rule.once_per, here, "dyn")
        self._condition(rule.when, here)

    def _trigger(self, trigger: d.Trigger, name: str) -> None:
        here = _Rule(name, self._on(trigger.on, name))
        self._condition(trigger.when, here)
        for choice in trigger.action.choices.values():
            self._expression(choice.by, here, "dyn")

    def _flow(self, flow: d.Flow, name: str) -> None:
        here = _Rule(name, self._on(flow.enter.on, name))
        self._condition(flow.enter.when, here)
        if flow.enter.per is not None:
            self._expression(flow.enter.per, here, "dyn")
        for condition in (flow.exit, flow.goal):
            self._condition(condition, _Rule(name))
        for step in flow.steps:
            match step.do:
                case d.Wait(until=until):
                    self._condition(until, _Rule(name))
                case d.BranchTo(cases=cases):
                    for when, _ in cases:
                        self._condition(when, _Rule(name))
                case d.SetTrait(to=to):
                    self._expression(to, here, "dyn")
                case d.Act(action=action):
                    for choice in action.choices.values():
                        self._expression(choice.by, here, "dyn")
                case d.Split() | d.Go() | d.Goal() | d.Leave():
                    pass
                case _:
                    assert_never(step.do)

    def _on(self, on: d.On, name: str) -> d.EventTest:
        """What calls a trigger; the interactions that it fires on, where they are known."""
        match on:
            case d.OnEvent(events=events):
                self._test(events, name)
                return events
            case d.OnCondition(when=when):
                self._condition(when, _Rule(name))
            case d.Absence(of=of, since=since):
                self._test(of, name)
                if isinstance(since, d.EventTest):
                    self._test(since, name)
            case d.Sequence():
                return self._sequence(on, name)
            case d.Anomaly(of=of):
                self._test(of, name)
            case d.Threshold(of="trait", name=trait):
                self._field(("traits", trait), "number", _Rule(name))
            case d.OnDate(trait=trait):
                self._field(("traits", trait), "string", _Rule(name))
            case d.OnStage() | d.OnBand() | d.OnSegment() | d.Threshold():
                pass
            case _:
                assert_never(on)
        return d.EventTest()

    def _sequence(self, sequence: d.Sequence, name: str) -> d.EventTest:
        for step in sequence.steps:
            self._test(step.events, name)
            if step.unless is not None:
                self._test(step.unless, name)
            if sequence.per is not None:
                self._expression(sequence.per, _Rule(name, step.events), "dyn")
        return sequence.steps[-1].events

    def _condition(self, condition: d.Condition | None, here: _Rule) -> None:
        match condition:
            case d.Happened(events=events) | d.Comes(events=events) | d.Idle(events=events):
                self._test(events, here.name)
            case d.Where(text=text):
                self._expression(text, here, "bool")
            case d.All(of=parts) | d.AnyOf(of=parts):
                for part in parts:
                    self._condition(part, here)
            case d.Not(of=part):
                self._condition(part, here)
            case None | d.Dwell() | d.InBand() | d.Level() | d.InStage() | d.Reached() | d.InSegment() | d.MessageIs():
                pass
            case _:
                assert_never(condition)

    def _test(self, events: d.EventTest, name: str) -> None:
        for each in self._named(events):
            each.used_by.setdefault(name)
        if events.where is not None:
            self._expression(events.where, _Rule(name, events), "bool")

    def _named(self, events: d.EventTest) -> Iterator[_Event]:
        written = events.label.split(" or ")
        spelled = dict(zip(map(folded, written), written, strict=True))
        for key in events.names or (ANY,):
            yield self.events.setdefault(key, _Event(ANY if key == ANY else spelled.get(key, key)))

    def _expression(self, text: str, here: _Rule, wants: Type) -> None:
        self._texts.setdefault((here.name, text, here.events.names, wants))
        try:
            node = parse(text)
        except ExpressionError:  # an error of the definition, told where it stands
            return
        for path, kind in needs(node, wants):
            self._field(path, kind, here)
        for name, args in references(node).calls:
            if name in {"count", "idle"} and args and isinstance(args[0], str):
                self._test(d.EventTest((folded(args[0]),), None, args[0]), here.name)

    def _field(self, path: tuple[str, ...], kind: Type, here: _Rule) -> None:
        match path:
            case ("traits", name, *rest):
                found = [self.traits[path]]
                if kind in TYPES and not rest:
                    self._typed.setdefault((here.name, name, kind))
            case ("event", "account") | ("event", "properties" | "context" | "traits", _, *_):
                found = [each.fields[path] for each in self._named(here.events)]
            case _:
                return
        for uses in found:
            uses.used_by.setdefault(here.name)
            if kind in TYPES:
                uses.types.setdefault(TYPES[kind])


def kind_of(value: Any) -> str:
    """A decoded value's type as JSON names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
