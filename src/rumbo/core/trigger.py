"""Triggers, compiled: what each listens to, its guard, its gates, and the action that it asks for. It decides; `journey` calls it in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rumbo.core.condition import Vocabulary, compile_condition, describe
from rumbo.core.decision import Decision, Gate, Leaf
from rumbo.core.definition import Absence, EventTest, OnCondition, OnEvent, OnStage, Trigger
from rumbo.core.gate import No, answers, gates
from rumbo.core.identity import Identity
from rumbo.core.instant import format_duration, isoformat
from rumbo.core.outputs import ActionRequested, ActionSuppressed
from rumbo.core.scope import Read, Scope, Turn

Scores = Callable[[Scope], dict[str, float]]


class TriggerMachine:
    """One trigger of one journey."""

    def __init__(self, trigger: Trigger, order: int, words: Vocabulary) -> None:
        self.trigger, self.id, self.on, self.order = trigger, trigger.id, trigger.on, order
        self.guard = compile_condition(trigger.when, words) if trigger.when is not None else None
        self.condition = compile_condition(trigger.on.when, words) if isinstance(trigger.on, OnCondition) else None
        self.events = trigger.on.events if isinstance(trigger.on, OnEvent) else None
        self.where = where_of(self.events, words)
        self.asks = gates(trigger)
        self.passed = answers(self.asks, None, None)
        """The answers when every gate says yes."""
        self.rule, self.requested = f"trigger {trigger.id}", f"action:{trigger.id}"
        self._choices = {name: (words.expression(choice.by), choice) for name, choice in trigger.action.choices.items()}
        where = self.events.where if self.events is not None else None
        self._explain_where = words.explain(where) if where is not None else None

    def listens(self, key: str) -> bool:
        """Whether each interaction of this (folded) name calls it."""
        return self.events is not None and (not self.events.names or key in self.events.names)

    def due_again(self, scope: Scope) -> bool:
        """Whether `again` lets it fire: always, once in the customer's life, or once for each stage entry."""
        again, last = self.trigger.again, scope.state.fired.get(self.id)
        if again == "always" or last is None:
            return True
        return again == "per_entry" and last < scope.state.entered_at

    def ask(self, scope: Scope) -> tuple[Gate | None, No | None]:
        """The first gate that says no, and its no."""
        for gate, ask in self.asks:
            no = ask(self.trigger, scope)
            if no is not None:
                return gate, no
        return None, None

    def params(self, scope: Scope) -> dict[str, Any]:
        """The action's parameters, each choice resolved against the interaction."""
        if not self._choices:
            return self.trigger.action.params
        chosen = dict(self.trigger.action.params)
        for name, (read, choice) in self._choices.items():
            value = read(scope)
            chosen[name] = choice.cases.get(value, choice.otherwise) if isinstance(value, str) else choice.otherwise
        return chosen

    def leaves(self, scope: Scope) -> tuple[Leaf, ...]:
        """Each leaf condition behind the firing, with what it saw."""
        found: list[Leaf] = []
        if self._explain_where is not None:
            found += self._explain_where(scope)
        if self.condition is not None:
            found += self.condition.explain(scope)
        if self.guard is not None:
            found += self.guard.explain(scope)
        return tuple(found)

    def acted(self, turn: Turn) -> None:
        """It was called, and acted or not: what it was called by is over."""


def where_of(events: EventTest | None, words: Vocabulary) -> Read | None:
    """The `where` of a test, compiled; None where it has none."""
    return words.expression(events.where) if events is not None and events.where is not None else None


class AbsenceMachine(TriggerMachine):
    """No such interaction within a length after something: `waiting` arms it, ends it and calls it."""

    def __init__(self, trigger: Trigger, order: int, words: Vocabulary) -> None:
        super().__init__(trigger, order, words)
        absence = trigger.on
        if not isinstance(absence, Absence):
            raise TypeError(f"trigger {trigger.id} is not an absence")
        since = absence.since
        self.of, self.length = absence.of, absence.length
        self.of_where = where_of(self.of, words)
        self.since_event = since if isinstance(since, EventTest) else None
        self.since_where = where_of(self.since_event, words)
        self.since_stage = (since.stage, since.change) if isinstance(since, OnStage) else None
        self.counts_from_itself = since is None

    def leaves(self, scope: Scope) -> tuple[Leaf, ...]:
        """The silence itself, and the guard."""
        since, origin = scope.state.since.get(self.id, (0, ""))
        text = f"no {describe(self.of)} for {format_duration(self.length)}"
        return (Leaf(text, holds=True, saw={"since": isoformat(since)}, events=(origin,)), *super().leaves(scope))

    def acted(self, turn: Turn) -> None:
        """One silence calls it once."""
        turn.state.since.pop(self.id, None)


def act(machine: TriggerMachine, scope: Scope, who: Identity, scores: Scores) -> Decision | None:
    """Fire one trigger: its guard, its gates, then the request or the recorded no. None when it does not fire."""
    guard = machine.guard
    if (guard is not None and guard.holds(scope) is not True) or not machine.due_again(scope):
        return None
    gate, no = machine.ask(scope)
    if gate is None or gate == "shadow":
        scope.state.fired[machine.id] = scope.now
    action = machine.trigger.action
    gates_said = machine.passed if no is None else answers(machine.asks, gate, no)
    because = who.because(scope, machine.rule, machine.leaves(scope), gates_said)
    data: dict[str, Any] = {
        "because": because,
        "trigger": machine.id,
        "kind": action.kind,
        "channel": action.channel,
        "purpose": action.purpose,
        "params": machine.params(scope),
        "priority": action.priority,
        "expires_at": isoformat(scope.at + action.expires_after) if action.expires_after is not None else None,
        "stage": scope.state.stage or None,
        "scores": scores(scope),
        **who.words(scope),
    }
    if gate is None or no is None:
        return who.decide(scope, "action.requested", machine.requested, ActionRequested(**data))
    release = isoformat(no.release_at) if no.release_at else None
    held = ActionSuppressed(**data, gate=gate, detail=no.detail, would_release_at=release)
    return who.decide(scope, "action.suppressed", f"suppressed:{machine.id}", held)
