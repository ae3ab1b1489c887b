"""Why a trigger did not act: what calls it, its guard, whether it may act again, and every gate, each with its answer.

It never changes a profile. A kind of trigger that is not told apart here is still named, with what is remembered of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from rumbo.core.condition import compile_condition, describe
from rumbo.core.decision import GateAnswer
from rumbo.core.definition import (
    Absence,
    Anomaly,
    Condition,
    EventTest,
    On,
    OnBand,
    OnCondition,
    OnDate,
    OnEvent,
    OnSegment,
    OnStage,
    Sequence,
    Threshold,
)
from rumbo.core.explain import Branch, Sight, branch, came, joined
from rumbo.core.instant import format_duration, isoformat
from rumbo.core.profile import Profile
from rumbo.core.scope import Scope
from rumbo.core.state import JourneyState
from rumbo.core.trigger import TriggerMachine
from rumbo.core.whynot_patterns import anomaly, date, segment, sequence, threshold

Last = Callable[[EventTest], dict[str, Any]]
"""What is known of the last interaction of these names: `{"last": when, "id": …}`, or nothing."""


class WhyNot(msgspec.Struct, frozen=True, omit_defaults=True):
    """A trigger as one input left it. `differ` lists what would have had to differ for its action to be asked for."""

    trigger: str
    called: Branch
    guard: Branch | None
    again: Branch
    gates: tuple[GateAnswer, ...]
    differ: tuple[str, ...]


def why_not(machine: TriggerMachine, sight: Sight, before: Profile, last: Last, hinders: str | None = None) -> WhyNot:
    """Ask one trigger. `before` is the profile as the input found it; the scope shows it as the input left it.

    `hinders` for what begins a flow: what stands against another instance, in words; empty where nothing does.
    """
    called = calls(machine.on, machine.id, sight, before, last)
    guard = branch(machine.trigger.when, sight) if machine.trigger.when is not None else None
    again = _again(machine, sight) if hinders is None else Branch("may begin", not hinders, needs=hinders)
    gates = machine.request.answers(sight.scope)
    differ = [each.needs for each in (called, guard, again) if each is not None and each.holds is not True]
    differ += [f"gate {each.gate} must let it through: {each.detail}" for each in gates if not each.passed]
    return WhyNot(machine.id, called, guard, again, gates, tuple(differ))


def calls(on: On, trigger: str, sight: Sight, before: Profile, last: Last) -> Branch:
    """Whether the input called the trigger."""
    match on:
        case OnEvent(events=events):
            return came(events, sight, last)
        case OnCondition(when=when):
            risen = not _held(when, trigger, sight, before)
            rise = Branch(
                "it did not hold before", risen, needs="" if risen else "it must have been false before: it acts each time it becomes true",
            )  # fmt: skip
            now = branch(when, sight)
            return joined("all", (now, rise), risen if now.holds is True else now.holds)
        case OnStage(stage=stage, change=change):
            return _stage(stage, change, sight, _state(sight, before))
        case OnBand():
            return _band(on, sight, _state(sight, before))
        case OnSegment():
            return segment(on, sight, before)
        case Absence():
            return _absence(on, trigger, sight, last)
        case Sequence():
            return sequence(on, trigger, sight, before)
        case Threshold():
            return threshold(on, trigger, sight, before)
        case OnDate():
            return date(on, trigger, sight)
        case Anomaly():
            return anomaly(on, trigger, sight, before)
        case _:
            return _other(on, trigger, sight.scope.state)


def _state(sight: Sight, profile: Profile) -> JourneyState:
    return profile.journeys.get(sight.journey.id) or JourneyState()


def _held(when: Condition, trigger: str, sight: Sight, before: Profile) -> bool:
    """Whether the condition held when the input came: it did when it was last looked at, and time has not made it false since."""
    state = _state(sight, before)
    if trigger not in state.held:
        return False
    scope, clock = Scope(), before.clock
    before.clock = sight.scope.now
    scope.sees(before, sight.scope.event, sight.scope.at)
    scope.state = state
    holds = compile_condition(when, sight.words).holds(scope) is True
    before.clock = clock
    return holds


def _again(machine: TriggerMachine, sight: Sight) -> Branch:
    fired, again = sight.scope.state.fired.get(machine.id), machine.trigger.again
    text = {"always": "may act each time", "once": "acts once in a customer's life", "per_entry": "acts once for each stage entry"}[again]  # fmt: skip
    holds = machine.due_again(sight.scope)
    seen = {"acted": isoformat(fired)} if fired is not None else {}
    return Branch(
        text, holds, seen, needs="" if holds else f"it must not have acted before (it did at {seen.get('acted')})"
    )


def _stage(stage: str, change: str, sight: Sight, before: JourneyState) -> Branch:
    state = sight.scope.state
    fresh = [
        name
        for name, at in state.history
        if at == sight.scope.now and [name, at] not in [list(each) for each in before.history]
    ]
    holds = stage in fresh if change == "entered" else before.stage == stage and state.stage != stage
    seen = {"stage": state.stage, "since": isoformat(state.entered_at), "before": before.stage}
    when = next((each.when for each in sight.journey.stages if each.name == stage), None)
    parts = (branch(when, sight),) if when is not None and not holds and change == "entered" else ()
    needs = f"stage {stage} must be {change} at that instant"
    needs += f"; it is entered when {parts[0].needs}" if parts and parts[0].needs else ""
    return Branch(f"stage {stage} {change}", holds, seen, needs="" if holds else needs, parts=parts)


def _band(on: OnBand, sight: Sight, before: JourneyState) -> Branch:
    score = next(each for each in sight.journey.scores if each.name == on.score)
    rank = next(at for at, band in enumerate(score.bands) if band.name == on.band)
    band, state = score.bands[rank], sight.scope.state
    was = before.scores[on.score].band if on.score in before.scores else -1
    now = state.scores[on.score].band if on.score in state.scores else -1
    found = state.scores.get(on.score)
    if found is not None and found.out:
        needs = f"{on.score} must be reported: the customer is disqualified ({found.out})"
        return Branch(f"{on.score} {on.change} band {on.band}", holds=False, saw={"reason": found.out}, needs=needs)
    value = round(sight.words.value(on.score)(sight.scope), 4)
    holds = was < rank <= now if on.change == "entered" else now < rank <= was
    seen = {on.score: value, "band": score.bands[now].name if now >= 0 else None}
    if holds:
        return Branch(f"{on.score} {on.change} band {on.band}", holds, seen)
    if on.change == "left":
        needs = f"{on.score} must fall below {band.leave:g} from band {on.band}"
    elif now >= rank:
        needs = f"{on.score} must enter {on.band} from below: it was there already"
    else:
        needs = f"{on.score} at least {band.enter:g}: {round(band.enter - value, 4):g} more than {value:g}"
    return Branch(f"{on.score} {on.change} band {on.band}", holds, seen, needs)


def _absence(on: Absence, trigger: str, sight: Sight, last: Last) -> Branch:
    state, now = sight.scope.state, sight.scope.now
    text = f"no {describe(on.of)} for {format_duration(on.length)}" + _since(on)
    counted = state.since.get(trigger)
    if counted is None:
        seen = last(on.of)
        ended = f" and no {describe(on.of)} may come after it (one came at {seen['last']})" if seen else ""
        return Branch(text, holds=False, saw=seen, needs=f"it must be counting: it begins with {_start(on)}{ended}")
    due = counted[0] + on.length
    seen = {"since": isoformat(counted[0]), "due": isoformat(due), **last(on.of)}
    return Branch(text, due <= now, seen, "" if due <= now else f"the silence must last until {isoformat(due)}")


def _since(on: Absence) -> str:
    return "" if on.since is None else f" since {_start(on)}"


def _start(on: Absence) -> str:
    match on.since:
        case OnStage(stage=stage, change=change):
            return f"stage {stage} {change}"
        case EventTest():
            return describe(on.since)
        case _:
            return describe(on.of)


def _other(on: On, trigger: str, state: JourneyState) -> Branch:
    """A kind that has no words of its own here: its definition, and what the state holds under its name."""
    said = msgspec.to_builtins(on)
    kind = said.pop("type", type(on).__name__) if isinstance(said, dict) else type(on).__name__
    kept = {
        name: msgspec.to_builtins(held[trigger])
        for name in state.__struct_fields__
        if isinstance(held := getattr(state, name), dict) and trigger in held
    }
    return Branch(f"{kind} {msgspec.json.encode(said).decode()}", None, kept, needs=f"its {kind} must come about")
