"""Triggers that keep a state of their own: which machine serves which definition, and what all of them answer. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from rumbo.core.anomaly import AnomalyMachine
from rumbo.core.condition import Vocabulary
from rumbo.core.date import DateMachine
from rumbo.core.definition import Absence, Anomaly, Journey, OnDate, Sequence, Threshold, Trigger
from rumbo.core.scope import Turn
from rumbo.core.sequence import SequenceMachine
from rumbo.core.threshold import ThresholdMachine
from rumbo.core.trigger import AbsenceMachine, TriggerMachine

Hear = Callable[[Turn], None]
"""Takes in one interaction; the trigger is among `turn.called` where that calls it."""


@runtime_checkable
class Watcher(Protocol):
    """A trigger that follows what happens until it is called. `hears`: the (folded) names that it follows, None for any."""

    hears: frozenset[str] | None
    timer: str

    def hear(self, turn: Turn) -> None: ...

    def due(self, turn: Turn) -> bool:
        """Its timer came due; always False, since it moves no stage."""
        ...


def trigger_machine(journey: Journey, trigger: Trigger, order: int, words: Vocabulary) -> TriggerMachine:
    """The machine of one trigger."""
    match trigger.on:
        case Absence():
            return AbsenceMachine(trigger, order, words)
        case Sequence():
            return SequenceMachine(journey.id, trigger, order, words)
        case Threshold():
            return ThresholdMachine(journey, trigger, order, words)
        case OnDate():
            return DateMachine(journey.id, trigger, order, words)
        case Anomaly():
            return AnomalyMachine(journey.id, trigger, order, words)
        case _:
            return TriggerMachine(trigger, order, words)
