"""Why a trigger does not act, or a flow does not begin, for a customer as things stand: the core's own answer, asked of a copy of what is stored.

No interaction is looked at, only the customer at the clock of their partition: what would have to come is part of the answer.
It has a program of its own, so that no question meets the one that decides.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import msgspec

from rumbo.core.definition import EventTest, Journey
from rumbo.core.explain import Sight
from rumbo.core.flow import entry
from rumbo.core.instant import Instant, isoformat
from rumbo.core.interaction import folded
from rumbo.core.profile import Profile
from rumbo.core.program import Program
from rumbo.core.scope import Scope
from rumbo.core.state import JourneyState
from rumbo.core.tracker import tracker_name
from rumbo.core.whynot import WhyNot, why_not
from rumbo.serve.state import Entry, Found
from rumbo.topology import Topology


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which trigger, or which flow, is asked about; `journey` only where two have one of that name."""

    trigger: str | msgspec.UnsetType = msgspec.UNSET
    flow: str | msgspec.UnsetType = msgspec.UNSET
    journey: str | None = None

    def __post_init__(self) -> None:
        if (self.trigger is msgspec.UNSET) == (self.flow is msgspec.UNSET):
            raise ValueError("name one `trigger` or one `flow`")


class Silence(msgspec.Struct, frozen=True):
    """Why it does not act now: what calls it, its guard, whether it may act again, every gate, and what would have to differ.

    One of `trigger` and `flow` is null. A flow has acted last when the latest instance that is still under way began.
    """

    customer: str
    journey: str
    trigger: str | None
    flow: str | None
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
        """Ask. Raises LookupError, with what is near, for a trigger or a flow that there is not."""
        journey, rule, flow = self._find(question)
        if self._program is None:
            self._program = self._topology.program()
        profile, machine = found.profile, self._program.machine(journey.id)
        at = max(found.clock, profile.clock)
        profile.clock = at
        scope = Scope()
        scope.sees(profile, None, at)
        scope.state = profile.journeys.get(journey.id) or JourneyState()
        sight = Sight(machine.journey, machine.words, scope)
        hinders = machine.hinders(scope, flow) if flow is not None else None
        said = why_not(machine.trigger(rule), sight, profile, lambda events: _last(profile, journal, events), hinders)
        acted = scope.state.fired.get(rule) if flow is None else _begun(scope.state, flow)
        return Silence(
            profile.customer, journey.id, None if flow is not None else rule, flow, isoformat(at), scope.state.stage, _time(acted), said,
            said.differ[0] if said.differ else "nothing stands against it: it is asked with the next interaction it listens to",
        )  # fmt: skip

    def _find(self, question: Question) -> tuple[Journey, str, str | None]:
        """The journey, the rule to ask, and the flow that it begins, if it is one's."""
        journeys = [each for each in self._topology.journeys if question.journey in {None, each.id}]
        asks_flow = question.flow is not msgspec.UNSET
        kind, wanted = ("flow", question.flow) if asks_flow else ("trigger", question.trigger)
        named = [
            (journey, each)
            for journey in journeys
            for each in ([flow.id for flow in journey.flows] if asks_flow else [one.id for one in journey.triggers])
        ]
        for journey, each in named:
            if each == wanted:
                return (journey, _entry(journey, each), each) if asks_flow else (journey, each, None)
        known = [each for _, each in named]
        near = get_close_matches(str(wanted), known, 1, 0.5)
        cure = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known) or 'none'}"
        raise LookupError(f"{kind} '{wanted}' is not defined; {cure}")


def _entry(journey: Journey, flow: str) -> str:
    """The name of what begins a flow."""
    return next(entry(each.enter, each.id).id for each in journey.flows if each.id == flow)


def _begun(state: JourneyState, flow: str) -> Instant | None:
    return max((each.entered_at for each in state.flows if each.flow == flow), default=None)


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
