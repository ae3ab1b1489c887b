"""Questions about a history: why this decision, and why not that trigger. It replays the customer and asks the core."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

from rumbo.core.decision import Decision, GateAnswer
from rumbo.core.definition import Condition, EventTest, Journey, OnEvent, Trigger
from rumbo.core.explain import Branch, Sight, branch, came
from rumbo.core.flow import entry
from rumbo.core.instant import Instant, isoformat
from rumbo.core.interaction import Interaction
from rumbo.core.outputs import (
    AccountScoreChanged,
    AccountStageChanged,
    ActionRequested,
    ExposureRecorded,
    FlowChanged,
    ScoreChanged,
    StageChanged,
)
from rumbo.core.scope import Scope
from rumbo.core.state import JourneyState
from rumbo.core.whynot import WhyNot, calls, why_not
from rumbo.intake import RawRecord
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
    trace = Trace(topology, found.customer)
    for moment in trace.moments(history(), until):
        if any(each.id == found.id for each in moment.decisions):
            return _explanation(trace, found, moment)
    return None


def _explanation(trace: Trace, decision: Decision, moment: Moment) -> Explanation:
    sight = _sight(trace, decision.journey, moment)
    data = decision.data
    recorded = {leaf.condition: leaf for leaf in data.because.conditions}
    made = tuple(_as_recorded(each, recorded) for each in _tree(decision, sight, moment))
    told = {each.condition for top in made for each in _all(top)}
    rest = tuple(Branch(leaf.condition, leaf.holds, leaf.saw) for name, leaf in recorded.items() if name not in told)
    return Explanation(
        id=decision.id, kind=decision.kind, customer=decision.customer, journey=decision.journey, at=isoformat(decision.at),
        rule=data.because.rule, summary=_summary(decision), standing=_standing(trace, decision.journey, moment),
        tree=(*made, *rest), gates=data.because.gates, data=msgspec.to_builtins(data),
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
    tree = [Branch(leaf.condition, leaf.holds, leaf.saw) for leaf in seen]
    if isinstance(data, AccountScoreChanged):
        tree += [Branch(f"contact {each.customer}", True, {data.score: each.value, "role": each.role}) for each in data.contributors if each.customer != data.customer]  # fmt: skip
    standing = AccountStanding(
        isoformat(decision.at), marks.stage, isoformat(marks.since) if marks.since else "", marks.high_water, marks.said, len(account.contacts)
    )  # fmt: skip
    return Explanation(
        id=decision.id, kind=decision.kind, customer=decision.customer, journey=decision.journey, at=isoformat(decision.at),
        rule=data.because.rule, summary=_summary(decision), standing=standing, tree=tuple(tree), gates=(), data=msgspec.to_builtins(data),
    )  # fmt: skip


def _tree(decision: Decision, sight: Sight, moment: Moment) -> list[Branch]:
    data = decision.data
    match data:
        case ActionRequested(trigger=name):
            found = next((each for each in sight.journey.triggers if each.id == name), None)
            if found is None:  # a step of a flow: its own record tells where the customer is in it
                return []
            on = came(found.on.events, sight, _nothing) if isinstance(found.on, OnEvent) else None
            made = on or calls(found.on, name, sight, moment.before, _nothing)
            tree = [made] if made.holds else []  # what it was called by is told by its own record where it is over now
            return [*tree, *([branch(found.when, sight)] if found.when is not None else [])]
        case StageChanged():
            when, latch = _stage_condition(sight.journey, decision, moment)
            return [branch(when, sight, latch)] if when is not None else []
        case ScoreChanged(contributors=contributors):
            return [
                Branch(f"rule {each.rule}", True, {"points_now": each.points_now, "events": list(each.event_ids)})
                for each in contributors
            ]
        case _:
            return []


def _stage_condition(journey: Journey, decision: Decision, moment: Moment) -> tuple[Condition | None, str | None]:
    """The condition that asked for a move; implied steps have that of the move they belong to."""
    moves = [
        each.data for each in moment.decisions if each.kind == "stage.changed" and each.journey == decision.journey
    ]
    here = next(at for at, each in enumerate(moves) if each == decision.data)
    move = next(each for each in moves[here:] if not each.implied)
    stages = {each.name: each for each in journey.stages}
    match move.direction:
        case "return":
            return stages[move.from_].until, move.from_
        case "backward":
            return next((edge.when for edge in stages[move.from_].back if edge.stage == move.to), None), None
        case _:
            return stages[move.to].when, None


def _as_recorded(seen: Branch, recorded: dict[str, Any]) -> Branch:
    """The state has moved on since: what the decision itself wrote down of a condition goes before what is seen now."""
    parts = tuple(_as_recorded(each, recorded) for each in seen.parts)
    leaf = recorded.get(seen.condition)
    if leaf is not None:
        return msgspec.structs.replace(seen, holds=leaf.holds, saw=leaf.saw, needs="", parts=parts)
    if parts and seen.join is not None:
        answers = [each.holds for each in parts]
        holds = {"all": all(each is True for each in answers), "any": any(each is True for each in answers), "not": answers[0] is False}  # fmt: skip
        return msgspec.structs.replace(seen, holds=holds[seen.join], needs="", parts=parts)
    return msgspec.structs.replace(seen, parts=parts)


def _all(seen: Branch) -> Iterable[Branch]:
    yield seen
    for each in seen.parts:
        yield from _all(each)


def _summary(decision: Decision) -> str:
    data = decision.data
    match data:
        case StageChanged():
            implied = " (implied: a step of a longer move)" if data.implied else ""
            return f"moved {data.direction} from stage {data.from_} to {data.to}{implied}"
        case AccountStageChanged():
            moved = f"moved {data.direction} from stage {data.from_} to stage {data.to}"
            if data.from_ is None or data.to is None:
                moved = f"{data.direction} stage {data.from_ or data.to}"
            return f"account {moved} by contact {data.customer}"
        case AccountScoreChanged():
            return f"{data.score} of the account is {data.value:g} (was {data.previous:g}) by contact {data.customer}"
        case FlowChanged():
            key = f" for {data.key}" if data.key is not None else ""
            at = f" at step {data.step}" if data.step is not None and data.change != "entered" else ""
            return f"flow {data.flow}{key} {data.change}{at}" + (f": {data.reason}" if data.change != "entered" else "")
        case ExposureRecorded():
            return f"variant {data.variant} of experiment {data.experiment}"
        case ScoreChanged():
            return f"{data.score} is {data.value:g} (was {data.previous:g}), band {data.band or 'none'} (was {data.previous_band or 'none'})"
        case ActionRequested():
            gate = getattr(data, "gate", None)
            what = f"{data.kind} action of trigger {data.trigger}"
            return f"{what} held back by gate {gate}: {data.detail}" if gate else f"{what} asked for"  # type: ignore[attr-defined]  # only suppressions have a gate
        case _:
            return f"{decision.kind} by {data.because.rule}"


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
            summary=_summary(done),
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
    summary = f"did not act: {found.differ[0] if found.differ else 'nothing stands against it now, it is asked again with the next interaction that it listens to'}{earlier}"
    return Answer(
        **named,
        looked_at=looked,
        acted=None,
        standing=_standing(trace, journey.id, moment),
        why_not=found,
        summary=summary,
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


def _nothing(_events: EventTest) -> dict[str, Any]:
    return {}
