"""Gates: what may hold an action back. They are asked in the order of the language; the first no stops and is recorded.

A gate answers; it never emits, and it remembers nothing itself: what it needs stands in the journey's state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rumbo.core.decision import Gate, GateAnswer
from rumbo.core.definition import Trigger
from rumbo.core.instant import Instant, format_duration, isoformat
from rumbo.core.scope import Scope


class No(NamedTuple):
    """A gate's no: why, and when this gate alone would say yes (0: not by time)."""

    detail: str
    release_at: Instant = 0


Ask = Callable[[Trigger, Scope], No | None]


def cooldown(trigger: Trigger, scope: Scope) -> No | None:
    """Enough time since the rule was last emitted, at the customer's clock."""
    length, last = trigger.cooldown, scope.state.fired.get(trigger.id)
    if length is None or last is None or scope.now - last >= length:
        return None
    return No(f"emitted {isoformat(last)}, cool-down {format_duration(length)}", last + length)


def shadow(trigger: Trigger, _scope: Scope) -> No | None:
    """A rule in shadow mode decides and explains, and emits nothing but this."""
    return No("the rule is in shadow mode") if trigger.mode == "shadow" else None


def gates(trigger: Trigger) -> tuple[tuple[Gate, Ask], ...]:
    """The gates that can ever say no to this rule, in their order."""
    asked: list[tuple[Gate, Ask]] = []
    if trigger.cooldown is not None:
        asked.append(("cooldown", cooldown))
    if trigger.mode == "shadow":
        asked.append(("shadow", shadow))
    return tuple(asked)


def answers(asked: tuple[tuple[Gate, Ask], ...], stopped_by: Gate | None, no: No | None) -> tuple[GateAnswer, ...]:
    """What each gate said, up to the one that stopped."""
    said: list[GateAnswer] = []
    for gate, _ in asked:
        if gate == stopped_by and no is not None:
            return (*said, GateAnswer(gate, passed=False, detail=no.detail))
        said.append(GateAnswer(gate, passed=True))
    return tuple(said)


def every_answer(trigger: Trigger, asked: tuple[tuple[Gate, Ask], ...], scope: Scope) -> tuple[GateAnswer, ...]:
    """What every gate would say here, also those behind a no: for explanations, nothing is consumed."""
    said = ((gate, ask(trigger, scope)) for gate, ask in asked)
    return tuple(GateAnswer(gate, passed=no is None, detail=no.detail if no is not None else "") for gate, no in said)
