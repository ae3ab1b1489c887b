"""What a customer is, not what they do: a fit score from traits, disqualification, resets. It changes scores; `scoring` says so.

A fit score is recomputed from the traits whenever some come: each rule that holds gives its points, one that does not its `otherwise`, and
one that cannot be told (a trait is missing) nothing, so that missing data is neutral. It does not decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rumbo.core.condition import Compiled, Vocabulary, compile_condition
from rumbo.core.definition import EventTest, Reset, Score
from rumbo.core.instant import Instant
from rumbo.core.scope import Read, Turn
from rumbo.core.score import FIT, ScoreMachine
from rumbo.core.state import ScoreState
from rumbo.core.trigger import where_of

_NO_TRAITS = len(b"{}")


def fitting(score: Score, words: Vocabulary) -> Callable[[ScoreState, Turn], None]:
    """Recomputes a fit score from the traits."""
    rules = tuple((rule.key, words.expression(rule.where), rule.points, rule.otherwise) for rule in score.traits)

    def fit(state: ScoreState, turn: Turn) -> None:
        event, total = turn.event, 0.0
        state.rules.clear()
        for key, holds, points, otherwise in rules:
            answer = holds(turn)
            worth = points if answer is True else otherwise if answer is False else 0.0
            if worth:
                state.rules[key] = [worth, turn.at, event.id if event is not None else ""]
                total += worth
        state.lanes[FIT] = [total, turn.at]

    return fit


def brings_traits(turn: Turn) -> bool:
    """Whether the interaction says anything of the customer."""
    return turn.event is not None and len(turn.event.traits_raw) > _NO_TRAITS


# Disqualification -----------------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """A condition under which a score is not reported, and the reason that is."""

    when: Compiled
    reason: str


def verdicts(score: Score, words: Vocabulary) -> tuple[Verdict, ...]:
    """The conditions that disqualify, in their order."""
    return tuple(Verdict(compile_condition(each.when, words), each.reason) for each in score.disqualify)


def judged(found: tuple[Verdict, ...], turn: Turn) -> str:
    """The first reason that holds; empty for none."""
    return next((each.reason for each in found if each.when.holds(turn) is True), "")


def looks_at(found: tuple[Verdict, ...], turn: Turn) -> Instant:
    """When time alone may change the verdict; 0 for never."""
    return min((at for each in found if (at := each.when.next_change(turn)) > turn.now), default=0)


# Resets ---------------------------------------------------------------------------------------------------------------


class Resetting(NamedTuple):
    """A reset, compiled: on an interaction (with a guard), or each time that its condition becomes true."""

    reset: Reset
    name: str
    events: EventTest | None
    where: Read | None
    when: Compiled | None

    def listens(self, key: str) -> bool:
        """Whether an interaction of this name can call it."""
        if self.events is not None:
            return not self.events.names or key in self.events.names
        return self.when is None or hears(self.when, key)

    @property
    def starts(self) -> bool:
        """Whether it may be called before anything has come."""
        return self.events is None and self.when is not None and self.when.starts

    def called(self, turn: Turn) -> bool:
        """Whether it is called now; a condition is remembered while it holds."""
        holds = self.when is None or self.when.holds(turn) is True
        if self.events is not None:
            return holds and turn.event is not None and (self.where is None or self.where(turn) is True)
        held = turn.state.remember().held
        if not holds:
            held.pop(self.name, None)
            return False
        rises = self.name not in held
        held[self.name] = True
        return rises


def hears(when: Compiled, key: str) -> bool:
    """Whether an interaction of this name can change a condition."""
    return depends(when) or key in (when.hears or ())


def depends(when: Compiled) -> bool:
    """Whether a condition hangs on more than the interactions that it names."""
    return when.hears is None or when.stages or bool(when.scores) or bool(when.segments)


def resettings(journey: str, score: Score, words: Vocabulary) -> tuple[Resetting, ...]:
    """The resets of one score."""
    return tuple(
        Resetting(
            each,
            f"score:{journey}:{score.name}:reset{at}",
            each.events,
            where_of(each.events, words),
            compile_condition(each.when, words) if each.when is not None else None,
        )
        for at, each in enumerate(score.resets)
    )


def apply(reset: Reset, score: ScoreMachine, state: ScoreState, now: Instant) -> bool:
    """Multiply what is there, or bring it down to a number; whether anything has changed."""
    lanes = [
        (lane, state.lanes[name])
        for name, lane in score.lanes.items()
        if name in state.lanes and reset.group in {None, lane.group}
    ]
    factor = reset.multiply
    if reset.set is not None:
        total = sum(lane.fading.read(found, now) for lane, found in lanes)
        factor = reset.set / total if total > reset.set else 1.0
    if factor == 1.0:
        return False
    for lane, found in lanes:
        lane.fading.scale(found, factor, now)
    score.scale_rules(state, reset.group, factor)
    return bool(lanes)
