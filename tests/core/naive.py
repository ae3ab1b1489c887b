"""The journey language a second time, naive on purpose: at each instant every figure is recomputed from the full history.

It keeps the interactions so far and what was decided so far (a stage, a band: what depends on the way by its nature), and no
accumulator, no counter, no window and no timer. Instants at which time alone may change something are found by trying all that could
be: every interaction, move and start plus every length that the journey names, and every fall of a score, bisected.

Not covered: side stages, authority, flapping, expressions, and the triggers that have a naive counterpart of their own (sequences,
thresholds, dates, anomalies).
"""

from __future__ import annotations

from math import fsum
from typing import Any

from rumbo.core import definition as d
from rumbo.core.decay import keep
from rumbo.core.instant import MINUTE
from rumbo.core.interaction import Interaction

FOREVER = 2**62


class Naive:
    """One customer in one journey."""

    def __init__(self, journey: d.Journey) -> None:
        self.journey = journey
        self.events: list[Interaction] = []
        self.out: list[tuple[int, str]] = []
        self.ranks = [stage.name for stage in journey.stages]
        self.rank = self.high = 0
        self.entered = 0
        self.cleared: dict[str, tuple[int, int]] = {}
        self.moved: dict[str, int] = {}
        self.bands = {score.name: -1 for score in journey.scores}
        self.inside: set[str] = set()
        self.held: set[str] = set()
        self.fired: dict[str, int] = {}
        self.waits: dict[str, int] = {}
        self.stuck = False
        self.lengths = sorted({0, *_lengths(journey)})
        self.now = 0

    def run(self, history: list[Interaction], until: int) -> list[tuple[int, str]]:
        """(instant, what) of everything decided."""
        ticked = 0
        for at, event in [*((each.at, each) for each in history), (until + 1, None)]:
            while (due := self._candidate(ticked, at)) < at:
                self._tick(due)
                ticked = due
            if event is not None:
                self._hear(event)
                ticked = max(ticked, at - 1)
        return self.out

    def _candidate(self, after: int, before: int) -> int:
        """The next instant at which time alone may change something."""
        if not self.events:
            return FOREVER
        marks = [each.at for each in self.events] + [self.entered, *self.moved.values(), *self.waits.values()]
        found = [at for mark in marks for length in self.lengths if after < (at := mark + length)]
        due = min([*found, before])
        best = min(
            [*found, *(self._falls(score, max(after, self.now), due) for score in self.journey.scores)], default=FOREVER
        )
        return best if best < before else FOREVER

    def _falls(self, score: d.Score, low: int, high: int) -> int:
        """The first instant in (low, high] at which the score is below its band, by halving."""
        band = self.bands[score.name]
        if band < 0 or high <= low or self.total(score, high) >= score.bands[band].leave:
            return FOREVER
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.total(score, middle) >= score.bands[band].leave else (low, middle)
        return high

    def total(self, score: d.Score, now: int) -> float:
        """clamp(floor, cap, sum over groups of clamp(…)) over every award there ever was."""
        groups: dict[str, float] = {}
        for rule in score.rules:
            groups[rule.group] = groups.get(rule.group, 0.0) + fsum(self._worth(rule, now))
        limits = {group.name: group for group in score.groups}
        parts = [
            _clamp(value, limits[name].floor, limits[name].cap) if name in limits else value
            for name, value in groups.items()
        ]
        return _clamp(sum(parts), score.floor, score.cap)

    def _worth(self, rule: d.Points, now: int) -> list[float]:
        awarded: list[int] = []
        for each in self.events:
            if each.key not in rule.events.names or (rule.once and awarded):
                continue
            if rule.at_most and sum(1 for at in awarded if at > each.at - rule.at_most.within) >= rule.at_most.count:
                continue
            awarded.append(each.at)
        points = float(rule.points)
        if isinstance(rule.decay, d.Steps):
            return [points * keep(rule.decay, now - at) for at in awarded]
        if rule.half_life is None:
            return [points for _ in awarded]
        return [points * 2 ** ((at - now) / rule.half_life) for at in awarded]

    def holds(self, condition: d.Condition, latch: str | None = None) -> bool:
        """A condition by its definition."""
        since, number = self.cleared.get(latch or "", (-FOREVER, 0))
        match condition:
            case d.Happened(events=events, at_least=need, within=None):
                return sum(1 for each in self.events[number:] if each.key in events.names) >= need
            case d.Happened(events=events, at_least=need, within=int() as within):
                times = [each.at for each in self.events if each.key in events.names]
                return sum(1 for at in times if at > max(self.now - within, since)) >= need
            case d.Idle(events=events, length=length):
                times = [each.at for each in self.events if each.key in events.names]
                return bool(times) and self.now - max(times) >= length
            case d.InBand(score=name, band=band):
                score = next(each for each in self.journey.scores if each.name == name)
                return self.bands[name] >= [each.name for each in score.bands].index(band)
            case d.InStage(stages=names):
                return self.ranks[self.rank] in names
            case d.Reached(stage=name):
                return self.high >= self.ranks.index(name)
            case d.All(of=parts):
                return all(self.holds(part, latch) for part in parts)
            case d.AnyOf(of=parts):
                return any(self.holds(part, latch) for part in parts)
            case d.Not(of=part):
                return not self.holds(part, latch)
        raise AssertionError(condition)

    # What is decided --------------------------------------------------------------------------------------------------

    def _hear(self, event: Interaction) -> None:
        self.now = max(self.now, event.at)
        if not self.events:  # everyone begins in the first stage, before anything is known of them
            self.entered = event.at
            self._fire([d.OnStage(self.ranks[0], "entered")] if self.ranks else [])
        self.events.append(event)
        called = [on for score in self.journey.scores for on in self._band(score)]
        self._segments(self.journey.segments)
        called += self._stage()
        for trigger in self.journey.triggers:
            if isinstance(trigger.on, d.Absence):
                self._absence(trigger, trigger.on, event)
        self._fire(called, event)

    def _tick(self, at: int) -> None:
        """What is due at one instant: absences, bands, segments, stages, those who are stuck, conditions; each an input of its own."""
        self.now = at
        for trigger in self.journey.triggers:
            if isinstance(trigger.on, d.Absence) and self.waits.get(trigger.id, FOREVER) + trigger.on.length <= at:
                del self.waits[trigger.id]
                self._act(trigger)
        for score in self.journey.scores:
            called = self._band(score)
            if called:
                self._segments(tuple(each for each in self.journey.segments if isinstance(each.when, d.InBand)))
                on_bands = any(isinstance(stage.when, d.InBand) for stage in self.journey.stages)
                self._fire(called + (self._stage() if on_bands else []), settled=True)
        if self._segments(self.journey.segments):
            self._fire([], settled=True)
        while moved := self._stage():
            self._fire(moved, settled=True)
        limit = self.journey.stages[self.rank].stuck_after if self.ranks else None
        if limit is not None and not self.stuck and at >= self.entered + limit:
            self.stuck = True
            self._say(f"stuck {self.ranks[self.rank]}")
        for trigger in self.journey.triggers:
            if self._rises(trigger):
                self._act(trigger)

    def _fire(self, called: list[d.On], event: Interaction | None = None, *, settled: bool = False) -> None:
        """The triggers in the order of the definition: first who is called, then what each does."""
        chosen = [
            trigger
            for trigger in self.journey.triggers
            if ((settled or event is not None) and self._rises(trigger))
            or (isinstance(trigger.on, d.OnBand | d.OnStage) and trigger.on in called)
            or (isinstance(trigger.on, d.OnEvent) and event is not None and event.key in trigger.on.events.names)
        ]
        for trigger in chosen:
            self._act(trigger)

    def _rises(self, trigger: d.Trigger) -> bool:
        if not isinstance(trigger.on, d.OnCondition):
            return False
        held, holds = trigger.id in self.held, self.holds(trigger.on.when)
        (self.held.add if holds else self.held.discard)(trigger.id)
        return holds and not held

    def _band(self, score: d.Score) -> list[d.On]:
        value, before = self.total(score, self.now), self.bands[score.name]
        band = before
        above = [rank for rank in range(len(score.bands)) if rank > band and value >= score.bands[rank].enter]
        if above:
            band = max(above)
        while band >= 0 and value < score.bands[band].leave:
            band -= 1
        if band == before:
            return []
        self.bands[score.name] = band
        self._say(f"band {score.bands[band].name if band >= 0 else None}")
        entered = [d.OnBand(score.name, each.name) for each in score.bands[before + 1 : band + 1]]
        return [
            *entered,
            *(
                d.OnBand(score.name, each.name, "left")
                for each in score.bands[max(band, -1) + 1 : before + 1]
                if band < before
            ),
        ]

    def _segments(self, asked: tuple[d.Segment, ...]) -> bool:
        changed = False
        for each in asked:
            inside = self.holds(each.when)
            if inside is not (each.name in self.inside):
                changed = True
                (self.inside.add if inside else self.inside.discard)(each.name)
                self._say(f"{'entered' if inside else 'left'} {each.name}")
        return changed

    def _stage(self) -> list[d.On]:
        if not self.ranks:
            return []
        for rank in range(len(self.ranks) - 1, self.rank, -1):
            when = self.journey.stages[rank].when
            if when is not None and self.holds(when, self.ranks[rank]):
                last = rank if self.journey.allow_skip else self.rank + 1
                return [
                    on
                    for step in range(self.rank + 1, last + 1)
                    for on in self._go(step, "forward", implied=step != last)
                ]
        for back in self.journey.stages[self.rank].back:
            edge = f"{self.ranks[self.rank]}>{back.stage}"
            rested = self.now >= self.moved.get(edge, -FOREVER) + back.cooldown
            if rested and self.now >= self.entered + back.min_dwell and self.holds(back.when):
                self.moved[edge] = self.now
                target = self.ranks.index(back.stage)
                for name in self.ranks[target + 1 :]:
                    self.cleared[name] = (self.now, len(self.events))
                return self._go(target, "backward")
        return []

    def _go(self, rank: int, direction: str, *, implied: bool = False) -> list[d.On]:
        before, self.rank, self.entered, self.stuck = self.rank, rank, self.now, False
        self.high = max(self.high, rank)
        self._say(f"{direction} {self.ranks[rank]}{' implied' if implied else ''}")
        return [d.OnStage(self.ranks[before], "left"), d.OnStage(self.ranks[rank], "entered")]

    def _absence(self, trigger: d.Trigger, on: d.Absence, event: Interaction) -> None:
        came, waits = event.key in on.of.names, self.waits
        if on.since is None:
            if came:
                waits[trigger.id] = event.at
            return
        if came and trigger.id in waits and event.at > waits[trigger.id]:
            del waits[trigger.id]
        if isinstance(on.since, d.EventTest) and event.key in on.since.names:
            waits.setdefault(trigger.id, event.at)

    def _act(self, trigger: d.Trigger) -> None:
        if trigger.when is not None and not self.holds(trigger.when):
            return
        last = self.fired.get(trigger.id)
        if trigger.again == "once" and last is not None:
            return
        if trigger.cooldown is not None and last is not None and self.now - last < trigger.cooldown:
            self._say(f"cooldown {trigger.id}")
            return
        self.fired[trigger.id] = self.now
        self._say(f"shadow {trigger.id}" if trigger.mode == "shadow" else trigger.id)

    def _say(self, what: str) -> None:
        self.out.append((self.now, what))


def _clamp(value: float, low: float | None, high: float | None) -> float:
    return min(max(value, low if low is not None else value), high if high is not None else FOREVER)


def _lengths(journey: d.Journey) -> set[int]:
    """Every length that the definition names."""
    found: set[int] = set()

    def walk(value: Any) -> None:
        if isinstance(value, int) and not isinstance(value, bool) and value >= MINUTE:
            found.add(value)
        elif isinstance(value, d._Data):
            for name in value.__struct_fields__:
                walk(getattr(value, name))
            if isinstance(value, d.Steps):
                found.update(value.every * step for step in range(1, 12))
        elif isinstance(value, tuple):
            for each in value:
                walk(each)

    walk(journey)
    return found
