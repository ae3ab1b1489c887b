"""The stages of one journey as they are stepped: moves become transitions, and time alone is watched through one timer.

Automatic moves may be held (`authority`); what somebody says is obeyed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import UNSET

from rumbo.core.authority import Holds, Order
from rumbo.core.definition import Flaps, OnStage
from rumbo.core.identity import Identity
from rumbo.core.instant import SECOND, Duration, isoformat
from rumbo.core.outputs import StageChanged, StageStuck
from rumbo.core.scope import Turn
from rumbo.core.stage import Move, StageMachine
from rumbo.core.trigger import TriggerMachine

Changed = Callable[[Turn, str, str], None]
"""Told of each stage left and entered: (turn, stage, "left" | "entered")."""


class Staging:
    """Asks the stage machine, emits its moves, keeps its timers."""

    def __init__(self, journey: str, machine: StageMachine, flaps: Flaps, who: Identity) -> None:
        self.machine, self._who, self._journey = machine, who, journey
        self._holds = Holds(journey, flaps, machine, who)
        self._look, self._stuck = f"stage:{journey}", f"stuck:{journey}"
        conditions = tuple(machine.conditions())
        self._hears = [each.hears for each in conditions]
        self.on_bands = any(each.scores for each in conditions) or any(each is None for each in self._hears)
        self.on_segments = any(each.segments for each in conditions) or any(each is None for each in self._hears)
        self._by_stage: dict[tuple[str, str], list[TriggerMachine]] = {}
        self._changed: tuple[Changed, ...] = ()
        self.told_stuck: Callable[[Turn], None] | None = None
        """Who else wants to know that the customer is stuck in the stage that they are in."""
        self._limits = any(each.stuck_after is not None or each.stuck_cohort for each in machine.by_name.values())

    def calls(self, triggers: tuple[TriggerMachine, ...], changed: Changed | None) -> None:
        """Tell it which triggers hang on stages, and who else (if anyone) wants to know."""
        self._changed = (changed,) if changed is not None else ()
        for each in triggers:
            if isinstance(each.on, OnStage):
                self._by_stage.setdefault((each.on.stage, each.on.change), []).append(each)

    def listens(self, key: str) -> bool:
        """Whether an interaction of this name can move anybody."""
        return any(hears is None or key in hears for hears in self._hears)

    def mentioned(self) -> set[str]:
        """Every event name that some criterion listens to by name."""
        return {name for hears in self._hears for name in hears or ()}

    @property
    def begins(self) -> bool:
        """Whether anything hangs on somebody's standing in the first stage."""
        told = (self.machine.first, "entered") in self._by_stage or bool(self._changed)
        return told or self._limits or self.machine.leads_on

    def stand(self, turn: Turn) -> None:
        """Everyone begins in the first stage, without a transition."""
        state, first = turn.state, self.machine.first
        if first:
            state.stage = state.high_water = first
            state.history.append((first, turn.at))

    def begin(self, turn: Turn) -> None:
        """The same, and what hangs on it."""
        self.stand(turn)
        if self.machine.first:
            self._entered(turn)

    def begun(self, turn: Turn, *, banded: bool) -> None:
        """Where scores and segments stand too: what leads on from the first stage already is gone after the interactions of this instant."""
        if self.machine.first and not self._again(turn) and banded and self.on_bands:
            turn.profile.timers[self._look] = turn.now

    def hear(self, turn: Turn) -> bool:
        """Move as the conditions say, unless something holds it; whether there was a move."""
        machine = self.machine
        want = machine.wants(turn)
        if want is not None and turn.event is None and not machine.goes_on(turn, want):
            want = None
        moves = machine.make(turn, want) if want is not None and not self._holds.holds(turn, want) else []
        if moves:
            self._moved(turn, moves)
            if self._again(turn):
                return True
        if not machine.timed:
            return bool(moves)
        due, timers = machine.next_look(turn), turn.profile.timers
        if due and due < timers.get(self._look, due + 1):  # a later one is found when the timer fires
            timers[self._look] = due
        return bool(moves)

    def _again(self, turn: Turn) -> bool:
        """Look again at this instant, after its interactions, where a way on from here is open already."""
        opens = self.machine.opens(turn)
        if opens:
            turn.profile.timers[self._look] = turn.now
        return opens

    def obey(self, turn: Turn, order: Order) -> bool:
        """What somebody says with authority is done at once; whether there was a move. A stage of another version is refused."""
        if order.stage is None:
            self._holds.free(turn)
            return self.hear(turn)
        if order.stage not in self.machine.by_name:
            turn.counts["authority_unknown_stage"] += 1
            return False
        self._holds.lock(turn, order)
        moves = order.stage != turn.state.stage
        if moves:
            self._moved(turn, self.machine.make(turn, self.machine.to(turn.state.stage, order.stage)), "authority")
        self.hear(turn)  # nothing moves against somebody's word, but what the conditions say to it is told at once
        return moves

    def _moved(self, turn: Turn, moves: list[Move], reason: Literal["authority"] | None = None) -> None:
        told = self._by_stage or self._changed
        for move in moves:
            self._emit(turn, move, reason)
            if told:
                self._tell(turn, move.origin, "left")
                self._tell(turn, move.target, "entered")
        self._arm_stuck(turn)

    def _entered(self, turn: Turn) -> None:
        self._tell(turn, turn.state.stage, "entered")
        self._arm_stuck(turn)

    def _tell(self, turn: Turn, stage: str, change: str) -> None:
        turn.called.extend(self._by_stage.get((stage, change), ()))
        for told in self._changed:
            told(turn, stage, change)

    def _emit(self, turn: Turn, move: Move, reason: Literal["authority"] | None) -> None:
        seen = tuple(move.why.explain(turn)) if move.why is not None else ()
        data = StageChanged(
            customer=turn.profile.customer,
            journey=self._journey,
            version=self._who.version,
            because=self._who.because(turn, f"stage {move.target}", seen),
            from_=move.origin,
            to=move.target,
            direction=move.direction,
            implied=move.implied,
            high_water=turn.state.high_water,
            dwell_seconds=move.dwell / SECOND,
            reason=reason,
            content=self.machine.by_name[move.target].content or UNSET,
        )
        meant = f"{move.origin}>{move.target}{':implied' if move.implied else ''}{':' + reason if reason else ''}"
        turn.out.append(self._who.decide(turn, "stage.changed", f"stage:{meant}", data))

    def _limit(self, turn: Turn) -> Duration | None:
        """How long is too long here: the cohort's frozen figure where the stage asks for one and there is one."""
        stage = self.machine.by_name.get(turn.state.stage)
        if stage is None or stage.stuck_cohort is None:
            return stage.stuck_after if stage is not None else None
        return turn.figures.get(figure(self._journey, stage.name, stage.stuck_cohort), stage.stuck_after)

    def _arm_stuck(self, turn: Turn) -> None:
        timers = turn.profile.timers
        if not timers and not self._limits:
            return
        limit = self._limit(turn)
        if limit is None:
            timers.pop(self._stuck, None)
        else:
            timers[self._stuck] = turn.state.entered_at + limit

    def _stuck_due(self, turn: Turn) -> bool:
        state, limit = turn.state, self._limit(turn)
        if limit is None:
            return False
        if state.entered_at + limit > turn.now:  # newer figures give them longer
            turn.profile.timers[self._stuck] = state.entered_at + limit
            return False
        data = StageStuck(
            **self._who.words(turn),
            because=self._who.because(turn, f"stage {state.stage}"),
            stage=state.stage,
            since=isoformat(state.entered_at),
            limit_seconds=limit / SECOND,
        )
        turn.out.append(self._who.decide(turn, "stage.stuck", f"stuck:{state.stage}", data))
        if self.told_stuck is not None:
            self.told_stuck(turn)
        return False

    def timers(self) -> dict[str, Callable[[Turn], bool]]:
        """A handler for each timer: whether there was a move."""
        if not self.machine.first:
            return {}
        return {self._look: self.hear, self._stuck: self._stuck_due, **self._holds.timers(self.hear)}


def figure(journey: str, stage: str, quantile: str) -> str:
    """Where a cohort's frozen dwell stands among the figures."""
    return f"{journey}/{stage}/{quantile}"
