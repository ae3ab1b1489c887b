"""Anomalies: a customer's own rate of some interactions against its own baseline. It calls its trigger; it emits nothing.

Time is cut into periods ((k-1)·per, k·per] since 1970-01-01T00:00Z. For the count n of each period that has ended, mean m and variance v
are exponentially weighted with alpha = 1 - 2^(-per/half_life) (Finch: "Incremental calculation of weighted mean and variance",
2009): the first whole period gives m = n and v = 0, each later one v = (1 - alpha)(v + alpha (n - m)^2) and m = m + alpha (n - m). Before a period is taken in, it is compared:

    too many: n > m + z s, as soon as the count is reached;  too few: n < m - z s, when the period has ended;  s = sqrt(max(v, m, 1))

At least the variance of a Poisson count of that mean, and at least one, so that regular customers are not called odd for one
interaction more or less. Nothing is compared before `warm_up` periods have ended since the first interaction, and a rate that
stays odd calls once, until a period is not odd. Runs of empty periods are taken in at once by the closed form; where the baseline is so
low that nothing can be too few, no timer waits. The state is six numbers; an interaction of a period that has ended is counted
(`anomaly_late`) and changes nothing.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, Final

from rumbo.core.condition import Vocabulary, describe
from rumbo.core.decision import Leaf
from rumbo.core.definition import Anomaly, Trigger
from rumbo.core.instant import SECOND, Duration, Instant, format_duration
from rumbo.core.scope import Scope, Turn
from rumbo.core.tracker import passes
from rumbo.core.trigger import TriggerMachine, where_of

LEAST_VARIANCE: Final = 1.0

State = list[Any]
"""[period, count in it, mean, variance, whole periods that have ended (-1: in the first one), whether the last one (or this one, for too many) was odd]"""


def alpha_of(per: Duration, half_life: Duration) -> float:
    """How much a new period weighs: after a half-life, what came before counts half."""
    return 1 - float(2.0 ** (-per / half_life))


def take_in(mean: float, variance: float, count: int, alpha: float) -> tuple[float, float]:
    """Mean and variance after one more period."""
    off = count - mean
    return mean + alpha * off, (1 - alpha) * (variance + alpha * off * off)


def take_in_empty(mean: float, variance: float, periods: int, alpha: float) -> tuple[float, float]:
    """After so many empty periods: with q = 1 - alpha, m q^k and q^k (v + m^2 (1 - q^k))."""
    kept = (1 - alpha) ** periods
    return mean * kept, kept * (variance + mean * mean * (1 - kept))


def margin(mean: float, variance: float, z: float) -> float:
    """How far a count may be from the mean."""
    return z * sqrt(max(variance, mean, LEAST_VARIANCE))


class AnomalyMachine(TriggerMachine):
    """One trigger on an anomaly."""

    def __init__(self, journey: str, trigger: Trigger, order: int, words: Vocabulary) -> None:
        super().__init__(trigger, order, words)
        on = trigger.on
        if not isinstance(on, Anomaly):
            raise TypeError(f"trigger {trigger.id} is no anomaly")
        self._on, self.timer = on, f"anomaly:{journey}:{trigger.id}"
        self._kept = f"rate:{trigger.id}:{on.per // SECOND}s"
        self._where = where_of(on.of, words)
        self._alpha, self._few = alpha_of(on.per, on.half_life), on.change == "drop"
        self.hears = frozenset(on.of.names) or None

    def hear(self, turn: Turn) -> None:
        """Count one."""
        event = turn.event
        if event is None or not passes(self._on.of, self._where, event.key, turn):
            return
        period, followed = self._period(event.at), turn.state.remember().followed
        state = followed.get(self._kept)
        if state is None:
            state = followed[self._kept] = [period, 0, 0.0, 0.0, -1, False]
        elif period < state[0]:
            turn.counts["anomaly_late"] += 1
            return
        if period > state[0]:
            self._on_to(turn, state, period)
        state[1] += 1
        if not self._few and not state[5] and self.odd(state):
            state[5] = True
            self._call(turn, state)
        self._arm(turn, state)

    def due(self, turn: Turn) -> bool:
        """A period has ended."""
        state = turn.state.followed.get(self._kept)
        if state is not None:
            self._on_to(turn, state, self._period(turn.now + 1))
            self._arm(turn, state)
        return False

    def _period(self, at: Instant) -> int:
        return -(-at // self._on.per)

    def _on_to(self, turn: Turn, state: State, period: int) -> None:
        """Take in the periods that have ended before this one: the one with interactions, then empty ones."""
        self._end(turn, state)
        state[0] += 1
        while state[0] < period and self._few and self.possible(state):
            self._end(turn, state)
            state[0] += 1
        empty = period - state[0]
        if empty > 0:
            state[2], state[3] = take_in_empty(state[2], state[3], empty, self._alpha)
            state[4] += empty
            state[0], state[5] = period, False

    def _end(self, turn: Turn, state: State) -> None:
        if state[4] < 0:  # the period that the customer came in is not a whole one
            state[4], state[1] = 0, 0
            return
        odd = self.odd(state)
        if odd and self._few and not state[5]:
            self._call(turn, state)
        state[5] = odd
        if state[4]:
            state[2], state[3] = take_in(state[2], state[3], state[1], self._alpha)
        else:
            state[2] = float(state[1])
        state[1], state[4] = 0, state[4] + 1

    def odd(self, state: State) -> bool:
        """Whether the count is too far from what is usual."""
        if state[4] < self._on.warm_up:
            return False
        off = margin(state[2], state[3], self._on.deviations)
        return bool(state[1] < state[2] - off if self._few else state[1] > state[2] + off)

    def possible(self, state: State) -> bool:
        """Whether an empty period could be too few; once it could not, more of them make it no likelier."""
        return bool(state[2] > margin(state[2], state[3], self._on.deviations))

    def _call(self, turn: Turn, state: State) -> None:
        turn.matched.setdefault(self.id, []).append(
            (state[1], state[2], margin(state[2], state[3], self._on.deviations))
        )
        turn.called.append(self)

    def _arm(self, turn: Turn, state: State) -> None:
        """Wait for the end of the period where it could be too few, or must be taken in for that."""
        if self._few and (state[1] or self.possible(state)):
            turn.profile.timers[self.timer] = state[0] * self._on.per
        else:
            turn.profile.timers.pop(self.timer, None)

    def kept(self, scope: Scope) -> State | None:
        """What is remembered of the customer's rate."""
        return scope.state.followed.get(self._kept)

    def leaves(self, scope: Scope) -> tuple[Leaf, ...]:
        """The count and what is usual, and the guard."""
        seen = scope.matched.get(self.id) if isinstance(scope, Turn) else None
        if not seen:
            return super().leaves(scope)
        count, mean, off = seen[0]
        saw = {"count": count, "usual": round(mean, 4), "margin": round(off, 4)}
        return (Leaf(anomaly_text(self._on), holds=True, saw=saw), *super().leaves(scope))

    def acted(self, turn: Turn) -> None:
        """One odd rate calls it once."""
        turn.matched.pop(self.id, None)


def anomaly_text(on: Anomaly) -> str:
    """An anomaly as a person would say it."""
    much = "far fewer" if on.change == "drop" else "far more"
    return f"{much} {describe(on.of)} in {format_duration(on.per)} than is usual for this customer"
