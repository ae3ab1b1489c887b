"""Why a trigger does not act for a customer as things stand: the core's own answer, asked of a copy of what is stored.

No interaction is looked at, only the customer at the clock of their partition: what would have to come is part of the answer.
It has a program of its own, so that no question meets the one that decides.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import msgspec

from rumbo.core.definition import EventTest, Journey
from rumbo.core.explain import Sight
from rumbo.core.instant import Instant, isoformat
from rumbo.core.interaction import folded
from rumbo.core.profile import JourneyState, Profile
from rumbo.core.program import Program
from rumbo.core.scope import Scope
from rumbo.core.tracker import tracker_name
from rumbo.core.whynot import WhyNot, why_not
from rumbo.serve.state import Entry, Found
from rumbo.topology import Topology


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which trigger is asked about; `journey` only where two have one of that name."""

    trigger: str
    journey: str | None = None


class Silence(msgspec.Struct, frozen=True):
    """Why it does not act now: what calls it, its guard, whether it may act again, every gate, and what would have to differ."""

    customer: str
    journey: str
    trigger: str
    as_of: str
    stage: str
    last_acted: str | None
    why_not: WhyNot
    summary: str


class Asking:
    """Answers for one topology."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._program: Program | None = None

    def answer(self, found: Found, journal: list[Entry], question: Question) -> Silence:
        """Ask. Raises LookupError, with what is near, for a trigger that there is not."""
        journey = self._find(question)
        if self._program is None:
            self._program = self._topology.program()
        profile, machine = found.profile, self._program.machine(journey.id)
        at = max(found.clock, profile.clock)
        profile.clock = at
        scope = Scope()
        scope.sees(profile, None, at)
        scope.state = profile.journeys.get(journey.id) or JourneyState()
        sight = Sight(machine.journey, machine.words, scope)
        said = why_not(
            machine.trigger(question.trigger), sight, profile, lambda events: _last(profile, journal, events)
        )
        fired = scope.state.fired.get(question.trigger)
        return Silence(
            profile.customer, journey.id, question.trigger, isoformat(at), scope.state.stage, _time(fired), said,
            said.differ[0] if said.differ else "nothing stands against it: it is asked with the next interaction it listens to",
        )  # fmt: skip

    def _find(self, question: Question) -> Journey:
        named = [each for each in self._topology.journeys if question.journey in {None, each.id}]
        for journey in named:
            if any(each.id == question.trigger for each in journey.triggers):
                return journey
        known = [each.id for journey in named for each in journey.triggers]
        near = get_close_matches(question.trigger, known, 1, 0.5)
        cure = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known) or 'none'}"
        raise LookupError(f"trigger '{question.trigger}' is not defined; {cure}")


def _last(profile: Profile, journal: list[Entry], events: EventTest) -> dict[str, Any]:
    """The last interaction of these names, as far as the profile or the journal remembers one."""
    at = profile.last.get(tracker_name(events))
    if at is not None:
        return {"last": isoformat(at)}
    heard = (
        each for each in journal if each.name is not None and (not events.names or folded(each.name) in events.names)
    )
    found = next(heard, None)
    return {"last": isoformat(found.at), "id": found.id} if found is not None else {}


def _time(at: Instant | None) -> str | None:
    return isoformat(at) if at is not None else None
