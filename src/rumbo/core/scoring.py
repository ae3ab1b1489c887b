"""The scores of one journey as they are stepped: awards, bands, what is emitted, and the timer of the next downward crossing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from rumbo.core.award import Award, Give, giver, least_of, orderless, plain
from rumbo.core.condition import Vocabulary, compile_condition
from rumbo.core.decay import fading
from rumbo.core.decision import Because
from rumbo.core.definition import Journey, OnBand, Points
from rumbo.core.fit import (
    Resetting,
    Verdict,
    apply,
    brings_traits,
    depends,
    fitting,
    hears,
    judged,
    looks_at,
    resettings,
    verdicts,
)
from rumbo.core.identity import Identity
from rumbo.core.instant import Duration, isoformat
from rumbo.core.outputs import ScoreChanged
from rumbo.core.scope import Scope, Turn
from rumbo.core.score import ScoreMachine, lane_name
from rumbo.core.state import ScoreState
from rumbo.core.trigger import TriggerMachine

Awarding = Callable[[Turn], bool]
"""Gives one score the points that an interaction earns; whether its band changed, or a reset its value."""


class Scoring:
    """Awards points, moves bands, says so."""

    def __init__(self, journey: Journey, scores: dict[str, ScoreMachine], words: Vocabulary, who: Identity) -> None:
        self._journey, self._scores, self._who = journey.id, scores, who
        self._reads = tuple((name, score.read) for name, score in scores.items())
        self._awards = {
            score.name: tuple(_award(rule, words, score.event_ids) for rule in score.rules) for score in journey.scores
        }
        self._on_band: tuple[tuple[OnBand, int, TriggerMachine], ...] = ()
        self._fits = {score.name: fitting(score, words) for score in journey.scores if score.traits}
        self._verdicts = {score.name: verdicts(score, words) for score in journey.scores if score.disqualify}
        self._resets = {score.name: resettings(journey.id, score, words) for score in journey.scores if score.resets}
        self.on_state = tuple(self._after_state())
        """What must be looked at again when a band, a stage or a segment has changed."""

    def calls(self, triggers: tuple[TriggerMachine, ...]) -> None:
        """Tell it which triggers hang on bands."""
        self._on_band = tuple((each.on, self._rank(each.on), each) for each in triggers if isinstance(each.on, OnBand))

    def _rank(self, on: OnBand) -> int:
        return [band.name for band in self._scores[on.score].bands].index(on.band)

    def listening(self, key: str) -> tuple[Awarding, ...]:
        """For each score that an interaction of this name can touch, what to do."""
        return tuple(each for name in self._scores for each in self._touching(name, key))

    def absorbing(self, key: str) -> tuple[Awarding, ...]:
        """For each score the points that an interaction of this name gives in any order: no band is looked at."""
        every = ((score, [each for each in self._awards[name] if _listens(each.rule, key) and orderless(each)]) for name, score in self._scores.items())  # fmt: skip
        return tuple(self._absorbing(score, tuple(map(giver, awards))) for score, awards in every if awards)

    def _absorbing(self, score: ScoreMachine, gives: tuple[Give, ...]) -> Awarding:
        def hear(turn: Turn) -> bool:
            state = turn.state.scores.setdefault(score.name, ScoreState())
            if min([give(state, turn) for give in gives]) < 0:  # the crossing comes earlier
                self._arm(turn, score, state)
            return False

        return hear

    def _touching(self, name: str, key: str) -> Iterator[Awarding]:
        score, awards = self._scores[name], [each for each in self._awards[name] if _listens(each.rule, key)]
        if len(awards) == 1 and plain(awards[0]):
            yield self._adding(score, awards[0].rule)
        elif awards:
            yield self._awarding(score, tuple(map(giver, awards)))
        if name in self._fits:
            yield self._fitting(score, self._fits[name])
        resets = tuple(each for each in self._resets.get(name, ()) if each.listens(key))
        if resets:
            yield self._resetting(score, resets)
        judges = self._verdicts.get(name, ())
        if any(hears(each.when, key) for each in judges):
            yield self._judging(score, judges)

    def _after_state(self) -> Iterator[Awarding]:
        for name, resets in self._resets.items():
            conditional = tuple(each for each in resets if each.events is None and each.when and depends(each.when))
            if conditional:
                yield self._resetting(self._scores[name], conditional)
        for name, judges in self._verdicts.items():
            if any(depends(each.when) for each in judges):
                yield self._judging(self._scores[name], judges)

    @property
    def begins(self) -> bool:
        """Whether anything may hold of everybody from the beginning: what they are, a reset, a verdict."""
        resets = any(each.starts for made in self._resets.values() for each in made)
        return bool(self._fits) or resets or any(each.when.starts for made in self._verdicts.values() for each in made)

    def begin(self, turn: Turn, key: str) -> bool:
        """The customer's first interaction: what they are, and what holds of everybody until something comes; whether that puts them in a band.

        What hears this interaction is asked when its points are given.
        """
        banded = False
        for name, fit in self._fits.items():
            banded |= self._fitting(self._scores[name], fit)(turn)
        for name, resets in self._resets.items():
            begun = tuple(each for each in resets if each.starts and not each.listens(key))
            if begun:
                self._resetting(self._scores[name], begun)(turn)
        for name, judges in self._verdicts.items():
            if any(each.when.starts for each in judges) and not any(hears(each.when, key) for each in judges):
                self._judging(self._scores[name], judges)(turn)
        return banded

    def mentioned(self) -> set[str]:
        """Every event name that a rule or its condition listens to by name."""
        every = [award for awards in self._awards.values() for award in awards]
        found = {name for award in every for name in award.rule.events.names}
        found |= {name for award in every if award.when for name in award.when.hears or ()}
        resets = [each for made in self._resets.values() for each in made]
        found |= {name for each in resets if each.events is not None for name in each.events.names}
        conditions = [each.when for each in resets if each.when is not None]
        conditions += [each.when for made in self._verdicts.values() for each in made]
        return found | {name for when in conditions for name in when.hears or ()}

    def values(self, scope: Scope) -> dict[str, float | None]:
        """Every score's value now, as actions quote them; None for one that is not reported."""
        states, now = scope.state.scores, scope.now
        made: dict[str, float | None] = {}  # `dict[…]()` makes the alias anew each time
        for name, read in self._reads:
            state = states.get(name)
            if state is None:
                made[name] = 0.0
            else:
                made[name] = None if state.out else round(read(state, now), 4)
        return made

    def _awarding(self, score: ScoreMachine, gives: tuple[Give, ...]) -> Awarding:
        name, read, after = score.name, score.read, self._after(score)
        give = gives[0] if len(gives) == 1 else least_of(gives)

        def hear(turn: Turn) -> bool:
            states = turn.state.scores
            state = states.get(name)
            if state is None:
                state = states[name] = ScoreState()
            lowest = give(state, turn)
            return bool(lowest) and after(turn, state, read(state, turn.now), lowest)

        return hear

    def _adding(self, score: ScoreMachine, rule: Points) -> Awarding:
        """One rule of fixed points that are always due: `add`, twice, and `read` written out."""
        name, key, points, half_life = score.name, rule.key, float(rule.points), cast("Duration", rule.half_life)
        place, single, least, read = lane_name(rule), score.single, score.least, score.read
        rises, stays, after = points > 0 and score.score.min_delta is None, score.stays, self._after(score)

        def hear(turn: Turn) -> bool:
            event: Any = turn.event
            at, now, states = event.at, turn.now, turn.state.scores
            state = states.get(name)
            if state is None:
                state = states[name] = ScoreState()
            lane, own = state.lanes.get(place), state.rules.get(key)
            if lane is None:
                lane = state.lanes[place] = [points, at]
            elif at >= (anchor := lane[1]):
                lane[0] = lane[0] * 2.0 ** ((anchor - at) / half_life) + points
                lane[1] = at
            else:
                lane[0] += points * 2.0 ** ((at - anchor) / half_life)
            if own is None:
                state.rules[key] = [points, at, event.id]
            else:
                if at >= (anchor := own[1]):
                    own[0] = own[0] * 2.0 ** ((anchor - at) / half_life) + points
                    own[1] = at
                else:
                    own[0] += points * 2.0 ** ((at - anchor) / half_life)
                own[2] = event.id
            if single:
                value, anchor = lane
                if anchor != now:
                    value *= 2.0 ** ((anchor - now) / half_life)
            else:
                value = read(state, now)
            low, high = stays[state.band + 1]
            if rises and low <= value < high and value >= least:  # the usual case: nothing changes
                return False
            return after(turn, state, max(value, least), points)

        return hear

    def _after(self, score: ScoreMachine) -> Callable[[Turn, ScoreState, float, float], bool]:
        """What comes of points given (the least of them) and the value that there is now; whether the band changed."""
        stays, delta, timer = score.stays, score.score.min_delta, self._timer(score)

        def after(turn: Turn, state: ScoreState, value: float, lowest: float) -> bool:
            low, high = stays[state.band + 1]
            if not low <= value < high and not state.out and (band := score.band(state.band, value)) != state.band:
                if band < state.band and lowest > 0 and turn.profile.timers.get(timer) == turn.now:
                    return False  # it was only given to: time takes it down, after the interactions of this instant
                self._banded(turn, score, value, band)
                return True
            if lowest < 0:  # the crossing comes earlier; one that comes later is found when the timer fires
                self._arm(turn, score, state)
            if delta is not None and not state.out and abs(value - state.emitted) >= delta:
                self._emit(turn, score, value, state.band)
            return False

        return after

    def _fitting(self, score: ScoreMachine, fit: Callable[[ScoreState, Turn], None]) -> Awarding:
        name = score.name

        def hear(turn: Turn) -> bool:
            state = turn.state.scores.get(name)
            begins = state is None
            if state is None:  # nothing is known of them: what that gives is no change to tell of
                state = turn.state.scores[name] = ScoreState()
                state.band = score.band(-1, score.value(state, turn.now))
            elif not brings_traits(turn):
                return False
            fit(state, turn)
            return self._review(turn, score, state) or begins

        return hear

    def _resetting(self, score: ScoreMachine, resets: tuple[Resetting, ...]) -> Awarding:
        name = score.name

        def hear(turn: Turn) -> bool:
            state, changed = turn.state.scores.get(name), False
            for each in resets:
                called = each.called(turn)
                if called and state is not None:
                    changed |= apply(each.reset, score, state, turn.now)
                if each.events is None and each.when is not None and (due := each.when.next_change(turn)) > turn.now:
                    timers = turn.profile.timers
                    timers[each.name] = min(due, timers.get(each.name, due))
            if not changed or state is None:
                return False
            if not self._review(turn, score, state):
                self._arm(turn, score, state)  # the crossing comes earlier
            return True

        return hear

    def _judging(self, score: ScoreMachine, judges: tuple[Verdict, ...]) -> Awarding:
        name, timer = score.name, self._judge_timer(score)

        def hear(turn: Turn) -> bool:
            state, reason = turn.state.scores.get(name), judged(judges, turn)
            due = looks_at(judges, turn)
            if due:
                turn.profile.timers[timer] = min(due, turn.profile.timers.get(timer, due))
            if reason == (state.out if state is not None else ""):
                return False
            if state is None:
                state = turn.state.scores[name] = ScoreState()
            state.out = reason
            value = score.value(state, turn.now)
            self._banded(turn, score, value, -1 if reason else score.band(-1, value))
            return True

        return hear

    def _judge_timer(self, score: ScoreMachine) -> str:
        return f"score:{self._journey}:{score.name}:disqualify"

    def _review(self, turn: Turn, score: ScoreMachine, state: ScoreState) -> bool:
        """The band after the points have changed; whether it is another one."""
        if state.out:
            return False
        value, delta = score.value(state, turn.now), score.score.min_delta
        band = score.band(state.band, value)
        if band != state.band:
            self._banded(turn, score, value, band)
            return True
        if delta is not None and abs(value - state.emitted) >= delta:
            self._emit(turn, score, value, band)
        return False

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
        because = self._who.because(turn, f"score {score.name}")
        data = ScoreChanged(
            customer=turn.profile.customer,
            journey=self._journey,
            version=self._who.version,
            because=because,
            score=score.name,
            value=None if state.out else round(value, 4),
            previous=round(state.emitted, 4),
            band=score.band_name(state.band),
            previous_band=score.band_name(previous),
            grade=score.band_name(state.band) if score.score.grades else None,
            reason=state.out or None,
            contributors=score.contributors(state, turn.now),
            next_crossing_at=isoformat(due) if due is not None else None,
        )
        state.emitted = value
        again = self._said(turn, score.name, because) if turn.out else 0
        meant = f"{data.previous_band or ''}>{data.band or ''}{'!' + state.out if state.out else ''}"
        trigger = f"score:{score.name}:{meant}" + (f":{again + 1}" if again else "")
        turn.out.append(self._who.decide(turn, "score.changed", trigger, data))

    def _said(self, turn: Turn, score: str, because: Because) -> int:
        """How often this input has changed the score already: points, a reset and a verdict may follow one another."""
        mine = (each.data for each in turn.out if each.kind == "score.changed" and each.journey == self._journey)
        return sum(
            1
            for each in mine
            if each.score == score and each.because.due == because.due and each.because.events == because.events
        )

    def timers(self) -> dict[str, Callable[[Turn], bool]]:
        """A handler for each score's timer: whether a band changed, or a reset the value."""
        made = {self._timer(score): self._due(score) for score in self._scores.values()}
        for name, resets in self._resets.items():
            conditional = (each for each in resets if each.events is None)
            made |= {each.name: self._resetting(self._scores[name], (each,)) for each in conditional}
        for name, judges in self._verdicts.items():
            made[self._judge_timer(self._scores[name])] = self._judging(self._scores[name], judges)
        return made

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


def _award(rule: Points, words: Vocabulary, ids: int) -> Award:
    where = words.expression(rule.events.where) if rule.events.where is not None else None
    when = compile_condition(rule.when, words) if rule.when is not None else None
    key = words.expression(rule.once_per) if rule.once_per is not None else None
    return Award(rule, lane_name(rule), where, when, _points(rule.points, words), key, fading(rule), ids)


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
