"""Why a trigger that follows what happens over time was not called: how far it has come, and what it still waits for.

It changes nothing, and asks the machines on a copy of what the input found.
"""

from __future__ import annotations

from collections import Counter

from rumbo.core import profile as record
from rumbo.core.anomaly import AnomalyMachine, anomaly_text, margin
from rumbo.core.condition import describe
from rumbo.core.date import DateMachine, date_text
from rumbo.core.definition import Anomaly, OnDate, OnSegment, Sequence, Threshold, Trigger
from rumbo.core.explain import Branch, Sight, branch
from rumbo.core.instant import format_duration, isoformat
from rumbo.core.profile import Profile
from rumbo.core.scope import Turn
from rumbo.core.sequence import SequenceMachine, ends_at, furthest, sequence_text, step_text
from rumbo.core.state import JourneyState
from rumbo.core.threshold import ThresholdMachine, threshold_text


def sequence(on: Sequence, trigger: str, sight: Sight, before: Profile) -> Branch:
    """How far the furthest match has come. Where it is complete here, the input is heard again on a copy."""
    text, found = sequence_text(on), _heard(trigger, sight, before)
    if found:
        ids = found[0][3:]
        return Branch(text, holds=True, saw={"ids": ids})
    partial = furthest(sight.scope.state.matches.get(trigger, []))
    ids, first, last = partial if partial is not None else ([], 0, 0)
    parts = [Branch(step_text(step), holds=True, saw={"id": came}) for step, came in zip(on.steps, ids, strict=False)]
    step = step_text(on.steps[min(len(ids), len(on.steps) - 1)])
    if partial is None:
        needs = f"{step} must come first" + ("" if len(on.steps) < 2 else f", then {step_text(on.steps[1])}")  # noqa: PLR2004  there is a second
    else:
        needs = f"{step} must come after {isoformat(last)} and by {ends_at(first, on)}"
    return Branch(text, holds=False, needs=needs, parts=(*parts, Branch(step, holds=False, needs=needs)))


def _heard(trigger: str, sight: Sight, before: Profile) -> list[list[str]]:
    """The matches that the interaction in the scope completes."""
    if sight.scope.event is None:
        return []
    turn = _again(sight, before)
    definition = _definition(trigger, sight)
    SequenceMachine(sight.journey.id, definition, 0, sight.words).hear(turn)
    return turn.matched.get(trigger, [])


def _definition(trigger: str, sight: Sight) -> Trigger:
    return next(each for each in sight.journey.triggers if each.id == trigger)


def _again(sight: Sight, before: Profile) -> Turn:
    """The input once more, on a copy of what it found."""
    copy = record.load(record.dump(before))
    turn = Turn(Counter(), {})
    copy.clock = max(copy.clock, sight.scope.now)
    turn.sees(copy, sight.scope.event, sight.scope.at)
    turn.state = copy.journeys.setdefault(sight.journey.id, JourneyState())
    return turn


def segment(on: OnSegment, sight: Sight, before: Profile) -> Branch:
    """Whether the customer was in it, and is; and its condition."""
    state, name = before.journeys.get(sight.journey.id) or JourneyState(), on.segment
    was, now = name in state.segments, name in sight.scope.state.segments
    text, entered = f"segment {name} {on.change}", on.change == "entered"
    if was is not now and now is entered:
        return Branch(text, holds=True, saw={"in": now, "before": was})
    when = next(each.when for each in sight.journey.segments if each.name == name)
    seen = branch(when, sight)
    if now is entered:
        needs = f"the customer must {'not have been' if entered else 'have been'} in {name} before"
    elif entered:
        needs = f"segment {name} must be entered at that instant: {seen.needs or 'it must hold'}"
    else:
        needs = f"segment {name} must be left at that instant: its condition must not hold"
    return Branch(text, holds=False, saw={"in": now, "before": was}, needs=needs, parts=(seen,))


def threshold(on: Threshold, trigger: str, sight: Sight, before: Profile) -> Branch:
    """On which side the figure is, and on which it was."""
    machine = ThresholdMachine(sight.journey, _definition(trigger, sight), 0, sight.words)
    state = before.journeys.get(sight.journey.id) or JourneyState()
    value, was = machine.value(sight.scope), machine.side_before(state)
    seen = {on.name: value, "was_at_least": was}
    above = value is not None and value >= on.limit
    text, up = threshold_text(on), on.direction == "up"
    if value is None:
        return Branch(text, holds=False, saw=seen, needs=f"{on.name} must be a number")
    if above is up and was is (not up):
        return Branch(text, holds=True, saw=seen)
    if above is not up:
        missing = f"{on.name} must be {'at least' if up else 'below'} {on.limit:g}, not {value:g}"
    else:
        missing = f"{on.name} must have been {'below' if up else 'at least'} {on.limit:g} before"
    return Branch(text, holds=False, saw=seen, needs=missing)


def date(on: OnDate, trigger: str, sight: Sight) -> Branch:
    """When it is due, or what the trait lacks."""
    machine = DateMachine(sight.journey.id, _definition(trigger, sight), 0, sight.words)
    scope, text = sight.scope, date_text(on)
    known = scope.profile.traits.get(on.trait)
    seen = {on.trait: known[0] if known is not None else None, "zone": str(machine.zone(scope))}
    due = machine.next_due(scope, scope.now)
    if known is None:
        return Branch(text, holds=False, saw=seen, needs=f"the customer must have a trait {on.trait}")
    if due is None:
        return Branch(text, holds=False, saw=seen, needs=f"{on.trait} must hold a date that is still to come")
    return Branch(
        text,
        due == scope.now,
        {**seen, "due": isoformat(due)},
        "" if due == scope.now else f"it is due at {isoformat(due)}",
    )


def anomaly(on: Anomaly, trigger: str, sight: Sight, before: Profile) -> Branch:
    """The count of the period and what is usual. Where it was called here, the input is taken in again on a copy."""
    machine, text = AnomalyMachine(sight.journey.id, _definition(trigger, sight), 0, sight.words), anomaly_text(on)
    turn = _again(sight, before)
    (machine.hear if turn.event is not None else machine.due)(turn)
    for count, mean, off in turn.matched.get(trigger, []):
        return Branch(text, holds=True, saw={"count": count, "usual": round(mean, 4), "margin": round(off, 4)})
    state = machine.kept(sight.scope)
    if state is None:
        return Branch(text, holds=False, needs=f"{describe(on.of)} must have happened: nothing is usual yet")
    off = margin(state[2], state[3], on.deviations)
    seen = {"count": state[1], "usual": round(state[2], 4), "margin": round(off, 4), "periods": max(state[4], 0)}
    if state[4] < on.warm_up:
        return Branch(
            text, holds=False, saw=seen, needs=f"{on.warm_up} whole periods must have passed, not {max(state[4], 0)}"
        )
    if state[5]:
        return Branch(
            text,
            holds=False,
            saw=seen,
            needs="it must have been usual in between: it is called once while the rate stays odd",
        )
    side, limit = ("fewer than", state[2] - off) if on.change == "drop" else ("more than", state[2] + off)
    return Branch(
        text,
        holds=False,
        saw=seen,
        needs=f"{side} {round(limit, 4):g} in a period of {format_duration(on.per)}, not {state[1]}",
    )
