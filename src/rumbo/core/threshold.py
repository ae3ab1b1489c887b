"""Thresholds: a score or a trait crosses a number, once each time, also where only time has passed. It calls its trigger; it emits nothing.

What is remembered is the side last seen: [at least the limit]. A score begins at 0; a trait has no side until it is known, so
that its first value crosses nothing (missing is not zero), and a value that is no number leaves the side as it was.
"""

from __future__ import annotations

from math import isnan

from rumbo.core.condition import NextChange, Vocabulary, never
from rumbo.core.decision import Leaf
from rumbo.core.definition import Journey, Threshold, Trigger
from rumbo.core.scope import Scope, Turn
from rumbo.core.state import JourneyState
from rumbo.core.trigger import TriggerMachine

_NO_TRAITS = len(b"{}")


class ThresholdMachine(TriggerMachine):
    """One trigger on a threshold."""

    def __init__(self, journey: Journey, trigger: Trigger, order: int, words: Vocabulary) -> None:
        super().__init__(trigger, order, words)
        on = trigger.on
        if not isinstance(on, Threshold):
            raise TypeError(f"trigger {trigger.id} is no threshold")
        self._on, self.timer = on, f"threshold:{journey.id}:{trigger.id}"
        self._kept = f"threshold:{trigger.id}"
        self._of_score = on.of == "score"
        self._next: NextChange = words.changes(on.name, on.limit) if self._of_score else never
        self._read = words.value(on.name) if self._of_score else words.trait(on.name)
        self.hears = _touching(journey, on.name) if self._of_score else None

    def value(self, scope: Scope) -> float | None:
        """The figure now; None where it is no number."""
        found = self._read(scope)
        if isinstance(found, bool) or not isinstance(found, int | float) or isnan(found):
            return None  # text, or a score that is not reported
        return float(found)

    def side_before(self, state: JourneyState) -> bool | None:
        """Whether it was at least the limit when last looked at; None where it is not known."""
        found = state.followed.get(self._kept)
        if found is not None:
            return bool(found[0])
        return self._on.limit <= 0 if self._of_score else None

    def hear(self, turn: Turn) -> None:
        """Look whether this interaction has taken it over."""
        event = turn.event
        if self._of_score or (event is not None and len(event.traits_raw) > _NO_TRAITS):
            self._look(turn)

    def due(self, turn: Turn) -> bool:
        """Look whether time has taken it over."""
        self._look(turn)
        return False

    def _look(self, turn: Turn) -> None:
        value = self.value(turn)
        if value is None:
            return
        side, before = value >= self._on.limit, self.side_before(turn.state)
        if side is not before:
            turn.state.remember().followed[self._kept] = [side]
            if before is not None and side is (self._on.direction == "up"):
                turn.called.append(self)
        if self._of_score:
            due, timers = self._next(turn), turn.profile.timers
            if due > turn.now:  # a later one is found when the timer fires
                timers[self.timer] = min(due, timers.get(self.timer, due))

    def leaves(self, scope: Scope) -> tuple[Leaf, ...]:
        """The figure, and the guard."""
        seen = {self._on.name: _rounded(self.value(scope))}
        return (Leaf(threshold_text(self._on), holds=True, saw=seen), *super().leaves(scope))


def threshold_text(on: Threshold) -> str:
    """A threshold as a person would say it."""
    return f"{on.of} {on.name} {'rises to' if on.direction == 'up' else 'falls below'} {on.limit:g}"


def _touching(journey: Journey, score: str) -> frozenset[str] | None:
    """The names that can change a score; None for any."""
    found = next(each for each in journey.scores if each.name == score)
    if found.traits or found.disqualify or any(each.when is not None for each in found.resets):
        return None
    tests = [each.events for each in found.rules] + [each.events for each in found.resets if each.events is not None]
    return None if any(not each.names for each in tests) else frozenset(name for each in tests for name in each.names)


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if value is not None else None
