"""A flow, compiled: its steps with their conditions and actions, what begins it and what ends it. `flowing` steps it.

It never changes a profile.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from rumbo.core.condition import Compiled, Vocabulary, compile_condition, never
from rumbo.core.definition import Act, Action, BranchTo, Enter, Flow, Go, Goal, Leave, SetTrait, Split, Trigger, Wait
from rumbo.core.instant import Instant
from rumbo.core.request import Request, Terms
from rumbo.core.scope import Read, Scope
from rumbo.core.state import FlowState

Reason = Literal["entered", "exit", "goal", "end", "timeout", "visits", "version"]
_NOTHING: Final = Action("none")


class Step(NamedTuple):
    """One step, with what it asks, gives or does."""

    name: str
    do: Wait | BranchTo | Split | Act | SetTrait | Goal | Leave | Go
    following: str
    """The step after it; empty after the last."""
    until: Compiled | None = None
    cases: tuple[tuple[Compiled, str], ...] = ()
    value: Read | None = None
    request: Request | None = None


class FlowMachine:
    """One flow, compiled."""

    def __init__(self, flow: Flow, words: Vocabulary) -> None:
        self.flow, self.id = flow, flow.id
        self.exit = compile_condition(flow.exit, words) if flow.exit is not None else None
        self.goal = compile_condition(flow.goal, words) if flow.goal is not None else None
        self.per = words.expression(flow.enter.per) if flow.enter.per is not None else None
        names = [step.name for step in flow.steps]
        self.steps = {
            step.name: _step(flow, step.name, step.do, after, words)
            for step, after in zip(flow.steps, [*names[1:], ""], strict=True)
        }
        self.first = names[0]
        self._moved = dict(flow.moved)
        asked = [
            each for each in (self.exit, self.goal, *(step.until for step in self.steps.values())) if each is not None
        ]
        self.timed = any(each.next_change is not never for each in asked)

    def requests(self) -> dict[str, Request]:
        """The actions of its steps, by the rule that they are known as."""
        return {each.request.rule: each.request for each in self.steps.values() if each.request is not None}

    def ends(self, scope: Scope) -> Reason | None:
        """Whether the goal or the exit holds here."""
        if self.goal is not None and self.goal.holds(scope) is True:
            return "goal"
        if self.exit is not None and self.exit.holds(scope) is True:
            return "exit"
        return None

    def at(self, state: FlowState) -> Step | None:
        """The step that the instance is at, by the names of this version; None where it is gone."""
        return self.steps.get(state.step) or self.steps.get(self._moved.get(state.step, ""))

    def next_change(self, scope: Scope, step: Step | None) -> Instant:
        """When time alone may end the instance or its wait; 0 for never."""
        if not self.timed:
            return 0
        asked = (self.exit, self.goal, step.until if step is not None else None)
        found = (each.next_change(scope) for each in asked if each is not None)
        return min((at for at in found if at > scope.now), default=0)


def _step(flow: Flow, name: str, do: Any, following: str, words: Vocabulary) -> Step:
    match do:
        case Wait(until=until) if until is not None:
            return Step(name, do, following, until=compile_condition(until, words))
        case BranchTo(cases=cases):
            return Step(name, do, following, cases=tuple((compile_condition(when, words), to) for when, to in cases))
        case SetTrait(to=to):
            return Step(name, do, following, value=words.expression(to))
        case Act(action=action, cooldown=cooldown, limits=limits, mode=mode):
            said = {"trigger": f"{flow.id}.{name}", "flow": flow.id, "step": name}
            return Step(name, do, following, request=Request(f"{flow.id}.{name}", said, action, Terms(cooldown, mode, limits), words))  # fmt: skip
        case _:
            return Step(name, do, following)


def entry(enter: Enter, flow: str) -> Trigger:
    """What begins an instance, as a trigger: it calls, and asks for nothing."""
    return Trigger(f"enter {flow}", enter.on, _NOTHING, enter.when)
