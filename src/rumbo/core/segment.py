"""Segments: named conditions with membership. A customer enters and leaves at the instant, also where only time has passed.

Segments that name others are asked after them (`topology` orders them and refuses circles). It never moves a stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rumbo.core.condition import Compiled, Vocabulary, compile_condition, never
from rumbo.core.definition import Journey, OnSegment
from rumbo.core.identity import Identity
from rumbo.core.instant import isoformat
from rumbo.core.outputs import SegmentChanged
from rumbo.core.scope import Turn
from rumbo.core.trigger import TriggerMachine


class Segment(NamedTuple):
    """One segment, compiled. `hears` includes what the segments that it names hear (None: any interaction)."""

    name: str
    when: Compiled
    hears: frozenset[str] | None
    timer: str
    timed: bool


class Segments:
    """The segments of one journey, each after those that it names."""

    def __init__(self, journey: Journey, words: Vocabulary, who: Identity) -> None:
        self._who = who
        self._all: tuple[Segment, ...] = ()
        self._bands: set[str] = set()
        self._stages: set[str] = set()
        self._calls: dict[tuple[str, str], list[TriggerMachine]] = {}
        for each in journey.segments:
            self._add(each.name, compile_condition(each.when, words), f"segment:{journey.id}:{each.name}")
        self.on_bands = self._of(self._bands)
        """To be asked again when a band has changed."""
        self.on_stages = self._of(self._stages)
        """To be asked again when a stage has changed."""

    def _add(self, name: str, when: Compiled, timer: str) -> None:
        inner = [each for each in self._all if each.name in when.segments]
        hears = when.hears
        for each in inner:
            hears = None if hears is None or each.hears is None else hears | each.hears
        if when.scores or when.hears is None or any(each.name in self._bands for each in inner):
            self._bands.add(name)
        if when.stages or any(each.name in self._stages for each in inner):
            self._stages.add(name)
        self._all = (*self._all, Segment(name, when, hears, timer, when.next_change is not never))

    def _of(self, names: set[str]) -> tuple[Segment, ...]:
        return tuple(each for each in self._all if each.name in names)

    def calls(self, triggers: tuple[TriggerMachine, ...]) -> None:
        """Tell it which triggers hang on segments."""
        for each in triggers:
            if isinstance(each.on, OnSegment):
                self._calls.setdefault((each.on.segment, each.on.change), []).append(each)

    def listening(self, key: str) -> tuple[Segment, ...]:
        """The segments that an interaction of this name can change."""
        return tuple(each for each in self._all if each.hears is None or key in each.hears)

    def mentioned(self) -> set[str]:
        """Every event name that some segment listens to by name."""
        return {name for each in self._all for name in each.hears or ()}

    @property
    def begins(self) -> bool:
        """Whether there is anything to ask at a beginning."""
        return bool(self._all)

    def begin(self, turn: Turn, listening: tuple[Segment, ...]) -> None:
        """The customer's first interaction: what holds of everybody (`not`, the first stage) holds from here on."""
        if self._all:
            self.hear(turn, tuple(each for each in self._all if each not in listening))

    def hear(self, turn: Turn, asked: tuple[Segment, ...]) -> bool:
        """Ask these segments; whether the customer entered or left any."""
        here, timers, changed = turn.state.segments, turn.profile.timers, False
        for each in asked:
            inside = each.when.holds(turn) is True
            if inside is not (each.name in here):
                self._change(turn, each, entered=inside)
                changed = True
            if each.timed:
                due = each.when.next_change(turn)
                if due > turn.now:  # a later one is found when the timer fires
                    timers[each.timer] = min(due, timers.get(each.timer, due))
        return changed

    def _change(self, turn: Turn, segment: Segment, *, entered: bool) -> None:
        here, name = turn.state.remember().segments, segment.name
        since = here.pop(name, None)
        if entered:
            here[name] = turn.now
        change = "entered" if entered else "left"
        data = SegmentChanged(
            **self._who.words(turn),
            because=self._who.because(turn, f"segment {name}", tuple(segment.when.explain(turn))),
            segment=name,
            change="entered" if entered else "left",
            reason="time" if turn.event is None else "event",
            since=isoformat(since) if since is not None else None,
        )
        turn.out.append(self._who.decide(turn, "segment.changed", f"segment:{name}:{change}", data))
        turn.called.extend(self._calls.get((name, change), ()))

    def timers(self) -> dict[str, Callable[[Turn], bool]]:
        """A handler for each timer: whether a membership changed."""
        return {each.timer: self._due(at) for at, each in enumerate(self._all) if each.timed}

    def _due(self, at: int) -> Callable[[Turn], bool]:
        """Ask the one that is due, then those that name it."""
        names, asked = {self._all[at].name}, [self._all[at]]
        for each in self._all[at + 1 :]:
            if each.when.segments & names:
                names.add(each.name)
                asked.append(each)
        due = tuple(asked)
        return lambda turn: self.hear(turn, due)
