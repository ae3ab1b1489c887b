"""One rule of a score, compiled: whether it is due, and the points it gives. It neither reads a score nor moves a band."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from rumbo.core.condition import Compiled
from rumbo.core.decay import Fading, add
from rumbo.core.definition import Idling, Points
from rumbo.core.instant import Instant
from rumbo.core.scope import Read, Scope, Turn
from rumbo.core.state import SEEN_CAP, ScoreState


class Award(NamedTuple):
    """One rule, compiled."""

    rule: Points
    lane: str
    where: Read | None
    when: Compiled | None
    points: Callable[[Scope], float | None]
    key: Read | None
    """The value of `once_per`."""
    fading: Fading
    ids: int = 1
    """How many events' ids are kept, the last ones."""


_IDS: Final = 2
"""Where the ids stand in what is kept of a rule: [value, anchor, id, …]."""
Give = Callable[[ScoreState, Scope], float]
"""Gives one rule's points if they are due; the points given (0 for none)."""


def plain(award: Award) -> bool:
    """Whether its points are fixed, always due and only fade, and no more than the last event's id is kept."""
    rule = award.rule
    free = award.where is None and award.when is None and not rule.once and award.key is None and rule.at_most is None
    fades = rule.half_life is not None and rule.decay is None
    return free and fades and award.ids == 1 and isinstance(rule.points, int | float) and rule.points != 0


def orderless(award: Award) -> bool:
    """Whether its points add up to the same in every order: it asks for nothing but the interaction, and they only fade."""
    rule = award.rule
    remembers = rule.once or award.key is not None or rule.at_most is not None
    return award.when is None and not remembers and not isinstance(rule.decay, Idling)


def least_of(gives: tuple[Give, ...]) -> Give:
    """Several rules: the least of the points given (0 for none)."""

    def give(state: ScoreState, scope: Scope) -> float:
        least = 0.0
        for each in gives:
            points = each(state, scope)
            if points and (points < least or not least):
                least = points
        return least

    return give


def giver(award: Award) -> Give:
    """One rule as a function."""
    rule = award.rule

    def give(state: ScoreState, scope: Scope) -> float:
        event: Any = scope.event
        if (award.where is not None and award.where(scope) is not True) or (
            award.when is not None and award.when.holds(scope) is not True
        ):
            return 0.0
        points = award.points(scope)
        if not points or not _allowed(state, award, scope):
            return 0.0
        at = event.at
        lane = state.lanes.get(award.lane)
        if lane is None:
            state.lanes[award.lane] = award.fading.begin(points, at)
        else:
            award.fading.add(lane, points, at)
        own = state.rules.get(rule.key)
        if own is None:
            state.rules[rule.key] = [points, at, event.id]
        else:
            add(own, points, at, None if rule.decay is not None else rule.half_life)
            own[_IDS:] = [*own[_IDS:][1 - award.ids :], event.id] if award.ids > 1 else [event.id]
        return points

    return give


def _allowed(state: ScoreState, award: Award, scope: Scope) -> bool:
    """Whether `once`, `at_most` and `once_per` let this award through; remembers that it was given."""
    rule, event = award.rule, scope.event
    assert event is not None  # noqa: S101  awards come from interactions only
    if rule.once and rule.key in state.rules:
        return False
    recent: list[Instant] = []
    kept = rule.key if award.key is None else f"{rule.key}|at_most"  # beside the values
    if rule.at_most is not None:
        after = event.at - rule.at_most.within
        recent = [at for at in (state.seen or {}).get(kept, ()) if at > after]
        if sum(1 for at in recent if at <= event.at) >= rule.at_most.count:
            return False
    if award.key is not None and not _first_for(state, rule.key, award.key(scope), scope):
        return False
    if rule.at_most is not None:
        state.remember()[kept] = sorted([*recent, event.at])[-SEEN_CAP:]
    return True


def _first_for(state: ScoreState, key: str, value: object, scope: Scope) -> bool:
    """Whether this value is new to the rule. An unknown value is a value of its own: it counts once."""
    text = str(value)[:128]
    seen = state.remember().setdefault(key, [])
    if text in seen:
        return False
    seen.append(text)
    if len(seen) > SEEN_CAP:
        del seen[0]
        if isinstance(scope, Turn):
            scope.counts["once_per_forgotten"] += 1
    return True
