"""The stage machine: where a customer is, and where the conditions say that they should be. It moves a state; it emits nothing.

Stages are ordered; side stages stand outside the order. `high_water` never falls. Forward is allowed, with implied steps
between; backward only along declared edges, after their dwell and cool-down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rumbo.core.condition import Compiled, Vocabulary, compile_condition, never
from rumbo.core.definition import All, AnyOf, Back, Condition, Happened, Journey, Not, Stage
from rumbo.core.instant import Instant
from rumbo.core.outputs import Direction
from rumbo.core.profile import HISTORY_CAP, JourneyState
from rumbo.core.scope import Scope
from rumbo.core.tracker import tracker_name


class Move(NamedTuple):
    """One step between two stages, and the condition that asked for it."""

    origin: str
    target: str
    direction: Direction
    implied: bool
    why: Compiled | None
    dwell: int


class Edge(NamedTuple):
    """A declared way back, compiled."""

    back: Back
    when: Compiled
    name: str


class StageMachine:
    """The stages of one journey, compiled."""

    def __init__(self, journey: Journey, words: Vocabulary) -> None:
        ordered = [stage for stage in journey.stages if not stage.side]
        self.first = ordered[0].name if ordered else ""
        self.names = tuple(stage.name for stage in ordered)
        self.rank = {name: rank for rank, name in enumerate(self.names)}
        self.by_name = {stage.name: stage for stage in journey.stages}
        self._skip = journey.allow_skip
        self._sides = tuple(stage for stage in journey.stages if stage.side)
        lowest = min((self.rank[back.stage] for stage in ordered for back in stage.back), default=len(ordered))
        self._latched = {
            stage.name: _lifetime_counters(stage.when) for stage in ordered if self.rank[stage.name] > lowest
        }
        self.enter = self._compile(ordered, words)
        self._side_enter = {stage.name: compile_condition(stage.when, words) for stage in self._sides if stage.when}
        self._until = {
            stage.name: compile_condition(stage.until, words, stage.name) for stage in self._sides if stage.until
        }
        self._latched |= {stage.name: _lifetime_counters(stage.until) for stage in self._sides if stage.until}
        self._edges = {
            stage.name: tuple(
                Edge(back, compile_condition(back.when, words), f"{stage.name}>{back.stage}") for back in stage.back
            )
            for stage in ordered
        }

        self.timed = any(each.next_change is not never for each in self.conditions()) or any(
            stage.back for stage in ordered
        )

    def _compile(self, ordered: Sequence[Stage], words: Vocabulary) -> tuple[tuple[int, Compiled], ...]:
        """Criteria from the highest stage down."""
        made = [
            (rank, compile_condition(stage.when, words, stage.name if stage.name in self._latched else None))
            for rank, stage in enumerate(ordered)
            if stage.when is not None
        ]
        return tuple(reversed(made))

    def conditions(self) -> Iterable[Compiled]:
        """Everything that can move a customer."""
        yield from (when for _, when in self.enter)
        yield from self._side_enter.values()
        yield from self._until.values()
        yield from (edge.when for edges in self._edges.values() for edge in edges)

    def moves(self, scope: Scope) -> list[Move]:
        """What to do now: nothing, one move, or one with its implied steps before it. The state is moved too."""
        state = scope.state
        if (side := self._aside(scope)) is not None:
            self._clear(side, scope)  # `until` counts from here on
            return [self._go(scope, side, "aside", self._side_enter[side])]
        if state.stage not in self.rank:
            until = self._until.get(state.stage)
            if until is None or until.holds(scope) is not True:
                return []
            return [self._go(scope, self.names[max(self._target(scope)[0], 0)], "return", until)]
        current = self.rank[state.stage]
        target, why = self._target(scope, above=current)
        if target > current:
            return self._forward(scope, current, target, why)
        return self._backward(scope)

    def _aside(self, scope: Scope) -> str | None:
        here = scope.state.stage
        for stage in self._sides:
            allowed = here in stage.sources if stage.sources else here in self.rank
            when = self._side_enter.get(stage.name)
            if allowed and here != stage.name and when is not None and when.holds(scope) is True:
                return stage.name
        return None

    def _target(self, scope: Scope, above: int = -1) -> tuple[int, Compiled | None]:
        for rank, when in self.enter:
            if rank <= above:
                break
            if when.holds(scope) is True:
                return rank, when
        return above, None

    def _forward(self, scope: Scope, current: int, target: int, why: Compiled | None) -> list[Move]:
        if not self._skip:
            return [self._go(scope, self.names[current + 1], "forward", why)]
        return [
            self._go(scope, self.names[rank], "forward", why, implied=rank < target)
            for rank in range(current + 1, target + 1)
        ]

    def _backward(self, scope: Scope) -> list[Move]:
        state, now = scope.state, scope.now
        for edge in self._edges[state.stage]:
            if now >= self._free_at(edge, state) and edge.when.holds(scope) is True:
                state.moved[edge.name] = now
                target = self.rank[edge.back.stage]
                for name in self.names[target + 1 :]:
                    self._clear(name, scope)
                return [self._go(scope, edge.back.stage, "backward", edge.when)]
        return []

    def _free_at(self, edge: Edge, state: JourneyState) -> Instant:
        """When the edge's dwell and cool-down are over."""
        last = state.moved.get(edge.name)
        dwelt = state.entered_at + edge.back.min_dwell
        return dwelt if last is None else max(dwelt, last + edge.back.cooldown)

    def _clear(self, stage: str, scope: Scope) -> None:
        """The entry that a stage's criterion belonged to has ended: what was latched counts no more."""
        if stage not in self._latched:
            return
        base = scope.state.base
        base[f"{stage}|"] = scope.now
        for counter in self._latched[stage]:
            base[f"{stage}|{counter}"] = scope.profile.counters.get(counter, 0)

    def _go(
        self, scope: Scope, target: str, direction: Direction, why: Compiled | None, *, implied: bool = False
    ) -> Move:
        state, now = scope.state, scope.now
        move = Move(state.stage, target, direction, implied, why, max(now - state.entered_at, 0))
        state.stage, state.entered_at, state.entry = target, now, scope.occurrence
        if target in self.rank and self.rank[target] > self.rank.get(state.high_water, -1):
            state.high_water = target
        state.history.append((target, now))
        del state.history[:-HISTORY_CAP]
        return move

    def next_look(self, scope: Scope) -> Instant:
        """When time alone may ask for a move: the earliest of the conditions that count here; 0 for never."""
        if not self.timed:
            return 0
        state, now = scope.state, scope.now
        found = [when.next_change(scope) for name, when in self._side_enter.items() if name != state.stage]
        if state.stage in self.rank:
            current = self.rank[state.stage]
            found += [when.next_change(scope) for rank, when in self.enter if rank > current]
            found += [at for edge in self._edges[state.stage] for at in self._edge_looks(edge, scope)]
        elif state.stage in self._until:
            found.append(self._until[state.stage].next_change(scope))
        return min((at for at in found if at > now), default=0)

    def _edge_looks(self, edge: Edge, scope: Scope) -> tuple[Instant, ...]:
        """When a way back may open: its condition changes, or its dwell and cool-down are over while it holds."""
        free, change = self._free_at(edge, scope.state), edge.when.next_change(scope)
        return (max(change, free) if change else 0, free if edge.when.holds(scope) is True else 0)


def _lifetime_counters(condition: Condition | None) -> tuple[str, ...]:
    """The counters over the whole life that a criterion reads."""
    match condition:
        case Happened(events=events, within=None):
            return (tracker_name(events),)
        case All(of=parts) | AnyOf(of=parts):
            return tuple(name for part in parts for name in _lifetime_counters(part))
        case Not(of=part):
            return _lifetime_counters(part)
        case _:
            return ()
