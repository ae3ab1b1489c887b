"""What keeps an automatic move from being made: a stage that somebody has set, and flapping. Neither is ever silent about it.

Set by a control record or by an interaction that the journey names (`authority`), a stage wins over the conditions until it
is released or expires; what they would have done is said (`stage.suggested`), once for each suggestion. A move against the
direction of the one before it is a flip; one more than `unstable` allows is said (`stage.unstable`) and waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rumbo.core.condition import Vocabulary
from rumbo.core.definition import EventTest, Flaps, Journey, SetStage
from rumbo.core.identity import Identity
from rumbo.core.instant import Duration, Instant, isoformat
from rumbo.core.outputs import StageSuggested, StageUnstable
from rumbo.core.scope import Read, Turn
from rumbo.core.stage import StageMachine, Want


class Order(NamedTuple):
    """What somebody says of a customer's stage: be there (until `expires_at`, 0 for ever), or, with no stage, go free."""

    stage: str | None
    expires_at: Instant = 0


class Rule(NamedTuple):
    """An interaction that gives an order. `stage` is None for a release."""

    events: EventTest
    where: Read | None
    stage: Read | None
    expires_after: Duration | None


class Orders:
    """The interactions of one journey that say a stage with authority."""

    def __init__(self, journey: Journey, words: Vocabulary) -> None:
        made = [_rule(each, words) for each in journey.authority.sets]
        self._rules = (*made, *(Rule(each, _where(each, words), None, None) for each in journey.authority.releases))

    def listening(self, key: str) -> tuple[Rule, ...]:
        """The rules that hear an interaction of this name."""
        return tuple(each for each in self._rules if not each.events.names or key in each.events.names)

    def mentioned(self) -> set[str]:
        """Every event name that gives an order."""
        return {name for each in self._rules for name in each.events.names}


def said(turn: Turn, rules: tuple[Rule, ...]) -> Order | None:
    """The order that this interaction gives; the first rule that fits."""
    for rule in rules:
        if rule.where is not None and rule.where(turn) is not True:
            continue
        if rule.stage is None:
            return Order(None)
        stage = rule.stage(turn)
        if isinstance(stage, str):
            return Order(stage, turn.at + rule.expires_after if rule.expires_after is not None else 0)
    return None


def _rule(each: SetStage, words: Vocabulary) -> Rule:
    return Rule(each.events, _where(each.events, words), words.expression(each.stage), each.expires_after)


def _where(events: EventTest, words: Vocabulary) -> Read | None:
    return words.expression(events.where) if events.where is not None else None


class Holds:
    """Asks, before an automatic move is made, whether anything holds it."""

    def __init__(self, journey: str, flaps: Flaps, machine: StageMachine, who: Identity) -> None:
        self._flaps, self._machine, self._who = flaps, machine, who
        self._expiry, self._calm = f"authority:{journey}", f"unstable:{journey}"

    def lock(self, turn: Turn, order: Order) -> None:
        """The stage is set by somebody until it is released or expires."""
        turn.state.steer().lock = [turn.now, order.expires_at, ""]
        if order.expires_at:
            turn.profile.timers[self._expiry] = order.expires_at
        else:
            turn.profile.timers.pop(self._expiry, None)

    def free(self, turn: Turn) -> None:
        """The conditions say again where the customer is."""
        if turn.state.lock:
            turn.state.steer().lock = []
        turn.profile.timers.pop(self._expiry, None)

    def holds(self, turn: Turn, want: Want) -> bool:
        """Whether this move must not be made now; says so where that has not been said."""
        if turn.state.lock:
            self._suggest(turn, want)
            return True
        return self._flaps_too_much(turn, want)

    def _suggest(self, turn: Turn, want: Want) -> None:
        state, lock = turn.state, turn.state.steer().lock
        if lock[2] == want.target:
            return
        lock[2] = want.target
        data = StageSuggested(
            **self._who.words(turn),
            because=self._who.because(
                turn, f"stage {want.target}", tuple(want.why.explain(turn)) if want.why is not None else ()
            ),
            stage=state.stage,
            suggested=want.target,
            since=isoformat(lock[0]),
            expires_at=isoformat(lock[1]) if lock[1] else None,
        )
        turn.out.append(self._who.decide(turn, "stage.suggested", f"suggested:{state.stage}>{want.target}", data))

    def _flaps_too_much(self, turn: Turn, want: Want) -> bool:
        """A flip is counted as it is made; the one too many waits until the oldest has left the window."""
        flaps, now = self._flaps, turn.now
        last = self._machine.flips(turn.state, want)
        if last is None or last <= now - flaps.within:
            return False
        course = turn.state.steer()
        course.flips = [at for at in course.flips if at > now - flaps.within]
        if len(course.flips) < flaps.flips:
            course.flips.append(now)
            course.unstable = 0
            return False
        if not course.unstable:
            course.unstable = course.flips[0] + flaps.within
            turn.profile.timers[self._calm] = course.unstable
            self._say_unstable(turn, want)
        return True

    def _say_unstable(self, turn: Turn, want: Want) -> None:
        state = turn.state
        data = StageUnstable(
            **self._who.words(turn),
            because=self._who.because(
                turn, f"stage {want.target}", tuple(want.why.explain(turn)) if want.why is not None else ()
            ),
            stage=state.stage,
            suggested=want.target,
            flips=len(state.flips),
            held_until=isoformat(state.unstable),
        )
        turn.out.append(self._who.decide(turn, "stage.unstable", f"unstable:{state.stage}>{want.target}", data))

    def timers(self, look: Callable[[Turn], bool]) -> dict[str, Callable[[Turn], bool]]:
        """A handler for each timer: the hold is over, so look where the customer should be."""

        def expired(turn: Turn) -> bool:
            self.free(turn)
            return look(turn)

        def calm(turn: Turn) -> bool:
            turn.state.steer().unstable = 0
            return look(turn)

        return {self._expiry: expired, self._calm: calm}
