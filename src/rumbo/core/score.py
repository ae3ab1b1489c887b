"""Lead scores: points that decay, caps on read, bands with hysteresis, and the exact instant of the downward crossing.

Exponential accumulators (value v, anchor a) hold the past in O(1): an award of p points at t adds p * 2^(-(a-t)/H) at the
anchor, so the order of arrival does not matter and two accumulators merge by addition (the forward-decay form of Cormode,
Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009). It decides bands; what is emitted is `step`'s work.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, log2
from typing import Any, Final, NamedTuple

from rumbo.core.decay import Fading, decayed, fading
from rumbo.core.definition import EventTest, Idling, Points, Score, Steps
from rumbo.core.instant import DAY, MINUTE, Duration, Instant, format_duration
from rumbo.core.outputs import Contributor
from rumbo.core.state import ScoreState

HORIZON: Final = 3650 * DAY
"""A crossing later than this is not looked for."""
CONTRIBUTORS: Final = 5
FIT: Final = "fit"
"""The one accumulator of a fit score."""


def crossing(value: float, anchor: Instant, threshold: float, half_life: Duration) -> Instant:
    """The instant at which a decaying value falls to `threshold`: t0 + H * log2(S/theta), rounded up to the microsecond."""
    return anchor + ceil(half_life * log2(value / threshold))


class Lane(NamedTuple):
    """The accumulator of one group and half-life."""

    name: str
    group: str
    half_life: Duration | None
    fading: Fading
    exact: bool
    """Whether the instant of a crossing has a formula."""


def lane_name(rule: Points) -> str:
    """Rules of one group and one decay share an accumulator; in steps, where it is not small, each rule has its own."""
    match rule.decay:
        case Steps(rate=rate, every=every, geometric=geometric):
            return f"{rule.group}/{'x' if geometric else '-'}{rate:g}/{format_duration(every)}/{rule.key}"
        case Idling(steps=steps):
            return f"{rule.group}/idle{format_duration(steps[0].idle)}"
        case None:
            return f"{rule.group}/{format_duration(rule.half_life) if rule.half_life is not None else ''}"


class ScoreMachine:
    """One score of one journey, compiled: award, read, band, next crossing."""

    def __init__(self, score: Score) -> None:
        self.score, self.name, self.bands = score, score.name, score.bands
        self.enter = tuple(band.enter for band in score.bands)
        self.leave = tuple(band.leave for band in score.bands)
        self.lanes = {lane_name(rule): _lane(rule) for rule in score.rules}
        if score.traits:
            self.lanes = {FIT: Lane(FIT, "", None, fading(Points(FIT, EventTest(), 0.0)), exact=True)}
        self._rules = {rule.key: rule for rule in score.rules}
        self._limits = {group.name: (group.floor, group.cap) for group in score.groups}
        self._floor, self._cap = score.floor, score.cap
        self._pace = min((pace for rule in score.rules if (pace := _paces(rule))), default=0)
        plain = [lane.exact for lane in self.lanes.values()] == [True] and all(
            group.cap is None and group.floor is None for group in score.groups
        )
        self._single = next(iter(self.lanes.values())) if plain else None
        self._lane = self._single.name if self._single is not None else ""
        self.single = self._single is not None and self._cap is None
        """Whether its value is that of one accumulator, and `least` at least."""
        self.least = -inf if self._floor is None else self._floor
        self.read = self._reader()
        self.stays = tuple(
            (self.leave[band] if band >= 0 else -inf, min(self.enter[band + 1 :], default=inf))
            for band in range(-1, len(self.enter))
        )
        """For each band, from -1 (below all) on: at least, and less than, this the value stays in it."""

    def _reader(self) -> Callable[[ScoreState, Instant], float]:
        """`value`; for one accumulator without a cap, written out."""
        single, name, least = self._single, self._lane, self.least
        if single is None or self._cap is not None:
            return self.value
        half_life = single.half_life

        def read(state: ScoreState, now: Instant) -> float:
            lane = state.lanes.get(name)
            value = 0.0
            if lane is not None:
                value, anchor = lane
                if anchor != now:
                    value = decayed(value, anchor, now, half_life)
            if value < least:
                return least
            return value

        return read

    def value(self, state: ScoreState, now: Instant) -> float:
        """The total, read at `now`: clamp(floor, cap, sum over groups of clamp(floor_g, cap_g, sum of lanes))."""
        if self._single is not None:
            lane = state.lanes.get(self._lane)
            if lane is None:
                total = 0.0
            else:
                total = lane[0] if lane[1] == now else decayed(lane[0], lane[1], now, self._single.half_life)
        else:
            total = self._grouped(state, now)
        if self._floor is not None and total < self._floor:
            return self._floor
        return self._cap if self._cap is not None and total > self._cap else total

    def _grouped(self, state: ScoreState, now: Instant) -> float:
        groups: dict[str, float] = {}
        for name, lane in self.lanes.items():
            found = state.lanes.get(name)
            if found is not None:
                value = lane.fading.read(found, now)
                groups[lane.group] = groups.get(lane.group, 0.0) + value
        return sum(_clamp(value, *self._limits.get(group, (None, None))) for group, value in groups.items())

    def band(self, current: int, value: float) -> int:
        """The band after a read: upwards at `enter`, downwards below `leave` (hysteresis)."""
        enter, leave = self.enter, self.leave
        top = len(enter) - 1
        while top > current and value < enter[top]:
            top -= 1
        if top > current:
            return top
        while current >= 0 and value < leave[current]:
            current -= 1
        return current

    def falls_at(self, state: ScoreState, now: Instant) -> Instant:
        """When time alone takes the score below the band it is in; 0 for never. Exact where one accumulator counts, else bisected."""
        if state.band < 0 or (threshold := self.leave[state.band]) <= (self._floor or 0.0):
            return 0
        return self.falls_below(state, now, threshold)

    def falls_below(self, state: ScoreState, now: Instant, threshold: float) -> Instant:
        """When time alone takes the score below this; `now` where it is below already, 0 for never."""
        value = self.value(state, now)
        if value < threshold:
            return now
        lane = self._alone(state, now, value)
        if lane is not None:
            found = state.lanes[lane.name]
            return 0 if lane.half_life is None else max(crossing(found[0], found[1], threshold, lane.half_life), now)
        return self._search(state, now, threshold, below=True)

    def changes_at(self, state: ScoreState, now: Instant, limit: float) -> Instant:
        """The first instant at which time alone has taken the score to the other side of a limit; 0 for never."""
        if self.value(state, now) < limit:
            return 0 if self._falling(state) else self._search(state, now, limit, below=False)
        if self._floor is not None and limit <= self._floor:
            return 0
        due, step = self.falls_below(state, now, limit), 1
        while (
            due and self.value(state, due) >= limit and step < MINUTE
        ):  # what is exactly the limit is not below it yet
            due, step = due + step, 2 * step
        return due

    def _alone(self, state: ScoreState, now: Instant, total: float) -> Lane | None:
        """The one lane that makes the total, if no cap binds."""
        used = [lane for name, lane in self.lanes.items() if name in state.lanes and state.lanes[name][0]]
        if len(used) != 1 or not used[0].exact:
            return None
        found = state.lanes[used[0].name]
        return used[0] if decayed(found[0], found[1], now, used[0].half_life) == total else None

    def _search(self, state: ScoreState, now: Instant, threshold: float, *, below: bool) -> Instant:
        """First instant on that side of the threshold: exact to the microsecond on a falling total.

        Negative points that decay make a total that is not monotone; then a dip (or a peak) shorter than the scan's step may be missed.
        The step begins with an eighth of what decays fastest and grows by an eighth, so that a look costs a hundred reads, not thousands.
        """
        if not self._pace:
            return 0
        falls = self._falling(state)
        step, low = max(self._pace // 8, MINUTE), now
        high = low + step
        while (self.value(state, high) < threshold) is not below:
            low, high = high, high + step
            step += step if falls else step // 8
            if high - now > HORIZON:
                return 0
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if (self.value(state, middle) < threshold) is below else (middle, high)
        return high

    def _falling(self, state: ScoreState) -> bool:
        return all(lane.fading.falling(state.lanes[name]) for name, lane in self.lanes.items() if name in state.lanes)

    def contributors(self, state: ScoreState, now: Instant) -> tuple[Contributor, ...]:
        """The rules that make the score now, the largest first."""
        shares = self._idle_shares(state, now)
        rules = ((key, self._worth(state, key, own, now, shares), own) for key, own in state.rules.items())
        best = sorted(rules, key=lambda each: (-abs(each[1]), each[0]))[:CONTRIBUTORS]
        return tuple(Contributor(key, round(points, 4), tuple(own[2:])) for key, points, own in best)

    def scale_rules(self, state: ScoreState, group: str | None, factor: float) -> None:
        """What each rule has given, where its points were multiplied."""
        for key, own in state.rules.items():
            rule = self._rules.get(key)
            if rule is not None and group in {None, rule.group}:
                own[0] *= factor

    def _worth(self, state: ScoreState, key: str, own: list[Any], now: Instant, shares: dict[str, float]) -> float:
        """What is left of one rule's points."""
        rule = self._rules.get(key)
        if rule is None or rule.decay is None:
            return decayed(own[0], own[1], now, rule.half_life if rule is not None else None)
        name = lane_name(rule)
        if isinstance(rule.decay, Idling):
            return float(own[0]) * shares.get(name, 0.0)
        lane = state.lanes.get(name)
        return self.lanes[name].fading.read(lane, now) if lane is not None else 0.0

    def _idle_shares(self, state: ScoreState, now: Instant) -> dict[str, float]:
        """Of each group that idles, how much of all that its rules ever gave is left: every rule of it has lost alike."""
        given: dict[str, float] = {}
        for key, own in state.rules.items():
            rule = self._rules.get(key)
            if rule is not None and isinstance(rule.decay, Idling):
                given[lane_name(rule)] = given.get(lane_name(rule), 0.0) + own[0]
        lanes = ((name, state.lanes.get(name), total) for name, total in given.items())
        return {
            name: self.lanes[name].fading.read(lane, now) / total
            for name, lane, total in lanes
            if lane is not None and total
        }

    def band_name(self, index: int) -> str | None:
        """The name of a band by its index; None below all."""
        return self.bands[index].name if index >= 0 else None


def _lane(rule: Points) -> Lane:
    return Lane(lane_name(rule), rule.group, rule.half_life, fading(rule), rule.decay is None)


def _paces(rule: Points) -> Duration:
    """How fast one rule's points can change; 0 for never."""
    match rule.decay:
        case Steps(every=every):
            return every
        case Idling(steps=steps):
            return min(step.idle for step in steps)
        case None:
            return rule.half_life or 0


def _clamp(value: float, low: float | None, high: float | None) -> float:
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else value
