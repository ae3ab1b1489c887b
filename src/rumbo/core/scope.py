"""What a condition can see: the profile, one journey's state, the interaction (none when a timer fires) and the customer's clock.

It never changes what it shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from rumbo.core.decision import Cause
from rumbo.core.instant import Duration, Instant, isoformat
from rumbo.core.interaction import Interaction
from rumbo.core.profile import Profile
from rumbo.core.state import JourneyState

Read = Callable[["Scope"], Any]
"""A compiled expression or condition: its value here, or unknown."""


class Scope:
    """What is seen while one input is stepped. `now` is the customer's clock; `at` the decision's own instant."""

    __slots__ = ("at", "cause", "event", "mark", "now", "profile", "state")

    profile: Profile
    state: JourneyState
    event: Interaction | None
    now: Instant
    at: Instant
    mark: str
    """What tells apart decisions of one rule on one input; empty where there is one."""
    cause: Cause | None

    def sees(self, profile: Profile, event: Interaction | None, at: Instant) -> None:
        """Turn to another input: an interaction, or (None) the timer due at `at`."""
        self.profile = profile
        self.event = event
        self.now = profile.clock
        self.at = at
        self.mark = ""
        self.cause = None

    @property
    def occurrence(self) -> str:
        """What an id hangs on: the interaction's id, or the due instant."""
        return self.event.id if self.event is not None else f"due {isoformat(self.at)}"

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The interaction as decisions quote it; none when a timer fires."""
        event = self.event
        if event is None:
            return ()
        if self.cause is None:
            self.cause = Cause(event.id, event.name, isoformat(event.at), event.topic, event.partition, event.offset)
        return (self.cause,)


class Turn(Scope):
    """A scope that is being stepped: what was decided so far, and the triggers that a move or a band has called."""

    __slots__ = ("called", "counts", "figures", "matched", "out", "signals", "took", "wanted")

    def __init__(self, counts: Counter[str], figures: dict[str, Duration]) -> None:
        self.counts, self.figures = counts, figures
        """What met a bound; the frozen figures of the cohort (`staging.figure`)."""
        self.out: list[Any] = []
        """Decisions, in the order decided."""
        self.called: list[Any] = []
        """Triggers to fire at the end of the step, in the order of the definition."""
        self.took: dict[str, list[str]] = {}
        """For each log of a cap, the rules that were emitted at this very instant."""
        self.wanted: list[Any] | None = None
        """Actions that wait for the others of this instant; None where nothing is capped, so that none has to."""
        self.matched: dict[str, list[Any]] = {}
        """Sequences that this interaction has completed, by trigger: one for each time that it was called."""
        self.signals: list[Interaction] = []
        """What was derived from the input (`core.signal`), to be stepped after it."""
