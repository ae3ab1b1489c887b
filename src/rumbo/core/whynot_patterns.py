"""Why a trigger that follows what happens over time was not called: how far it has come, and what it still waits for.

It changes nothing, and asks the machines on a copy of what the input found.
"""

from __future__ import annotations

from collections import Counter

from rumbo.core import profile as record
from rumbo.core.definition import Sequence, Trigger
from rumbo.core.explain import Branch, Sight
from rumbo.core.instant import isoformat
from rumbo.core.profile import JourneyState, Profile
from rumbo.core.scope import Turn
from rumbo.core.sequence import SequenceMachine, ends_at, furthest, sequence_text, step_text


def sequence(on: Sequence, trigger: str, sight: Sight, before: Profile) -> Branch:
    """How far the furthest match has come. Where it is complete here, the input is heard again on a copy."""
    text, found = sequence_text(on), _heard(trigger, sight, before)
    if found:
        ids = found[0][3:]
        return Branch(text, holds=True, saw={"ids": ids})
    partial = furthest(sight.scope.state.matches.get(trigger, []))
    ids, first, last = partial if partial is not None else ([], 0, 0)
    parts = [Branch(step_text(step), holds=True, saw={"id": came}) for step, came in zip(on.steps, ids, strict=False)]
    step = step_text(on.steps[len(ids)])
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
