"""The stage machine: where a customer is, and where the conditions say that they should be. It moves a state; it emits nothing.

Stages are ordered; side stages stand outside the order. `high_water` never falls. Forward is allowed, with implied steps
between; backward only along declared edges, after their dwell and cool-down. It is asked (`wants`), then told (`make`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from rumbo.core.condition import Compiled, Vocabulary, compile_condition, never
from rumbo.core.definition import All, AnyOf, Back, Condition, Happened, Journey, Not, Stage
from rumbo.core.instant import Instant
from rumbo.core.outputs import Direction
from rumbo.core.scope import Scope
from rumbo.core.state import HISTORY_CAP, JourneyState
from rumbo.core.tracker import tracker_name


class Move(msgspec.Struct, frozen=True):
    """One step between two stages, and the condition that asked for it."""

    origin: str
    target: str
    direction: Direction
    implied: bool
    why: Compiled | None
    dwell: int


class Want(msgspec.Struct, frozen=True):
    """Where the conditions say that the customer should be: asked first, so that authority and instability can hold it."""

    target: str
    direction: Direction
    why: Compiled | None
    edge: Edge | None = None


class Edge(NamedTuple):
    """A declared way back, compiled. A `back.stage` of nothing goes to the highest earlier stage whose criterion holds."""

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
        self._latched = {stage.name: _lifetime_counters(stage.when) for stage in ordered[1:]}
        self.enter = self._compile(ordered, words)
        self._side_enter = {
            stage.name: compile_condition(stage.when, words, _way_in(stage.name)) for stage in self._sides if stage.when
        }
        self._until = {
            stage.name: compile_condition(stage.until, words, stage.name) for stage in self._sides if stage.until
        }
        self._latched |= {stage.name: _lifetime_counters(stage.until) for stage in self._sides if stage.until}
        self._latched |= {_way_in(stage.name): _lifetime_counters(stage.when) for stage in self._sides if stage.when}
        self._latched |= {_exit(stage): _lifetime_counters(stage.until) for stage in ordered if stage.until}
        self._edges = {stage.name: tuple(_edges(stage, words)) for stage in ordered}
        self._upward = self._plain_stages()
        self.timed = any(each.next_change is not never for each in self.conditions()) or any(
            self._edges[stage.name] for stage in ordered
        )

        self.leads_on = (
            bool(self._sides)
            or any(self._edges.values())
            or any(each.stages or each.starts for each in self.conditions())
        )
        """Whether an entry, the first one too, can open a way on."""

    def _plain_stages(self) -> dict[str, tuple[tuple[str, int, int, Compiled], ...]]:
        """For each stage that can only be left upwards, the criteria above it from the highest down; none where there are side stages.

        Before each, a counter over the whole life and what it must have reached: most are told by it alone.
        """
        plain = () if self._sides else tuple(name for name in self.names if not self._edges[name])
        return {
            name: tuple((*when.needs, rank, when) for rank, when in self.enter if rank > self.rank[name])
            for name in plain
        }

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

    def wants(self, scope: Scope) -> Want | None:
        """Where the customer should be now; None: where they are. Nothing is changed."""
        state = scope.state
        upward = self._upward.get(state.stage)
        if upward is not None:
            counted = scope.profile.counters.get
            for counter, least, rank, criterion in upward:
                if counted(counter, 0) >= least and criterion.holds(scope) is True:
                    return Want(self.names[rank if self._skip else self.rank[state.stage] + 1], "forward", criterion)
            return None
        if (side := self._aside(scope)) is not None:
            return Want(side, "aside", self._side_enter[side])
        if state.stage not in self.rank:
            until = self._until.get(state.stage)
            if until is None or until.holds(scope) is not True:
                return None
            return Want(self.names[max(self._target(scope)[0], 0)], "return", until)
        current = self.rank[state.stage]
        target, why = self._target(scope, above=current)
        if target > current:
            return Want(self.names[target if self._skip else current + 1], "forward", why)
        return self._backward(scope)

    def make(self, scope: Scope, want: Want) -> list[Move]:
        """Go there: one move, or one with its implied steps before it."""
        state, target = scope.state, want.target
        if want.direction == "aside":
            self._clear(target, scope)  # `until` counts from here on
        elif want.direction == "forward":
            steps = self.names[self.rank[state.stage] + 1 : self.rank[target] + 1]
            return [self._go(scope, step, "forward", want.why, implied=step != target) for step in steps]
        elif want.direction == "backward":
            if want.edge is not None:
                state.steer().moved[want.edge.name] = scope.now
            for name in self.names[self.rank[target] + 1 :]:
                self._clear(name, scope)
        return [self._go(scope, target, want.direction, want.why)]

    def to(self, here: str, stage: str) -> Want:
        """The move to a stage that somebody has set."""
        if stage not in self.rank:
            return Want(stage, "aside", None)
        if here not in self.rank:
            return Want(stage, "return", None)
        return Want(stage, "forward" if self.rank[stage] > self.rank[here] else "backward", None)

    def flips(self, state: JourneyState, want: Want) -> Instant | None:
        """When the last move was made, if this one goes against its direction; None where it does not."""
        if len(state.history) < 2:  # noqa: PLR2004  the entry here, and the one before it
            return None
        (before, _), (here, at) = state.history[-2:]
        rose = self.rank.get(here, -1) > self.rank.get(before, -1)
        rises = self.rank.get(want.target, -1) > self.rank.get(here, -1)
        return at if rose is not rises else None

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

    def _backward(self, scope: Scope) -> Want | None:
        state, now = scope.state, scope.now
        for edge in self._edges[state.stage]:
            if now >= self._free_at(edge, state) and edge.when.holds(scope) is True:
                target = edge.back.stage or self._below(scope)
                return Want(target, "backward", edge.when, edge)
        return None

    def _below(self, scope: Scope) -> str:
        """The highest earlier stage whose criterion holds."""
        current = self.rank[scope.state.stage]
        held = (rank for rank, when in self.enter if rank < current and when.holds(scope) is True)
        return self.names[next(held, 0)]

    def _free_at(self, edge: Edge, state: JourneyState) -> Instant:
        """When the edge's dwell and cool-down are over."""
        last = state.moved.get(edge.name)
        dwelt = state.entered_at + edge.back.min_dwell
        return dwelt if last is None else max(dwelt, last + edge.back.cooldown)

    def _clear(self, stage: str, scope: Scope) -> None:
        """The entry that a stage's criterion belonged to has ended: what was latched counts no more."""
        if stage not in self._latched:
            return
        base = scope.state.steer().base
        base[f"{stage}|"] = scope.now
        for counter in self._latched[stage]:
            base[f"{stage}|{counter}"] = scope.profile.counters.get(counter, 0)

    def _go(
        self, scope: Scope, target: str, direction: Direction, why: Compiled | None, *, implied: bool = False
    ) -> Move:
        state, now, latched = scope.state, scope.now, self._latched
        if latched:
            self._clear(_way_in(state.stage), scope)  # a side stage that is left is entered anew
        move = Move(state.stage, target, direction, implied, why, max(now - state.entered_at, 0))
        state.stage, state.entered_at, state.entry = target, now, scope.occurrence
        if latched:
            self._clear(f"{target}.until", scope)
        if target in self.rank and self.rank[target] > self.rank.get(state.high_water, -1):
            state.high_water = target
        state.history.append((target, now))
        del state.history[:-HISTORY_CAP]
        return move

    def goes_on(self, scope: Scope, want: Want) -> bool:
        """Whether time alone makes this move. At one instant it brings nobody twice aside, out or back to one stage, nor forward after that."""
        history, now = scope.state.history, scope.now
        if history[-1][1] != now:
            return True
        met = [(before, here) for (before, _), (here, at) in pairwise(history) if at == now]
        left = [here for before, here in met if not self._rises(before, here)]
        if want.direction == "forward":
            return not met or (self._skip and met[-1][1] not in left)
        return want.target not in left and len(met) < HISTORY_CAP - 1

    def _rises(self, before: str, here: str) -> bool:
        rank = self.rank
        return before in rank and here in rank and rank[here] > rank[before]

    def opens(self, scope: Scope) -> bool:
        """Whether a way on from a stage that has just been entered is open already: it is taken at that instant, after the interactions."""
        want = self.wants(scope) if self.leads_on else None
        return want is not None and self.goes_on(scope, want)

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
        if state.lock:  # where a held move would go may change too, and is suggested anew
            current = self.rank.get(state.stage, len(self.names))
            found += [when.next_change(scope) for rank, when in self.enter if rank < current]
        return min((at for at in found if at > now), default=0)

    def _edge_looks(self, edge: Edge, scope: Scope) -> tuple[Instant, ...]:
        """When a way back may open: its condition changes, or its dwell and cool-down are over while it holds."""
        free, change = self._free_at(edge, scope.state), edge.when.next_change(scope)
        return (max(change, free) if change else 0, free if edge.when.holds(scope) is True else 0)


def _exit(stage: Stage) -> str:
    return f"{stage.name}.until"


def _way_in(side: str) -> str:
    return f"{side}.when"


def _edges(stage: Stage, words: Vocabulary) -> Iterable[Edge]:
    """The ways back that are declared, then `until`."""
    for back in stage.back:
        yield Edge(back, compile_condition(back.when, words), f"{stage.name}>{back.stage}")
    if stage.until is not None:
        back = Back("", stage.until, min_dwell=stage.min_dwell)
        yield Edge(back, compile_condition(stage.until, words, _exit(stage)), f"{stage.name}>")


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
