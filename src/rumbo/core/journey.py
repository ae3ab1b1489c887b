"""One journey, compiled: scores, then stages, then triggers, for each input. It changes the state it is handed and lists decisions.

Cost per interaction follows the rules that could fire: for each event name a plan is made once, and names that no rule
mentions share one. No clock, no I/O: time arrives with the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rumbo.core.definition import Absence, Journey
from rumbo.core.identity import Identity
from rumbo.core.profile import JourneyState
from rumbo.core.scope import Turn
from rumbo.core.score import ScoreMachine
from rumbo.core.scoring import Awards, Scoring
from rumbo.core.stage import StageMachine
from rumbo.core.staging import Staging
from rumbo.core.trigger import AbsenceMachine, TriggerMachine, act
from rumbo.core.vocabulary import Words
from rumbo.core.waiting import Waiting


class Plan(NamedTuple):
    """What one event name can touch in one journey."""

    awards: Awards
    stages: bool
    triggers: tuple[TriggerMachine, ...]
    watches: tuple[TriggerMachine, ...]
    absences: tuple[AbsenceMachine, ...]


class JourneyMachine:
    """One journey of a topology, ready to step."""

    def __init__(self, topology: str, journey: Journey, words: Words) -> None:
        self.journey, self.id = journey, journey.id
        self.scores = {score.name: ScoreMachine(score) for score in journey.scores}
        vocabulary, self._who = words.vocabulary(journey, self.scores), Identity(topology, journey)
        self.stages = StageMachine(journey, vocabulary)
        self._triggers = tuple(
            (AbsenceMachine if isinstance(trigger.on, Absence) else TriggerMachine)(trigger, order, vocabulary)
            for order, trigger in enumerate(journey.triggers)
        )
        self._waiting = Waiting(self.id, self._triggers)
        self._scoring = Scoring(journey, self.scores, vocabulary, self._who)
        self._scoring.calls(self._triggers)
        self._staging = Staging(self.id, self.stages, self._who)
        self._staging.calls(self._triggers, self._waiting.stage_changed)
        self.timers: dict[str, Callable[[Turn], bool]] = {
            **self._scoring.timers(),
            **self._staging.timers(),
            **self._waiting.timers(),
        }

    def plan(self, key: str) -> Plan:
        """What an interaction of this (folded) name can touch; `""` stands for names that no rule mentions."""
        return Plan(
            awards=self._scoring.listening(key),
            stages=self._staging.listens(key),
            triggers=tuple(each for each in self._triggers if each.listens(key)),
            watches=self._waiting.watches_on(key),
            absences=self._waiting.absences_on(key),
        )

    def mentioned(self) -> set[str]:
        """Every event name that some rule of this journey listens to by name."""
        own = {name for each in self._triggers if each.events is not None for name in each.events.names}
        return own | self._scoring.mentioned() | self._staging.mentioned() | self._waiting.mentioned()

    def begin(self, turn: Turn) -> JourneyState:
        """The customer's first interaction."""
        event = turn.event
        state = turn.state = JourneyState(entered_at=turn.at, entry=event.id if event is not None else "")
        self._staging.begin(turn)
        self._act(turn, ())
        return state

    def before(self, turn: Turn, plan: Plan) -> None:
        """What must be looked at before the interaction is remembered."""
        self._waiting.before(turn, plan.watches)

    def hear(self, turn: Turn, plan: Plan) -> None:
        """Step one interaction: scores and bands, stages, then triggers in the order of the definition."""
        banded = self._scoring.hear(turn, plan.awards) if plan.awards else False
        moved = self._staging.hear(turn) if plan.stages or (banded and self._staging.on_bands) else False
        if plan.absences:
            self._waiting.hear(turn, plan.absences)
        watches = self._waiting.watches if banded or moved else plan.watches
        if watches:
            self._waiting.watch(turn, watches)
        if plan.triggers or turn.called:
            self._act(turn, plan.triggers)

    def fire(self, turn: Turn, name: str) -> None:
        """Step one timer that came due."""
        changed = self.timers[name](turn)
        if changed and name.startswith("score:") and self._staging.on_bands:
            self._staging.hear(turn)
        if changed:
            self._waiting.watch(turn, self._waiting.watches)
        self._act(turn, ())

    def _act(self, turn: Turn, listening: tuple[TriggerMachine, ...]) -> None:
        machines = listening
        if turn.called:
            machines = tuple(sorted((*listening, *turn.called), key=_order))
            turn.called.clear()
        for machine in machines:
            if machine.where is None or machine.where(turn) is True:
                decision = act(machine, turn, self._who, self._scoring.values)
                if decision is not None:
                    turn.out.append(decision)
            if isinstance(machine, AbsenceMachine):
                turn.state.since.pop(machine.id, None)


def _order(machine: TriggerMachine) -> int:
    return machine.order
