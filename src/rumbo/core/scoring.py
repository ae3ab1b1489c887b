"""The scores of one journey as they are stepped: awards, bands, what is emitted, and the timer of the next downward crossing."""

from __future__ import annotations

from collections.abc import Callable

from rumbo.core.award import Award, Give, giver
from rumbo.core.condition import Vocabulary, compile_condition
from rumbo.core.decay import fading
from rumbo.core.definition import Journey, OnBand, Points
from rumbo.core.identity import Identity
from rumbo.core.instant import isoformat
from rumbo.core.outputs import ScoreChanged
from rumbo.core.profile import ScoreState
from rumbo.core.scope import Scope, Turn
from rumbo.core.score import ScoreMachine, lane_name
from rumbo.core.trigger import TriggerMachine

Awarding = Callable[[Turn], bool]
"""Gives one score the points that an interaction earns; whether its band changed."""


class Scoring:
    """Awards points, moves bands, says so."""

    def __init__(self, journey: Journey, scores: dict[str, ScoreMachine], words: Vocabulary, who: Identity) -> None:
        self._journey, self._scores, self._who = journey.id, scores, who
        self._awards = {score.name: tuple(_award(rule, words) for rule in score.rules) for score in journey.scores}
        self._on_band: tuple[tuple[OnBand, int, TriggerMachine], ...] = ()

    def calls(self, triggers: tuple[TriggerMachine, ...]) -> None:
        """Tell it which triggers hang on bands."""
        self._on_band = tuple((each.on, self._rank(each.on), each) for each in triggers if isinstance(each.on, OnBand))

    def _rank(self, on: OnBand) -> int:
        return [band.name for band in self._scores[on.score].bands].index(on.band)

    def listening(self, key: str) -> tuple[Awarding, ...]:
        """For each score that an interaction of this name can touch, what to do."""
        heard = (
            (self._scores[name], tuple(giver(each) for each in awards if _listens(each.rule, key)))
            for name, awards in self._awards.items()
        )
        return tuple(self._awarding(score, gives) for score, gives in heard if gives)

    def mentioned(self) -> set[str]:
        """Every event name that a rule or its condition listens to by name."""
        every = [award for awards in self._awards.values() for award in awards]
        found = {name for award in every for name in award.rule.events.names}
        return found | {name for award in every if award.when for name in award.when.hears or ()}

    def values(self, scope: Scope) -> dict[str, float]:
        """Every score's value now, as actions quote them."""
        states, now = scope.state.scores, scope.now
        return {
            name: round(machine.value(states[name], now), 4) if name in states else 0.0
            for name, machine in self._scores.items()
        }

    def _awarding(self, score: ScoreMachine, gives: tuple[Give, ...]) -> Awarding:
        name, stays, read, delta = score.name, score.stays, score.value, score.score.min_delta

        def hear(turn: Turn) -> bool:
            states = turn.state.scores
            state = states.get(name)
            if state is None:
                state = states[name] = ScoreState()
            lowest, given = 0.0, False
            for give in gives:
                if points := give(state, turn):
                    given = True
                    lowest = min(lowest, points)
            if not given:
                return False
            value = read(state, turn.now)
            low, high = stays[state.band + 1]
            if not low <= value < high and (band := score.band(state.band, value)) != state.band:
                self._banded(turn, score, value, band)
                return True
            if lowest < 0:  # the crossing comes earlier; one that comes later is found when the timer fires
                self._arm(turn, score, state)
            if delta is not None and abs(value - state.emitted) >= delta:
                self._emit(turn, score, value, state.band)
            return False

        return hear

    def _banded(self, turn: Turn, score: ScoreMachine, value: float, band: int) -> None:
        state = turn.state.scores[score.name]
        previous, state.band = state.band, band
        self._arm(turn, score, state)
        self._emit(turn, score, value, previous)
        for on, rank, machine in self._on_band:
            if on.score == score.name:
                rose, fell = previous < rank <= band, band < rank <= previous
                if (rose and on.change == "entered") or (fell and on.change == "left"):
                    turn.called.append(machine)

    def _arm(self, turn: Turn, score: ScoreMachine, state: ScoreState) -> None:
        due, timers, name = score.falls_at(state, turn.now), turn.profile.timers, self._timer(score)
        if due:
            timers[name] = due
        else:
            timers.pop(name, None)

    def _timer(self, score: ScoreMachine) -> str:
        return f"score:{self._journey}:{score.name}"

    def _emit(self, turn: Turn, score: ScoreMachine, value: float, previous: int) -> None:
        state = turn.state.scores[score.name]
        due = turn.profile.timers.get(self._timer(score))
        data = ScoreChanged(
            **self._who.words(turn),
            because=self._who.because(turn, f"score {score.name}"),
            score=score.name,
            value=round(value, 4),
            previous=round(state.emitted, 4),
            band=score.band_name(state.band),
            previous_band=score.band_name(previous),
            contributors=score.contributors(state, turn.now),
            next_crossing_at=isoformat(due) if due is not None else None,
        )
        state.emitted = value
        turn.out.append(self._who.decide(turn, "score.changed", f"score:{score.name}", data))

    def timers(self) -> dict[str, Callable[[Turn], bool]]:
        """A handler for each score's timer: whether a band changed."""
        return {self._timer(score): self._due(score) for score in self._scores.values()}

    def _due(self, score: ScoreMachine) -> Callable[[Turn], bool]:
        def fire(turn: Turn) -> bool:
            state = turn.state.scores.get(score.name)
            due = score.falls_at(state, turn.now) if state is not None else 0
            if state is None or not due:
                return False
            if due > turn.now:  # points came since: later than was thought
                turn.profile.timers[self._timer(score)] = due
                return False
            value = min(score.value(state, turn.now), score.leave[state.band])
            self._banded(turn, score, value, score.band(state.band - 1, value))
            return True

        return fire


def _award(rule: Points, words: Vocabulary) -> Award:
    where = words.expression(rule.events.where) if rule.events.where is not None else None
    when = compile_condition(rule.when, words) if rule.when is not None else None
    key = words.expression(rule.once_per) if rule.once_per is not None else None
    return Award(rule, lane_name(rule), where, when, _points(rule.points, words), key, fading(rule))


def _points(points: float | str, words: Vocabulary) -> Callable[[Scope], float | None]:
    if not isinstance(points, str):
        fixed = float(points)
        return lambda _scope: fixed
    read = words.expression(points)

    def value(scope: Scope) -> float | None:
        found = read(scope)
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

    return value


def _listens(rule: Points, key: str) -> bool:
    return not rule.events.names or key in rule.events.names
