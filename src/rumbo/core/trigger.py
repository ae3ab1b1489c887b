"""Triggers, compiled: what each listens to, its guard, its gates, and the action that it asks for. It decides; `journey` calls it in order."""

from __future__ import annotations

from collections.abc import Callable

from rumbo.core.condition import Vocabulary, compile_condition, describe
from rumbo.core.decision import Leaf
from rumbo.core.definition import Absence, EventTest, OnCondition, OnEvent, OnStage, Trigger
from rumbo.core.instant import format_duration, isoformat
from rumbo.core.request import Request, Signer, Terms
from rumbo.core.scope import Read, Scope, Turn


class TriggerMachine:
    """One trigger of one journey."""

    def __init__(self, trigger: Trigger, order: int, words: Vocabulary) -> None:
        self.trigger, self.id, self.on, self.order = trigger, trigger.id, trigger.on, order
        self.guard = compile_condition(trigger.when, words) if trigger.when is not None else None
        self.condition = compile_condition(trigger.on.when, words) if isinstance(trigger.on, OnCondition) else None
        self.events = trigger.on.events if isinstance(trigger.on, OnEvent) else None
        self.where = where_of(self.events, words)
        terms = Terms(trigger.cooldown, trigger.mode, trigger.limits)
        self.request = Request(trigger.id, {"trigger": trigger.id}, trigger.action, terms, words)
        where = self.events.where if self.events is not None else None
        explains = [words.explain(where)] if where is not None else []
        self._explains = (*explains, *(each.explain for each in (self.condition, self.guard) if each is not None))

    def listens(self, key: str) -> bool:
        """Whether each interaction of this (folded) name calls it."""
        return self.events is not None and (not self.events.names or key in self.events.names)

    def due_again(self, scope: Scope) -> bool:
        """Whether `again` lets it fire: always, once in the customer's life, or once for each stage entry."""
        again, state = self.trigger.again, scope.state
        if again == "always":
            return True
        since = [each.since for each in state.holds if each.rule == self.id]  # what is held has fired
        if self.id in state.fired:
            since.append(state.fired[self.id])
        return not since or (again == "per_entry" and max(since) < state.entered_at)

    def leaves(self, scope: Scope) -> tuple[Leaf, ...]:
        """Each leaf condition behind the firing, with what it saw."""
        explains = self._explains
        if len(explains) == 1:
            return tuple(explains[0](scope))
        return tuple(leaf for explain in explains for leaf in explain(scope)) if explains else ()

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
        """One silence calls it once; one that began no later, and of which a late interaction tells afterwards, calls it no more."""
        memory = turn.state.remember()
        counted = memory.since.pop(self.id, None)
        if counted is not None:
            memory.told[self.id] = counted[0]  # the latest: what began no later is not counted


def act(machine: TriggerMachine, turn: Turn, signer: Signer) -> None:
    """Fire one trigger: its guard, whether it may again, then its action through the gates."""
    guard = machine.guard
    if (guard is not None and guard.holds(turn) is not True) or not machine.due_again(turn):
        return
    request, again = machine.request, machine.due_again if machine.trigger.again != "always" else None
    request.want(request.attempt(turn, machine.leaves(turn)), turn, signer, again)


def calling(machine: TriggerMachine, signer: Signer) -> Callable[[Turn], None]:
    """A trigger on interactions of its name as one function: its `where`, then `act`."""
    where, request = machine.where, machine.request
    again = machine.due_again if machine.trigger.again != "always" else None
    guard = machine.guard.holds if machine.guard is not None else None

    def call(turn: Turn) -> None:
        if (
            (where is None or where(turn) is True)
            and (guard is None or guard(turn) is True)
            and (again is None or again(turn))
        ):
            request.want(request.attempt(turn, machine.leaves(turn)), turn, signer, again)

    return call
