"""The journey language a second time, naive on purpose: at each instant every figure is recomputed from the full history.

It keeps the interactions so far and what was decided so far (a stage, a band: what depends on the way by its nature), and no
accumulator, no counter, no window and no timer. Instants at which time alone may change something are found by trying all that could
be: every interaction, move and start plus every length that the journey names, and every fall of a score, bisected. What time alone
changes at an instant it changes after the interactions of that instant, each of which changes only what names it.

Not covered: expressions (but for the traits of a fit score), and the triggers that have a naive counterpart of their own (sequences,
thresholds, dates, anomalies); nor `allow_skip: false`, which goes on with whatever input comes next.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from math import fsum, prod
from typing import Any, NamedTuple

from rumbo.core import definition as d
from rumbo.core.decay import keep
from rumbo.core.instant import MINUTE
from rumbo.core.interaction import Interaction

FOREVER = 2**62


class Want(NamedTuple):
    """Where the conditions say that the customer should be. `edge`: the way back that is taken."""

    target: str
    direction: str
    edge: str = ""


class Scaled(NamedTuple):
    """A reset that was made: awards before the (number + 1)th interaction are worth so much of what they were."""

    number: int
    group: str | None
    factor: float


class Naive:
    """One customer in one journey."""

    def __init__(self, journey: d.Journey) -> None:
        self.journey = journey
        self.events: list[Interaction] = []
        self.out: list[tuple[int, str]] = []
        self.ranks = [stage.name for stage in journey.stages if not stage.side]
        self.stages = {stage.name: stage for stage in journey.stages}
        self.here = self.ranks[0] if self.ranks else ""
        self.high = 0
        self.entered = 0
        self.entries: list[tuple[str, int, str]] = []
        """Stage, instant, direction."""
        self.cleared: dict[str, tuple[int, int]] = {}
        self.moved: dict[str, int] = {}
        self.lock: tuple[int, int] | None = None
        """Since when somebody has set the stage, and until when."""
        self.suggested = ""
        self.flips: list[int] = []
        self.unstable = 0
        self.bands = {score.name: -1 for score in journey.scores}
        self.scaled: dict[str, list[Scaled]] = {score.name: [] for score in journey.scores}
        self.out_of: dict[str, str] = {score.name: "" for score in journey.scores}
        """Score -> why it is not reported."""
        self.traits: dict[str, Any] = {}
        self.inside: set[str] = set()
        self.held: set[str] = set()
        self.fired: dict[str, int] = {}
        self.waits: dict[str, int] = {}
        self.stuck = False
        self.lengths = sorted({0, *_lengths(journey)})
        self.now = 0
        self.told = FOREVER
        """Until when all is told: a definition by which somebody would go round in circles at one instant says no more after it."""

    def run(self, history: list[Interaction], until: int) -> list[tuple[int, str]]:
        """(instant, what) of everything decided, as far as it is told."""
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
        marks = [each.at for each in self.events] + [
            self.entered,
            *self.moved.values(),
            *self.waits.values(),
            *self.flips,
        ]
        marks += [self.lock[0]] if self.lock is not None else []
        found = [at for mark in marks for length in self.lengths if after < (at := mark + length)]
        due = min([*found, before])
        best = min(
            [*found, *(self._falls(score, max(after, self.now - 1), due) for score in self.journey.scores)],
            default=FOREVER,
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
            groups[rule.group] = groups.get(rule.group, 0.0) + fsum(self._worth(score, rule, now))
        if score.traits:
            groups[""] = fsum(self._fits(each) for each in score.traits)
        limits = {group.name: group for group in score.groups}
        parts = [
            _clamp(value, limits[name].floor, limits[name].cap) if name in limits else value
            for name, value in groups.items()
        ]
        return _clamp(sum(parts), score.floor, score.cap)

    def _fits(self, rule: d.Trait) -> float:
        """`traits.name op number`, by what was said last; nothing where that is not known."""
        path, compare, limit = rule.where.split()
        said = self.traits.get(path.removeprefix("traits."))
        if said is None:
            return 0.0
        return rule.points if _COMPARE[compare](said, float(limit)) else rule.otherwise

    def _awards(self, rule: d.Points) -> list[tuple[int, int]]:
        """(instant, number of the interaction) of every time that a rule gave its points."""
        awarded: list[tuple[int, int]] = []
        for number, each in enumerate(self.events):
            if each.key not in rule.events.names or (rule.once and awarded):
                continue
            if rule.at_most and sum(1 for at, _ in awarded if at > each.at - rule.at_most.within) >= rule.at_most.count:
                continue
            awarded.append((each.at, number))
        return awarded

    def _worth(self, score: d.Score, rule: d.Points, now: int) -> list[float]:
        resets = [each for each in self.scaled[score.name] if each.group in {None, rule.group}]
        return [
            float(rule.points) * _kept(rule, now - at) * prod(each.factor for each in resets if each.number > number)
            for at, number in self._awards(rule)
        ]

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
                return self.here in names
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
        begins = not self.events
        self.traits |= event.traits
        called: list[d.On] = []
        if begins:  # everyone begins in the first stage, before anything is known of them
            self.entered = event.at
            self.entries.append((self.here, event.at, ""))
            for score in self.journey.scores:
                if score.traits:  # what nothing known gives is no change to tell of
                    known, self.traits = self.traits, {}
                    self.bands[score.name] = _risen(score, -1, self.total(score, self.now))
                    self.traits = known
                    called += self._band(score)
            for score in self.journey.scores:
                called += self._first_judged(score, event)
            self._segments(each for each in self.journey.segments if not self._asked(each.when, event, called))
            self._fire([*called, *([d.OnStage(self.ranks[0], "entered")] if self.ranks else [])])
        self.events.append(event)
        banded = [on for score in self.journey.scores for on in self._scored(score, event)]
        changed = self._segments(each for each in self.journey.segments if self._asked(each.when, event, banded))
        moved = self._obey(event)
        ordered = event.key in _names(self.journey.authority)
        if ordered or any(self._asked(each, event, banded) for each in self._criteria()):
            moved += self._stage()
        for trigger in self.journey.triggers:
            if isinstance(trigger.on, d.Absence):
                self._absence(trigger, trigger.on, event)
        self._fire([*banded, *moved], event, settled=bool(banded or moved or changed))

    def _tick(self, at: int) -> None:
        """What is due at one instant: absences, authority, bands, segments, stages, those who are stuck, conditions; each an input of its own."""
        self.now = at
        for trigger in self.journey.triggers:
            if isinstance(trigger.on, d.Absence) and self.waits.get(trigger.id, FOREVER) + trigger.on.length <= at:
                del self.waits[trigger.id]
                self._act(trigger)
        if self.lock is not None and self.lock[1] <= at:
            self.lock = None
            self._fire(self._stage(alone=True), settled=True)
        for score in self.journey.scores:
            for look in (self._band, self._judge, self._reset):
                called = look(score)
                if called:
                    self._segments(each for each in self.journey.segments if _kinds(each.when) & {d.InBand})
                    moves = any(_kinds(each) & {d.InBand} for each in self._criteria())
                    self._fire(called + (self._stage(alone=True) if moves else []), settled=True)
        if self._segments(self.journey.segments):
            self._fire([], settled=True)
        while moved := self._stage(alone=True):
            self._fire(moved, settled=True)
        limit = self.stages[self.here].stuck_after if self.ranks else None
        if limit is not None and not self.stuck and at >= self.entered + limit:
            self.stuck = True
            self._say(f"stuck {self.here}")
        if self.unstable and self.unstable <= at:
            self.unstable = 0
            self._fire(self._stage(alone=True), settled=True)
        for trigger in self.journey.triggers:
            if self._rises(trigger):
                self._act(trigger)

    def _criteria(self) -> list[d.Condition]:
        """Whatever moves somebody from stage to stage."""
        asked = ((stage.when, stage.until, *(back.when for back in stage.back)) for stage in self.journey.stages)
        return [each for found in asked for each in found if each is not None]

    def _asked(self, condition: d.Condition, event: Interaction, banded: object) -> bool:
        """Whether this interaction can change it: it names it, or hangs on a band that the interaction has changed."""
        return event.key in _names(condition) or (bool(banded) and bool(_kinds(condition) & {d.InBand}))

    def _fire(self, called: list[d.On], event: Interaction | None = None, *, settled: bool = False) -> None:
        """The triggers in the order of the definition: first who is called, then what each does."""
        chosen = [
            trigger
            for trigger in self.journey.triggers
            if (self._looks(trigger, event, settled=settled) and self._rises(trigger, event))
            or (isinstance(trigger.on, d.OnBand | d.OnStage) and trigger.on in called)
            or (isinstance(trigger.on, d.OnEvent) and event is not None and event.key in trigger.on.events.names)
        ]
        for trigger in chosen:
            self._act(trigger)

    def _looks(self, trigger: d.Trigger, event: Interaction | None, *, settled: bool) -> bool:
        """Whether a condition is asked now: the interaction names it, or it hangs on what has changed."""
        if not isinstance(trigger.on, d.OnCondition):
            return False
        hangs = settled and bool(_kinds(trigger.on.when) & {d.InBand, d.InStage, d.Reached})
        return hangs or (event is not None and event.key in _names(trigger.on.when))

    def _rises(self, trigger: d.Trigger, event: Interaction | None = None) -> bool:
        if not isinstance(trigger.on, d.OnCondition):
            return False
        held, holds = trigger.id in self.held, self.holds(trigger.on.when)
        if held and not holds and event is not None and self._held_until_now(trigger.on.when):
            return False
        (self.held.add if holds else self.held.discard)(trigger.id)
        return holds and not held

    def _held_until_now(self, condition: d.Condition) -> bool:
        """Whether time alone has ended it at this very instant: then it ends after the interactions."""
        self.now -= 1
        held = self.holds(condition)
        self.now += 1
        return held

    def _scored(self, score: d.Score, event: Interaction) -> list[d.On]:
        """What an interaction does to a score: its points, its resets, whether it is reported."""
        called: list[d.On] = []
        last = len(self.events) - 1
        given = [float(each.points) for each in score.rules if last in (number for _, number in self._awards(each))]
        if given or (score.traits and event.traits):
            called += self._band(score, rises=bool(given) and min(given) > 0)
        called += self._reset(score, event)
        if any(event.key in _names(each.when) for each in score.disqualify):
            called += self._judge(score)
        return called

    def _first_judged(self, score: d.Score, event: Interaction) -> list[d.On]:
        """What holds of a score of which nothing is known yet, where the first interaction does not name it."""
        for at, reset in enumerate(score.resets):
            if reset.events is None and event.key not in _names(reset.when):
                self._resets(score, at, reset, None)
        named = any(event.key in _names(each.when) for each in score.disqualify)
        return [] if named else self._judge(score)

    def _reset(self, score: d.Score, event: Interaction | None = None) -> list[d.On]:
        """Resets by this interaction, and those whose condition has become true."""
        changed = False
        for at, reset in enumerate(score.resets):
            if self._resets(score, at, reset, event):
                changed |= self._scale(score, reset)
        return (self._band(score) or [d.OnBand(score.name, "")]) if changed else []

    def _resets(self, score: d.Score, at: int, reset: d.Reset, event: Interaction | None) -> bool:
        if reset.events is not None:
            guarded = reset.when is None or self.holds(reset.when)
            return guarded and event is not None and event.key in reset.events.names
        if event is not None and event.key not in _names(reset.when):
            return False
        name, holds = f"{score.name}:reset{at}", reset.when is not None and self.holds(reset.when)
        rises = holds and name not in self.held
        (self.held.add if holds else self.held.discard)(name)
        return rises

    def _scale(self, score: d.Score, reset: d.Reset) -> bool:
        rules = [rule for rule in score.rules if reset.group in {None, rule.group}]
        worth = [each for rule in rules for each in self._worth(score, rule, self.now)]
        total, factor = fsum(worth), reset.multiply
        if reset.set is not None:
            factor = reset.set / total if total > reset.set else 1.0
        self.scaled[score.name].append(Scaled(len(self.events), reset.group, factor))
        return factor != 1.0 and bool(worth)

    def _judge(self, score: d.Score) -> list[d.On]:
        """The first reason not to report the score; with it the band is left, without it the points count again."""
        reason = next((each.reason for each in score.disqualify if self.holds(each.when)), "")
        if reason == self.out_of[score.name]:
            return []
        self.out_of[score.name] = reason
        band = -1 if reason else _risen(score, -1, self.total(score, self.now))
        return self._banded(score, band)

    def _band(self, score: d.Score, *, rises: bool = False) -> list[d.On]:
        """`rises`: there were only points given, by which nobody falls; time takes them down, after the interactions."""
        value, before = self.total(score, self.now), self.bands[score.name]
        if self.out_of[score.name]:
            return []
        band = _risen(score, before, value)
        while band >= 0 and value < score.bands[band].leave and not rises:
            band -= 1
        return self._banded(score, band) if band != before else []

    def _banded(self, score: d.Score, band: int) -> list[d.On]:
        before, self.bands[score.name] = self.bands[score.name], band
        self._say(f"band {score.bands[band].name if band >= 0 else None}")
        entered = [d.OnBand(score.name, each.name) for each in score.bands[before + 1 : band + 1]]
        left = [d.OnBand(score.name, each.name, "left") for each in score.bands[band + 1 : before + 1]]
        return [*entered, *left] or [
            d.OnBand(score.name, "")
        ]  # no band at all was entered or left, and yet something has changed

    def _segments(self, asked: Iterable[d.Segment]) -> bool:
        changed = False
        for each in asked:
            inside = self.holds(each.when)
            if inside is not (each.name in self.inside):
                changed = True
                (self.inside.add if inside else self.inside.discard)(each.name)
                self._say(f"{'entered' if inside else 'left'} {each.name}")
        return changed

    def _stage(self, *, alone: bool = False) -> list[d.On]:
        """At most one move, unless something holds it. `alone`: time alone makes it."""
        want = self._wants() if self.ranks else None
        if want is not None and alone and not self._goes_on(want):
            self.told = min(self.told, self.now)
            return []
        return [] if want is None or self._keeps(want) else self._make(want)

    def _goes_on(self, want: Want) -> bool:
        """At one instant time alone brings nobody twice aside, out or back to one stage, nor forward after that."""
        met = [each for each in self.entries if each[1] == self.now]
        aside = [target for target, _, direction in met if direction in {"aside", "return", "backward"}]
        if want.direction == "forward" and met:
            return met[-1][2] in {"", "forward"}
        return want.target not in aside

    def _wants(self) -> Want | None:
        for side in (each for each in self.journey.stages if each.side and each.name != self.here):
            allowed = self.here in (side.sources or self.ranks)
            if allowed and side.when is not None and self.holds(side.when, f"{side.name}.when"):
                return Want(side.name, "aside")
        held = [
            rank for rank, name in enumerate(self.ranks) if (when := self.stages[name].when) and self.holds(when, name)
        ]
        stage = self.stages[self.here]
        if stage.side:
            over = stage.until is not None and self.holds(stage.until, self.here)
            return Want(self.ranks[max(held, default=0)], "return") if over else None
        current = self.ranks.index(self.here)
        if held and max(held) > current:
            return Want(self.ranks[max(held) if self.journey.allow_skip else current + 1], "forward")
        for back in (*stage.back, *([d.Back("", stage.until, min_dwell=stage.min_dwell)] if stage.until else [])):
            edge, latch = f"{self.here}>{back.stage}", None if back.stage else f"{self.here}.until"
            rested = self.now >= self.moved.get(edge, -FOREVER) + back.cooldown
            if rested and self.now >= self.entered + back.min_dwell and self.holds(back.when, latch):
                below = self.ranks[max((rank for rank in held if rank < current), default=0)]
                return Want(back.stage or below, "backward", edge)
        return None

    def _keeps(self, want: Want) -> bool:
        """Whether somebody has set the stage, or the customer goes to and fro too often."""
        if self.lock is not None:
            if self.suggested != want.target:
                self._say(f"suggested {want.target}")
            self.suggested = want.target
            return True
        if len(self.entries) < 2:
            return False
        (before, *_), (here, at, _) = self.entries[-2:]
        flaps = self.journey.unstable
        if (self._rank(here) > self._rank(before)) == (
            self._rank(want.target) > self._rank(here)
        ) or at <= self.now - flaps.within:
            return False
        self.flips = [each for each in self.flips if each > self.now - flaps.within]
        if len(self.flips) < flaps.flips:
            self.flips.append(self.now)
            self.unstable = 0
            return False
        if not self.unstable:
            self.unstable = self.flips[0] + flaps.within
            self._say(f"unstable {want.target}")
        return True

    def _rank(self, name: str) -> int:
        return self.ranks.index(name) if name in self.ranks else -1

    def _make(self, want: Want) -> list[d.On]:
        if want.direction == "forward":
            last = self.ranks.index(want.target)
            steps = range(self.ranks.index(self.here) + 1, last + 1)
            return [on for step in steps for on in self._go(self.ranks[step], "forward", implied=step != last)]
        if want.direction == "aside":
            self._clear(want.target)
        elif want.direction == "backward":
            if want.edge:
                self.moved[want.edge] = self.now
            for name in self.ranks[self.ranks.index(want.target) + 1 :]:
                self._clear(name)
        return self._go(want.target, want.direction)

    def _clear(self, latch: str) -> None:
        """From here on its criterion counts anew."""
        self.cleared[latch] = (self.now, len(self.events))

    def _go(self, target: str, direction: str, *, implied: bool = False) -> list[d.On]:
        self._clear(f"{self.here}.when")
        before, self.here, self.entered, self.stuck = self.here, target, self.now, False
        self._clear(f"{target}.until")
        self.entries.append((target, self.now, direction))
        self.high = max(self.high, self._rank(target))
        self._say(f"{direction} {target}{' implied' if implied else ''}")
        return [d.OnStage(before, "left"), d.OnStage(target, "entered")]

    def _obey(self, event: Interaction) -> list[d.On]:
        """What somebody says of the stage is done at once, and holds until released or expired."""
        for rule in self.journey.authority.sets:
            if event.key in rule.events.names:
                target = event.properties["stage"]
                expires = event.at + rule.expires_after if rule.expires_after is not None else FOREVER
                self.lock, self.suggested = (self.now, expires), ""
                return self._make(Want(target, self._toward(target))) if target != self.here else []
        if any(event.key in each.names for each in self.journey.authority.releases):
            self.lock = None
        return []

    def _toward(self, target: str) -> str:
        if target not in self.ranks:
            return "aside"
        if self.here not in self.ranks:
            return "return"
        return "forward" if self._rank(target) > self._rank(self.here) else "backward"

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


_COMPARE = {">=": operator.ge, "<": operator.lt}


def _risen(score: d.Score, band: int, value: float) -> int:
    """The highest band whose entry the value has come to, or the one before."""
    return max([band, *(rank for rank, each in enumerate(score.bands) if value >= each.enter)])


def _kept(rule: d.Points, age: int) -> float:
    if isinstance(rule.decay, d.Steps):
        return keep(rule.decay, age)
    return 1.0 if rule.half_life is None else 2 ** (-age / rule.half_life)


def _clamp(value: float, low: float | None, high: float | None) -> float:
    return min(max(value, low if low is not None else value), high if high is not None else FOREVER)


def _parts(value: Any) -> Iterator[Any]:
    """A part of a definition, and all parts of it."""
    yield value
    inner = value if isinstance(value, tuple) else ()
    if isinstance(value, d._Data):
        inner = tuple(getattr(value, name) for name in value.__struct_fields__)
    for each in inner:
        yield from _parts(each)


def _names(value: Any) -> set[str]:
    """The interactions that a part of a definition names."""
    return {name for each in _parts(value) if isinstance(each, d.EventTest) for name in each.names}


def _kinds(value: Any) -> set[type]:
    """What a condition is made of."""
    return {type(each) for each in _parts(value)}


def _lengths(journey: d.Journey) -> set[int]:
    """Every length that the definition names."""
    found: set[int] = set()
    for each in _parts(journey):
        if isinstance(each, int) and not isinstance(each, bool) and each >= MINUTE:
            found.add(each)
        elif isinstance(each, d.Stage) and each.until is not None:
            found.add(d.Back("", each.until).cooldown)  # a way out rests as every way back does, unasked
        elif isinstance(each, d.Steps):
            found.update(each.every * step for step in range(1, 12))
    return found
