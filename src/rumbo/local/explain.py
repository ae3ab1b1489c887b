"""Questions about a history: why this decision, and why not that trigger. It replays the customer and asks the core."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

from rumbo.core.decision import Decision, GateAnswer
from rumbo.core.definition import EventTest, Journey, OnEvent, Trigger
from rumbo.core.explain import Branch, Sight
from rumbo.core.flow import entry
from rumbo.core.instant import Instant, isoformat
from rumbo.core.interaction import Interaction
from rumbo.core.outputs import AccountScoreChanged, FlowChanged
from rumbo.core.scope import Scope
from rumbo.core.state import JourneyState
from rumbo.core.whynot import WhyNot, why_not
from rumbo.intake import RawRecord
from rumbo.local.reason import as_recorded, differ, summary, tree
from rumbo.local.run import Local, simulate
from rumbo.local.trace import Moment, Trace
from rumbo.topology import Topology

History = Callable[[], Iterable[RawRecord]]
"""The records from the first on, each time it is asked."""


class _Stood(msgspec.Struct, frozen=True, omit_defaults=True):
    clock: str
    stage: str
    since: str
    high_water: str
    scores: dict[str, float]


class Standing(_Stood, frozen=True):
    """Where the customer stood."""

    events: int


class AccountStanding(_Stood, frozen=True):
    """Where an account stood, and how many contacts counted."""

    contacts: int


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a decision was taken. `tree` are its conditions with what they saw, `gates` what each gate said, `data` the output itself.

    `customer` is whose it is: of a decision about an account, the account.
    """

    id: str
    kind: str
    customer: str
    journey: str
    at: str
    rule: str
    summary: str
    standing: Standing | AccountStanding
    tree: tuple[Branch, ...]
    gates: tuple[GateAnswer, ...]
    data: dict[str, Any]
    differ: tuple[str, ...] = ()
    """What would have had to differ, where the conditions alone do not say it."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a trigger did not act at an instant; or, where it did, the decision."""

    customer: str
    journey: str
    trigger: str
    asked_at: str
    looked_at: str
    """The input that was looked at: an interaction, or the customer's clock at the instant."""
    acted: str | None
    """The id of the decision, where there was one."""
    standing: Standing | None
    why_not: WhyNot | None
    summary: str


def explain_decision(
    topology: Topology, wanted: str, history: History, until: Instant | None = None
) -> Explanation | None:
    """The decision whose id begins with this; None where the history holds none."""
    found = next((each for each in simulate(topology, history(), until=until) if each.id.startswith(wanted)), None)
    if found is None:
        return None
    if getattr(found.data, "account", msgspec.UNSET) is not msgspec.UNSET:
        return _of_account(topology, found, history, until)
    trace, made = Trace(topology, found.customer), dict[str, Decision]()
    for moment in trace.moments(history(), until):
        if any(each.id == found.id for each in moment.decisions):
            return _explanation(trace, found, moment, made)
        made |= {each.id: each for each in moment.decisions}
    return None


def _explanation(trace: Trace, decision: Decision, moment: Moment, before: dict[str, Decision]) -> Explanation:
    sight = _sight(trace, decision.journey, moment)
    data = decision.data
    recorded = {leaf.condition: leaf for leaf in data.because.conditions}
    made = tuple(as_recorded(each, recorded) for each in tree(decision, sight, moment, before))
    told = {each.condition for top in made for each in _all(top)}
    rest = tuple(Branch(leaf.condition, leaf.holds, leaf.saw) for name, leaf in recorded.items() if name not in told)
    return Explanation(
        id=decision.id, kind=decision.kind, customer=decision.customer, journey=decision.journey, at=isoformat(decision.at),
        rule=data.because.rule, summary=summary(decision, before), standing=_standing(trace, decision.journey, moment),
        tree=(*made, *rest), gates=data.because.gates, differ=differ(decision, made), data=msgspec.to_builtins(data),
    )  # fmt: skip


def _of_account(topology: Topology, decision: Decision, history: History, until: Instant | None) -> Explanation:
    """A decision about an account, with what it knew of its contacts once the input was stepped."""
    local = Local(topology)
    for record in history():
        if any(each.id == decision.id for each in local.send(record)):
            break
    else:
        local.until(local.latest if until is None else until)
    account, data = local.accounts[decision.customer], decision.data
    marks, seen = account.marks, data.because.conditions
    rested = [Branch(leaf.condition, leaf.holds, leaf.saw) for leaf in seen]
    if isinstance(data, AccountScoreChanged):
        rested += [Branch(f"contact {each.customer}", True, {data.score: each.value, "role": each.role}) for each in data.contributors if each.customer != data.customer]  # fmt: skip
    standing = AccountStanding(
        isoformat(decision.at), marks.stage, isoformat(marks.since) if marks.since else "", marks.high_water, marks.said, len(account.contacts)
    )  # fmt: skip
    return Explanation(
        id=decision.id, kind=decision.kind, customer=decision.customer, journey=decision.journey, at=isoformat(decision.at),
        rule=data.because.rule, summary=summary(decision), standing=standing, tree=tuple(rested), gates=(), data=msgspec.to_builtins(data),
    )  # fmt: skip


def _all(seen: Branch) -> Iterable[Branch]:
    yield seen
    for each in seen.parts:
        yield from _all(each)


def explain_silence(topology: Topology, customer: str, trigger: str, at: Instant, history: History) -> Answer:
    """Why this trigger did not act, or this flow did not begin, for this customer at an instant. Raises LookupError for a name that is not defined.

    A trigger on an event is looked at with the customer's last such interaction up to the instant, others at the instant itself.
    """
    journey, found = _find(topology, trigger)
    on = found.on
    trace, chosen, last = Trace(topology, customer), None, dict[str, Interaction]()
    decisions: list[Decision] = []
    for moment in trace.moments(history(), at, no_later_than=at):
        decisions += [each for each in moment.decisions if _is_of(each, trigger)]
        if moment.event is not None:
            last[moment.event.key] = moment.event
        if chosen is None or not isinstance(on, OnEvent) or _named(on.events, moment.event):
            chosen = moment
    return _answer(trace, journey, found, at, chosen, last, decisions)


def _is_of(decision: Decision, name: str) -> bool:
    """Whether the trigger has acted, or the flow begun, with this."""
    data = decision.data
    if isinstance(data, FlowChanged):
        return data.flow == name and data.change == "entered"
    return getattr(data, "trigger", None) == name


def _answer(  # noqa: PLR0913, PLR0917  what one replay has found
    trace: Trace,
    journey: Journey,
    trigger: Trigger,
    at: Instant,
    moment: Moment | None,
    last: dict[str, Interaction],
    decisions: list[Decision],
) -> Answer:
    flow = next((each.id for each in journey.flows if entry(each.enter, each.id) == trigger), None)
    named = {
        "customer": trace.customer,
        "journey": journey.id,
        "trigger": flow or trigger.id,
        "asked_at": isoformat(at),
    }
    if moment is None:
        nobody = (
            f"nothing is known of {trace.customer} up to {isoformat(at)}: no interaction of theirs is in the history"
        )
        return Answer(**named, looked_at="", acted=None, standing=None, why_not=None, summary=nobody)
    here = moment.at if isinstance(trigger.on, OnEvent) else at
    done = next((each for each in reversed(decisions) if each.at == here), None)
    looked = f"{moment.event.name} {moment.event.id} at {isoformat(moment.at)}" if isinstance(trigger.on, OnEvent) and moment.event is not None else f"the customer at {isoformat(at)}"  # fmt: skip
    if done is not None:
        return Answer(
            **named,
            looked_at=looked,
            acted=done.id,
            standing=_standing(trace, journey.id, moment),
            why_not=None,
            summary=summary(done),
        )
    sight = _sight(trace, journey.id, moment, None if isinstance(trigger.on, OnEvent) else at)
    machine = trace.program.machine(journey.id).trigger(trigger.id)

    def last_of(events: EventTest) -> dict[str, Any]:
        seen = [each for name, each in last.items() if not events.names or name in events.names]
        latest = max(seen, key=lambda each: each.at, default=None)
        return {"last": isoformat(latest.at), "id": latest.id} if latest is not None else {}

    before = moment.before if here == moment.at else moment.after
    hinders = trace.program.machine(journey.id).hinders(sight.scope, flow) if flow is not None else None
    found = why_not(machine, sight, before, last_of, hinders)
    earlier = f"; it acted last at {isoformat(decisions[-1].at)}" if decisions else "; it has not acted before"
    said = f"did not act: {found.differ[0] if found.differ else 'nothing stands against it now, it is asked again with the next interaction that it listens to'}{earlier}"
    return Answer(
        **named,
        looked_at=looked,
        acted=None,
        standing=_standing(trace, journey.id, moment),
        why_not=found,
        summary=said,
    )


def _find(topology: Topology, trigger: str) -> tuple[Journey, Trigger]:
    """The trigger of this name, or what begins the flow of this name."""
    named = [
        (name, journey, each)
        for journey in topology.journeys
        for name, each in (
            *((each.id, each) for each in journey.triggers),
            *((flow.id, entry(flow.enter, flow.id)) for flow in journey.flows),
        )
    ]
    for name, journey, each in named:
        if name == trigger:
            return journey, each
    known = [name for name, _, _ in named]
    near = get_close_matches(trigger, known, 1, 0.5)
    raise LookupError(f"trigger '{trigger}' is not defined; " + (f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"))  # fmt: skip


def _named(events: EventTest, event: Interaction | None) -> bool:
    return event is not None and (not events.names or event.key in events.names)


def _sight(trace: Trace, journey: str, moment: Moment, at: Instant | None = None) -> Sight:
    """What the input left to be seen; `at` looks later, with no interaction, where that is after it."""
    later = at is not None and at > moment.at
    scope, profile = Scope(), moment.after
    if later and at is not None:
        profile.clock = max(profile.clock, at)
    scope.sees(profile, None if later else moment.event, at if later and at is not None else moment.at)
    scope.state = profile.journeys.get(journey) or JourneyState()
    machine = trace.program.machine(journey)
    return Sight(machine.journey, machine.words, scope)


def _standing(trace: Trace, journey: str, moment: Moment) -> Standing:
    profile, state = moment.after, moment.after.journeys.get(journey) or JourneyState()
    scores = trace.program.scores(journey)
    values = {name: round(machine.value(state.scores[name], profile.clock), 4) if name in state.scores else 0.0 for name, machine in scores.items()}  # fmt: skip
    return Standing(
        isoformat(profile.clock), state.stage, isoformat(state.entered_at), state.high_water, values, profile.events
    )
