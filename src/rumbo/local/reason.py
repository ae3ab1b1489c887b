"""What each kind of decision rested on, as trees; what it says in one line; what would have had to differ for it not to be taken.

It reads a journey and what a decision wrote down. It replays nothing, and it never decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rumbo.core.decision import Decision
from rumbo.core.definition import Condition, EventTest, Journey, OnEvent
from rumbo.core.explain import Branch, Sight, branch, came, negated, said
from rumbo.core.instant import SECOND, format_duration
from rumbo.core.outputs import (
    AccountScoreChanged,
    AccountStageChanged,
    ActionRequested,
    ActionSuppressed,
    DecisionRetracted,
    EventQuarantined,
    ExposureRecorded,
    FlowChanged,
    ScoreChanged,
    SegmentChanged,
    StageChanged,
    StageStuck,
    StageSuggested,
    StageUnstable,
)
from rumbo.core.whynot import calls
from rumbo.local.trace import Moment

Made = Mapping[str, Decision]
"""What was decided of the customer before, by id."""


def tree(decision: Decision, sight: Sight, moment: Moment, made: Made) -> list[Branch]:
    """The conditions of a decision as they were seen; of one that hangs on none, what it came of."""
    found = _conditions(decision, sight, moment, made)
    return found if found or decision.data.because.conditions else _causes(decision)


def _conditions(decision: Decision, sight: Sight, moment: Moment, made: Made) -> list[Branch]:
    data, journey = decision.data, sight.journey
    match data:
        case ActionRequested(trigger=name):
            return _action(name, sight, moment)
        case StageChanged(reason="authority"):
            return [*_causes(decision), Branch(f"stage set to {data.to} with authority", holds=True)]
        case StageChanged():
            move = _whole_move(decision, moment)
            return _way(journey, move.from_, move.to, sight)
        case StageSuggested(stage=here, suggested=there):
            seen = {"stage": here, "since": data.since, **({"expires_at": data.expires_at} if data.expires_at else {})}
            return [Branch("stage set with authority", True, seen), *_way(journey, here, there, sight)]
        case StageUnstable(stage=here, suggested=there):
            most = journey.unstable
            limit = f"more than {most.flips} moves against the one before within {format_duration(most.within)}"
            return [Branch(limit, True, {"flips": data.flips + 1}), *_way(journey, here, there, sight)]
        case StageStuck(stage=here):
            limit = format_duration(round(data.limit_seconds * SECOND))
            return [Branch(f"in stage {here} for {limit}", True, {"since": data.since}), *_ways_on(here, sight)]
        case SegmentChanged(segment=name, change=change):
            found = branch(next(each.when for each in journey.segments if each.name == name), sight)
            return [found if change == "entered" else negated(found)]
        case ScoreChanged():
            return _score(journey, data)
        case EventQuarantined():
            seen = {"event": data.event, "id": data.event_id, "at": data.event_time, "since": data.since}
            return [Branch("no human came until then", True, seen)]
        case DecisionRetracted():
            return [*_causes(decision), _withdrawn(data, made)]
        case _:
            return []


def _causes(decision: Decision) -> list[Branch]:
    because = decision.data.because
    if because.due is not None and not because.events:
        return [Branch("due at that instant", True, {"due": because.due})]
    return [
        Branch(f"interaction {each.name}", True, {"interaction": each.name, "id": each.id, "at": each.time})
        for each in because.events
    ]


def _action(name: str, sight: Sight, moment: Moment) -> list[Branch]:
    found = next((each for each in sight.journey.triggers if each.id == name), None)
    if found is None:  # a step of a flow: its own record tells where the customer is in it
        return []
    on = came(found.on.events, sight, nothing) if isinstance(found.on, OnEvent) else None
    made = on or calls(found.on, name, sight, moment.before, nothing)
    called = [made] if made.holds else []  # what it was called by is told by its own record where it is over now
    return [*called, *([branch(found.when, sight)] if found.when is not None else [])]


def _whole_move(decision: Decision, moment: Moment) -> StageChanged:
    """Implied steps have the condition of the move that they belong to."""
    moves: list[StageChanged] = [
        each.data for each in moment.decisions if each.kind == "stage.changed" and each.journey == decision.journey
    ]
    here = next(at for at, each in enumerate(moves) if each == decision.data)
    return next(each for each in moves[here:] if not each.implied)


def _way(journey: Journey, here: str, there: str, sight: Sight) -> list[Branch]:
    when, latch = _condition(journey, here, there)
    return [branch(when, sight, latch)] if when is not None else []


def _condition(journey: Journey, here: str, there: str) -> tuple[Condition | None, str | None]:
    """What leads from one stage to another, and the entry that it counts from."""
    stages, order = (
        {each.name: each for each in journey.stages},
        [each.name for each in journey.stages if not each.side],
    )
    if stages[there].side:
        return stages[there].when, f"{there}.when"
    if stages[here].side:
        return stages[here].until, here
    if order.index(there) > order.index(here):
        return stages[there].when, None
    edge = next((each.when for each in stages[here].back if each.stage == there), None)
    return (edge, None) if edge is not None else (stages[here].until, f"{here}.until")


def _ways_on(here: str, sight: Sight) -> list[Branch]:
    """What the stages beyond wait for."""
    order = [each for each in sight.journey.stages if not each.side]
    at = next((at for at, each in enumerate(order) if each.name == here), len(order))
    ways = [(each, branch(each.when, sight)) for each in order[at + 1 :] if each.when is not None]
    return [Branch(f"stage {each.name} not entered", True, needs=found.needs, parts=(found,)) for each, found in ways]


def _score(journey: Journey, data: ScoreChanged) -> list[Branch]:
    value = {"value": data.value, "previous": data.previous}
    if data.reason is not None:
        return [Branch("disqualified", True, {"reason": data.reason, **value})]
    bands = next((each.bands for each in journey.scores if each.name == data.score), ())
    limits = [each for each in bands if each.name in {data.band, data.previous_band}] if data.band != data.previous_band else []  # fmt: skip
    crossed = [Branch(f"band {each.name}: entered at {each.enter:g}, left below {each.leave:g}", True, value) for each in limits]  # fmt: skip
    return [
        *(crossed or [Branch(f"score {data.score}", True, value)]),
        *(Branch(f"rule {each.rule}", True, {"points_now": each.points_now, "events": list(each.event_ids)}) for each in data.contributors),
    ]  # fmt: skip


def _withdrawn(data: DecisionRetracted, made: Made) -> Branch:
    """What is withdrawn, and what it had rested on."""
    found = made.get(data.retracts)
    if found is None:
        return Branch(f"{data.retracted} of {data.decided_at} no longer holds", True, {"id": data.retracts})
    rested = tuple(Branch(each.condition, each.holds, each.saw) for each in found.data.because.conditions)
    told = f"no longer holds: {summary(found, made)}" if data.reason != "reinstated" else f"holds again: {summary(found, made)}"  # fmt: skip
    seen = {"id": found.id, "rule": found.data.because.rule, "decided_at": data.decided_at}
    return Branch(told, True, seen, parts=rested)


def differ(decision: Decision, made: Sequence[Branch]) -> tuple[str, ...]:
    """What would have had to differ for this not to be decided so, where that is not plain from the conditions."""
    data = decision.data
    match data:
        case ActionSuppressed():
            free = f"; it alone says yes from {data.would_release_at}" if data.would_release_at else ""
            return (f"gate {data.gate} must let it through: {data.detail}{free}",)
        case SegmentChanged(change="left"):
            return _missing(made, f"to stay in {data.segment}")
        case StageStuck():
            return tuple(
                f"to enter {each.condition.removesuffix(' not entered')}: {each.needs}" for each in made if each.needs
            )
        case StageSuggested():
            free = f", or expire at {data.expires_at}" if data.expires_at else ""
            return (f"stage {data.stage} was set with authority: that must be released{free}",)
        case StageUnstable():
            return (f"{data.flips} moves back and forth at most: it is looked at again at {data.held_until}",)
        case EventQuarantined():
            return ("a human must stay on a page after the click before the quarantine ends",)
        case DecisionRetracted(reason="late_event"):
            return ("the late interaction must have come before this was decided, or not at all",)
        case DecisionRetracted(reason="quarantine"):
            return ("the interaction that it came from must be a person's",)
        case _:
            return ()


def _missing(made: Sequence[Branch], what: str) -> tuple[str, ...]:
    needs = [each.parts[0].needs for each in made if each.join == "not" and each.parts[0].needs]
    return tuple(f"{what}: {each}" for each in needs)


def as_recorded(seen: Branch, recorded: Mapping[str, Any]) -> Branch:
    """The state has moved on since: what the decision itself wrote down of a condition goes before what is seen now."""
    parts = tuple(as_recorded(each, recorded) for each in seen.parts)
    leaf = recorded.get(seen.condition)
    if leaf is not None:
        needs = seen.needs if leaf.holds is not True and leaf.holds == seen.holds else ""
        return msgspec.structs.replace(seen, holds=leaf.holds, saw=leaf.saw, needs=needs, parts=parts)
    if parts and seen.join is not None:
        answers = [each.holds for each in parts]
        holds = {"all": all(each is True for each in answers), "any": any(each is True for each in answers), "not": answers[0] is False}[seen.join]  # fmt: skip
        return msgspec.structs.replace(seen, holds=holds, needs="" if holds else _needed(seen, parts), parts=parts)
    return msgspec.structs.replace(seen, parts=parts)


def _needed(seen: Branch, parts: tuple[Branch, ...]) -> str:
    if seen.join == "not":
        return f"this must not hold: {said(parts[0])}"
    return (" and " if seen.join == "all" else ", or ").join(each.needs for each in parts if each.needs)


def summary(decision: Decision, made: Made | None = None) -> str:  # noqa: PLR0912  one for each kind
    """A decision in one line."""
    data = decision.data
    match data:
        case StageChanged():
            implied = " (implied: a step of a longer move)" if data.implied else ""
            by = " by authority" if data.reason == "authority" else ""
            return f"moved {data.direction} from stage {data.from_} to {data.to}{by}{implied}"
        case StageStuck():
            return f"stuck in stage {data.stage} since {data.since}, longer than {format_duration(round(data.limit_seconds * SECOND))}"
        case StageUnstable():
            return f"held in stage {data.stage} until {data.held_until}: {data.flips} moves back and forth, {data.suggested} would have been the next"
        case StageSuggested():
            return f"stage {data.suggested} suggested: somebody has set {data.stage} since {data.since}"
        case SegmentChanged():
            since = f", in it since {data.since}" if data.since else ""
            return f"{data.change} segment {data.segment} by {'an interaction' if data.reason == 'event' else 'time alone'}{since}"
        case EventQuarantined():
            return f"{data.event} {data.event_id} was a scanner's and is not counted: put aside at {data.since}, no human came"
        case DecisionRetracted():
            return _retracted(data, made or {})
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
            value = f"{data.value:g}" if data.value is not None else f"not reported ({data.reason})"
            return f"{data.score} is {value} (was {data.previous:g}), band {data.band or 'none'} (was {data.previous_band or 'none'})"
        case ActionRequested():
            what = f"{data.kind} action of trigger {data.trigger}"
            if not isinstance(data, ActionSuppressed):
                return f"{what} asked for"
            return f"{what} held back by gate {data.gate}: {data.detail}"
        case _:
            return f"{decision.kind} by {data.because.rule}"


def _retracted(data: DecisionRetracted, made: Made) -> str:
    found = made.get(data.retracts)
    what = f"`{summary(found, made)}`" if found is not None else data.retracted
    why = {"late_event": "an interaction came late", "quarantine": "it came from a scanner", "reinstated": "it holds again"}[data.reason]  # fmt: skip
    return f"{what}, decided at {data.decided_at}, is withdrawn: {why}"


def nothing(_events: EventTest) -> dict[str, Any]:
    """No last interaction is told."""
    return {}
