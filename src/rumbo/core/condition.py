"""Conditions, compiled once: whether one holds, when time alone may change it, and what it saw. It never changes a profile.

Three answers as in the expression language: True, False, or unknown, which counts as no at the top and passes through `not`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any, Final, NamedTuple, assert_never

from rumbo.core.cap import Caps
from rumbo.core.decision import Leaf
from rumbo.core.definition import (
    All,
    AnyOf,
    Comes,
    Condition,
    Contact,
    Derived,
    Dwell,
    EventTest,
    Happened,
    Idle,
    InBand,
    InSegment,
    InStage,
    Level,
    MessageIs,
    Not,
    Reached,
    Where,
)
from rumbo.core.expression import UNKNOWN, is_unknown
from rumbo.core.instant import SECOND, Instant, format_duration, isoformat
from rumbo.core.message import Mail, last_of, status_of
from rumbo.core.scope import Read, Scope
from rumbo.core.tracker import EXACT, Trackers, bucket_width, count_buckets, count_within, passes
from rumbo.core.visit import dwell
from rumbo.core.zone import ZoneOf

NextChange = Callable[[Scope], Instant]
"""The earliest instant after now at which time alone may change the answer; 0 for never."""
Explain = Callable[[Scope], list[Leaf]]


class Compiled(NamedTuple):
    """A condition ready to ask. `hears` are the event names that can change it (None: any); `scores` whose bands can."""

    holds: Read
    next_change: NextChange
    explain: Explain
    hears: frozenset[str] | None
    scores: frozenset[str]
    stages: bool
    segments: frozenset[str] = frozenset()
    """Segments that it names."""
    needs: tuple[str, int] = ("", 0)
    """A counter over the whole life and what it must have reached, or the condition cannot hold; nothing where no one is known."""
    starts: bool = False
    """Whether it may hold before anything that it hears has come: it is asked when the customer begins."""


class Vocabulary(NamedTuple):
    """What a journey offers its conditions."""

    trackers: Trackers
    expression: Callable[[str], Read]
    explain: Callable[[str], Explain]
    value: Callable[[str], Callable[[Scope], float]]
    """A score's value, read at the scope's clock."""
    changes: Callable[[str, float], NextChange]
    """When time alone takes a score over a limit, either way."""
    band_rank: Callable[[str, str], int]
    stage_rank: Callable[[str], int]
    trait: Callable[[str], Read]
    """The reader of a trait of the customer; asking keeps it."""
    zone: Callable[..., ZoneOf]
    """Who reads the zone of this name, or (None) the customer's (`core.zone`); asking keeps the traits that name it."""
    contact: Contact
    """What a customer may be asked, whatever the journey."""
    derived: Derived
    """What is derived from interactions, whatever the journey."""
    caps: Caps
    mail: Mail
    journey: str
    """Its id: rules are named after it where journeys meet."""


_NO_NEED: Final = ("", 0)


def never(_scope: Scope) -> Instant:
    """Time alone changes nothing here."""
    return 0


def compile_condition(condition: Condition, words: Vocabulary, latch: str | None = None) -> Compiled:
    """Compile one condition. `latch` names the stage whose criterion it is, where leaving that stage clears it."""
    match condition:
        case Happened():
            return _happened(condition, words, latch)
        case Comes():
            return _comes(condition, words)
        case MessageIs():
            return _message(condition, words)
        case Idle():
            return _idle(condition, words)
        case Dwell():
            return _dwell(condition, words)
        case InBand() | Level():
            return _score(condition, words)
        case InStage() | Reached():
            return _stage(condition, words)
        case InSegment():
            return _segment(condition)
        case Where():
            return _where(condition, words)
        case All() | AnyOf():
            parts = [compile_condition(part, words, latch) for part in condition.of]
            return _several(parts, every=isinstance(condition, All))
        case Not():
            return _not(compile_condition(condition.of, words, latch))
        case _:
            assert_never(condition)


def describe(events: EventTest) -> str:
    """The test as a person would say it."""
    label = events.label or " or ".join(events.names) or "any interaction"
    return f"{label} where {events.where}" if events.where is not None else label


def _hears(events: EventTest) -> frozenset[str] | None:
    return frozenset(events.names) or None


def _happened(condition: Happened, words: Vocabulary, latch: str | None) -> Compiled:
    counted = _counter(condition, words, latch)
    need, within, text = condition.at_least, condition.within, describe(condition.events)
    text += f" at least {need}" + (f" within {format_duration(within)}" if within is not None else "")

    def explain(scope: Scope) -> list[Leaf]:
        count = counted.count(scope)
        return [Leaf(text, count >= need, {"count": count})]

    made = Compiled(counted.holds, counted.next_change, explain, _hears(condition.events), frozenset(), stages=False)
    if within is not None:
        return made
    return made._replace(needs=(words.trackers.of(condition.events).name, need))


class _Counted(NamedTuple):
    holds: Read
    next_change: NextChange
    count: Callable[[Scope], int]


def _counter(condition: Happened, words: Vocabulary, latch: str | None) -> _Counted:
    tracker = words.trackers.of(condition.events)
    if condition.within is None:
        tracker.counts = True
        return _lifetime(tracker.name, condition.at_least, latch)
    tracker.window(condition.at_least, condition.within)
    if condition.at_least <= EXACT:
        return _exact(tracker.name, condition.at_least, condition.within, latch)
    return _bucketed(tracker.bucket_name(condition.within), condition.at_least, condition.within, latch)


def _lifetime(name: str, need: int, latch: str | None) -> _Counted:
    if latch is None:

        def holds(scope: Scope) -> bool:
            return scope.profile.counters.get(name, 0) >= need

        def count(scope: Scope) -> int:
            return scope.profile.counters.get(name, 0)

        return _Counted(holds, never, count)
    key = f"{latch}|{name}"

    def latched(scope: Scope) -> int:
        return scope.profile.counters.get(name, 0) - scope.state.base.get(key, 0)

    def enough(scope: Scope) -> bool:
        count, course = scope.profile.counters.get(name, 0), scope.state.course
        return (count if course is None else count - course.base.get(key, 0)) >= need

    return _Counted(enough, never, latched)


def _exact(name: str, need: int, within: int, latch: str | None) -> _Counted:
    key = f"{latch}|"

    def start(scope: Scope) -> Instant:
        after = scope.now - within
        return after if latch is None else max(after, scope.state.base.get(key, after))

    def holds(scope: Scope) -> bool:
        times = scope.profile.windows.get(name)
        return times is not None and len(times) >= need and times[-need] > start(scope)

    def count(scope: Scope) -> int:
        return count_within(scope.profile.windows.get(name, []), start(scope))

    def next_change(scope: Scope) -> Instant:
        return scope.profile.windows[name][-need] + within if holds(scope) else 0

    return _Counted(holds, next_change, count)


def _bucketed(name: str, need: int, within: int, latch: str | None) -> _Counted:
    width, key = bucket_width(within), f"{latch}|"

    def count(scope: Scope) -> int:
        after = scope.now - within
        if latch is not None:  # of what was cleared nothing may count: a bucket that it ended in counts no more
            after = max(after, scope.state.base.get(key, after - width) + width)
        return count_buckets(scope.profile.windows.get(name, []), after, width)

    def next_change(scope: Scope) -> Instant:
        if count(scope) < need:
            return 0
        cells, after = scope.profile.windows[name], scope.now - within
        return next(start for start in cells[::2] if start + width > after) + width + within

    return _Counted(lambda scope: count(scope) >= need, next_change, count)


def _comes(condition: Comes, words: Vocabulary) -> Compiled:
    events = condition.events
    where = words.expression(events.where) if events.where is not None else None
    text = f"{describe(events)} comes"

    def holds(scope: Scope) -> bool:
        event = scope.event
        return event is not None and passes(events, where, event.key, scope)

    def explain(scope: Scope) -> list[Leaf]:
        return [Leaf(text, holds(scope), {"interaction": scope.event.name if scope.event is not None else None})]

    return Compiled(holds, never, explain, _hears(events), frozenset(), stages=False)


def _message(condition: MessageIs, words: Vocabulary) -> Compiled:
    rule, status, length = f"{words.journey}/{condition.rule}", condition.status, condition.length
    text = f"message {condition.rule} {'not ' if condition.not_ else ''}{status}"
    text += f" {format_duration(length)} after it was sent" if length else ""
    if condition.not_:
        words.mail.waits(rule, length)

    def holds(scope: Scope) -> bool:
        found = last_of(scope, rule)
        if found is None or not condition.not_:
            return found is not None and status_of(found, status) > 0
        return not status_of(found, status) and found.sent + length <= scope.now

    def next_change(scope: Scope) -> Instant:
        found = last_of(scope, rule)
        due = found.sent + length if found is not None and condition.not_ else 0
        return due if due > scope.now else 0

    def explain(scope: Scope) -> list[Leaf]:
        found = last_of(scope, rule)
        at = status_of(found, status) if found is not None else 0
        saw: dict[str, Any] = {
            "sent": isoformat(found.sent) if found is not None else None,
            status: isoformat(at) if at else None,
        }
        return [Leaf(text, holds(scope), saw)]

    hears = frozenset(name for each in words.contact.messages for name in each.events.names)
    return Compiled(holds, next_change, explain, hears, frozenset(), stages=True)


def _idle(condition: Idle, words: Vocabulary) -> Compiled:
    tracker = words.trackers.of(condition.events)
    tracker.remembers_last = True
    name, length = tracker.name, condition.length
    text = f"no {describe(condition.events)} for {format_duration(length)}"

    def holds(scope: Scope) -> bool:
        last = scope.profile.last.get(name)
        return last is not None and scope.now - last >= length

    def next_change(scope: Scope) -> Instant:
        last = scope.profile.last.get(name)
        return last + length if last is not None and last + length > scope.now else 0

    def explain(scope: Scope) -> list[Leaf]:
        last = scope.profile.last.get(name)
        return [Leaf(text, holds(scope), {"last": isoformat(last) if last is not None else None})]

    return Compiled(holds, next_change, explain, _hears(condition.events), frozenset(), stages=False)


def _dwell(condition: Dwell, words: Vocabulary) -> Compiled:
    names = frozenset(each for each in condition.pages if not each.endswith("*"))
    begins = tuple(each[:-1] for each in condition.pages if each.endswith("*"))
    length, last_session = condition.length, condition.last_session
    text = f"{format_duration(length)} on {' or '.join(condition.pages) or 'any page'}"
    text += " in the last session" if last_session else ""

    def fits(page: str) -> bool:
        return page in names or page.startswith(begins) or not condition.pages

    def holds(scope: Scope) -> bool:
        return dwell(scope.profile, fits, last_session=last_session) >= length

    def explain(scope: Scope) -> list[Leaf]:
        found = dwell(scope.profile, fits, last_session=last_session)
        return [Leaf(text, found >= length, {"seconds": found / SECOND})]

    sessions = words.derived.sessions
    hears = _hears(sessions.events) if sessions is not None else frozenset[str]()
    return Compiled(holds, never, explain, hears, frozenset(), stages=False)


def _score(condition: InBand | Level, words: Vocabulary) -> Compiled:
    score = condition.score
    value = words.value(score)
    next_change: NextChange = never
    if isinstance(condition, Level):
        least = condition.at_least
        text, next_change = f"{score} at least {least:g}", words.changes(score, least)

        def holds(scope: Scope) -> bool:
            return value(scope) >= least

    else:
        rank = words.band_rank(score, condition.band)
        text = f"{score} in band {condition.band} or higher"

        def holds(scope: Scope) -> bool:
            state = scope.state.scores.get(score)
            return state is not None and state.band >= rank

    def explain(scope: Scope) -> list[Leaf]:
        seen = value(scope)
        return [Leaf(text, holds(scope), {score: None if isnan(seen) else round(seen, 4)})]

    hears = None if isinstance(condition, Level) else frozenset[str]()
    return Compiled(holds, next_change, explain, hears, frozenset({score}), stages=False)


def _stage(condition: InStage | Reached, words: Vocabulary) -> Compiled:
    if isinstance(condition, InStage):
        names = frozenset(condition.stages)
        text = "stage is " + " or ".join(condition.stages)

        def holds(scope: Scope) -> bool:
            return scope.state.stage in names

    else:
        rank, rank_of = words.stage_rank(condition.stage), words.stage_rank
        text = f"has reached stage {condition.stage}"

        def holds(scope: Scope) -> bool:
            return scope.state.high_water != "" and rank_of(scope.state.high_water) >= rank

    def explain(scope: Scope) -> list[Leaf]:
        return [Leaf(text, holds(scope), {"stage": scope.state.stage, "high_water": scope.state.high_water})]

    return Compiled(holds, never, explain, frozenset(), frozenset(), stages=True, starts=True)


def _segment(condition: InSegment) -> Compiled:
    name = condition.segment

    def holds(scope: Scope) -> bool:
        return name in scope.state.segments

    def explain(scope: Scope) -> list[Leaf]:
        since = scope.state.segments.get(name)
        return [Leaf(f"in segment {name}", holds(scope), {"since": isoformat(since) if since is not None else None})]

    nothing = frozenset[str]()
    return Compiled(holds, never, explain, nothing, nothing, stages=False, segments=frozenset({name}), starts=True)


def _where(condition: Where, words: Vocabulary) -> Compiled:
    text = condition.text
    return Compiled(words.expression(text), never, words.explain(text), None, frozenset(), stages=True)


def _not(inner: Compiled) -> Compiled:
    ask = inner.holds

    def holds(scope: Scope) -> Any:
        answer = ask(scope)
        return UNKNOWN if is_unknown(answer) else answer is not True

    return inner._replace(holds=holds, needs=_NO_NEED, starts=True)


def _several(parts: Sequence[Compiled], *, every: bool) -> Compiled:
    asks = tuple(part.holds for part in parts)
    decisive = not every  # the answer that settles it: one no for `all`, one yes for `any`

    def holds(scope: Scope) -> Any:
        unknown = False
        for ask in asks:
            answer = ask(scope)
            if answer is decisive:
                return decisive
            unknown = unknown or (answer is not True and answer is not False)
        return UNKNOWN if unknown else every

    def next_change(scope: Scope) -> Instant:
        return min((at for part in parts if (at := part.next_change(scope))), default=0)

    def explain(scope: Scope) -> list[Leaf]:
        return [leaf for part in parts for leaf in part.explain(scope)]

    return Compiled(
        holds,
        never if all(part.next_change is never for part in parts) else next_change,
        explain,
        None if any(part.hears is None for part in parts) else frozenset().union(*(part.hears or () for part in parts)),
        frozenset().union(*(part.scores for part in parts)),
        any(part.stages for part in parts),
        frozenset().union(*(part.segments for part in parts)),
        next((part.needs for part in parts if part.needs[1] > 0), _NO_NEED) if every else _NO_NEED,
        (all if every else any)(part.starts for part in parts),
    )
