"""What a topology derives from interactions, compiled: who listens to which, and the timers. It never decides."""

from __future__ import annotations

from collections.abc import Callable

from rumbo.core.contact import Hear
from rumbo.core.definition import EventTest
from rumbo.core.friction import FrictionMachine
from rumbo.core.scope import Read, Turn
from rumbo.core.visit import VisitMachine
from rumbo.core.vocabulary import Words


class Deriving:
    """The machines of one topology that derive interactions."""

    def __init__(self, words: Words) -> None:
        self._watches: list[tuple[EventTest, Read | None, Hear]] = []
        self.timers: dict[str, Callable[[Turn], None]] = {}
        """Who is called when a timer of none of the journeys comes due."""
        if words.derived.sessions is not None:
            visits = VisitMachine(words.derived.sessions, words.read)
            self._watches.append((visits.events, visits.where, visits.hear))
            self.timers[visits.timer] = visits.due
        self.stuck: Callable[[Turn], None] | None = None
        """Told of a customer who is stuck in a stage; None: nobody wants to know."""
        if words.derived.friction is not None:
            friction = FrictionMachine(words.derived.friction, words.derived.sessions, words.read)
            self._watches += friction.watches
            self.timers |= friction.timers
            self.stuck = friction.stuck

    def mentioned(self) -> set[str]:
        """Every event name that is listened to by name."""
        return {name for events, _, _ in self._watches for name in events.names}

    def listening(self, key: str) -> tuple[tuple[Read | None, Hear], ...]:
        """What to do for an interaction of this (folded) name: a guard or None, and who takes it in."""
        return tuple((where, hear) for events, where, hear in self._watches if not events.names or key in events.names)
