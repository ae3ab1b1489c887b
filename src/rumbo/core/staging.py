"""The stages of one journey as they are stepped: moves become transitions, and time alone is watched through one timer."""

from __future__ import annotations

from collections.abc import Callable

from rumbo.core.definition import OnStage
from rumbo.core.identity import Identity
from rumbo.core.instant import SECOND, isoformat
from rumbo.core.outputs import StageChanged, StageStuck
from rumbo.core.scope import Turn
from rumbo.core.stage import Move, StageMachine
from rumbo.core.trigger import TriggerMachine

Changed = Callable[[Turn, str, str], None]
"""Told of each stage left and entered: (turn, stage, "left" | "entered")."""


class Staging:
    """Asks the stage machine, emits its moves, keeps its timers."""

    def __init__(self, journey: str, machine: StageMachine, who: Identity) -> None:
        self.machine, self._who = machine, who
        self._look, self._stuck = f"stage:{journey}", f"stuck:{journey}"
        conditions = tuple(machine.conditions())
        self._hears = [each.hears for each in conditions]
        self.on_bands = any(each.scores for each in conditions) or any(each is None for each in self._hears)
        self._by_stage: dict[tuple[str, str], list[TriggerMachine]] = {}
        self._changed: tuple[Changed, ...] = ()

    def calls(self, triggers: tuple[TriggerMachine, ...], changed: Changed) -> None:
        """Tell it which triggers hang on stages, and who else wants to know."""
        self._changed = (changed,)
        for each in triggers:
            if isinstance(each.on, OnStage):
                self._by_stage.setdefault((each.on.stage, each.on.change), []).append(each)

    def listens(self, key: str) -> bool:
        """Whether an interaction of this name can move anybody."""
        return any(hears is None or key in hears for hears in self._hears)

    def mentioned(self) -> set[str]:
        """Every event name that some criterion listens to by name."""
        return {name for hears in self._hears for name in hears or ()}

    def begin(self, turn: Turn) -> None:
        """Everyone begins in the first stage, without a transition."""
        state, first = turn.state, self.machine.first
        if first:
            state.stage = state.high_water = first
            state.history.append((first, turn.at))
            self._entered(turn)

    def hear(self, turn: Turn) -> bool:
        """Move as the conditions say; whether there was a move."""
        moves = self.machine.moves(turn)
        for move in moves:
            self._emit(turn, move)
            self._tell(turn, move.origin, "left")
            self._tell(turn, move.target, "entered")
        if moves:
            self._arm_stuck(turn)
        due, timers = self.machine.next_look(turn), turn.profile.timers
        if due and due < timers.get(self._look, due + 1):  # a later one is found when the timer fires
            timers[self._look] = due
        return bool(moves)

    def _entered(self, turn: Turn) -> None:
        self._tell(turn, turn.state.stage, "entered")
        self._arm_stuck(turn)

    def _tell(self, turn: Turn, stage: str, change: str) -> None:
        turn.called.extend(self._by_stage.get((stage, change), ()))
        for told in self._changed:
            told(turn, stage, change)

    def _emit(self, turn: Turn, move: Move) -> None:
        seen = tuple(move.why.explain(turn)) if move.why is not None else ()
        data = StageChanged(
            **self._who.words(turn),
            because=self._who.because(turn, f"stage {move.target}", seen),
            from_=move.origin,
            to=move.target,
            direction=move.direction,
            implied=move.implied,
            high_water=turn.state.high_water,
            dwell_seconds=move.dwell / SECOND,
        )
        turn.out.append(self._who.decide(turn, "stage.changed", f"stage:{move.target}", data))

    def _arm_stuck(self, turn: Turn) -> None:
        limit, timers = self.machine.by_name[turn.state.stage].stuck_after, turn.profile.timers
        if limit is None:
            timers.pop(self._stuck, None)
        else:
            timers[self._stuck] = turn.state.entered_at + limit

    def _stuck_due(self, turn: Turn) -> bool:
        state = turn.state
        stage = self.machine.by_name.get(state.stage)
        if stage is None or stage.stuck_after is None or state.entered_at + stage.stuck_after > turn.now:
            return False
        data = StageStuck(
            **self._who.words(turn),
            because=self._who.because(turn, f"stage {state.stage}"),
            stage=state.stage,
            since=isoformat(state.entered_at),
            limit_seconds=stage.stuck_after / SECOND,
        )
        turn.out.append(self._who.decide(turn, "stage.stuck", f"stuck:{state.stage}", data))
        return False

    def timers(self) -> dict[str, Callable[[Turn], bool]]:
        """A handler for each timer: whether there was a move."""
        return {self._look: self.hear, self._stuck: self._stuck_due} if self.machine.first else {}
