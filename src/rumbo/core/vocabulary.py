"""The names of the expression language and what they read: the interaction, the profile, the journey's state. It never changes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from math import isnan, nan
from typing import Any, Final
from zoneinfo import ZoneInfo

from rumbo.core.cap import Caps
from rumbo.core.condition import Vocabulary
from rumbo.core.decision import Leaf
from rumbo.core.definition import Accounts, Contact, Derived, EventTest, Journey
from rumbo.core.expression import UNKNOWN, Choose, Path, Type, compile_expression, lookers, parse
from rumbo.core.instant import Duration, Instant, to_datetime
from rumbo.core.interaction import folded
from rumbo.core.message import Mail
from rumbo.core.mistyped import Met, Tell
from rumbo.core.scope import Read, Scope
from rumbo.core.score import ScoreMachine
from rumbo.core.tracker import Trackers
from rumbo.core.zone import TRAITS, ZoneOf, zone_of

_MICROSECOND: Final = timedelta(microseconds=1)

EVENT_FIELDS: Final = ("id", "name", "customer", "account", "anonymous", "time")
SECTIONS: Final = ("properties", "context", "traits")
_SECTIONS: Final = frozenset((each,) for each in SECTIONS)


class Words:
    """Names that mean the same in every journey of a topology; `vocabulary` adds those of one journey."""

    def __init__(
        self,
        zone: str = "UTC",
        contact: Contact | None = None,
        derived: Derived | None = None,
        journeys: Sequence[Journey] = (),
        accounts: Accounts | None = None,
    ) -> None:
        self.caps, self.mail, self.derived = Caps(), Mail(), derived or Derived()
        self._zone, self.contact = ZoneInfo(zone), contact or Contact()
        self.met = Met(journeys, self.contact, self.derived, accounts)
        """Fields of another type than rules need."""
        self.resolver = _Resolver(self, None)
        self.trackers = Trackers(self.read)
        self.traits: set[str] = set()
        """The customer's traits that some rule reads: no other is kept."""

    def read(self, text: str) -> Read:
        """The reader of an expression that names nothing of a journey."""
        return self._compiled(text, None)

    def _compiled(self, text: str, journey: _Journey | None) -> Read:
        node = parse(text)
        whole = isinstance(node, Path | Choose)  # the only forms whose type is not known by themselves
        return compile_expression(node, _Resolver(self, journey, text), self.met.wants(text) if whole else "dyn")

    def zone(self, name: str | None = None) -> ZoneOf:
        """The reader of the customer's zone, where none is named; from now on the traits that name it are kept."""
        if name is not None:
            fixed = ZoneInfo(name)
            return lambda _scope: fixed
        self.traits.update(TRAITS)
        default = self._zone
        return lambda scope: zone_of(scope.profile, default)

    def vocabulary(self, journey: Journey, scores: Mapping[str, ScoreMachine]) -> Vocabulary:
        """Everything a condition of this journey can name."""
        resolver = _Resolver(self, _Journey(journey, scores))
        known = resolver.journey
        assert known is not None  # noqa: S101  made in the line above

        def explained(text: str) -> Callable[[Scope], list[Leaf]]:
            parts = lookers(parse(text), resolver, Leaf)
            if len(parts) == 1:
                only = parts[0]
                return lambda scope: [only(scope)]
            return lambda scope: [look(scope) for look in parts]

        return Vocabulary(
            trackers=self.trackers,
            expression=lambda text: self._compiled(text, known),
            explain=explained,
            value=known.value,
            changes=known.changes,
            band_rank=known.band_rank,
            stage_rank=known.stage_rank,
            trait=lambda name: resolver.field(("traits", name)),
            zone=self.zone,
            contact=self.contact,
            derived=self.derived,
            caps=self.caps,
            mail=self.mail,
            journey=journey.id,
        )


class _Journey:
    """The scores and stages of one journey, by name."""

    def __init__(self, journey: Journey, scores: Mapping[str, ScoreMachine]) -> None:
        self.id = journey.id
        self._scores = scores
        self._ranks = {stage.name: rank for rank, stage in enumerate(each for each in journey.stages if not each.side)}

    def value(self, score: str) -> Callable[[Scope], float]:
        machine = self._scores[score]

        def read(scope: Scope) -> float:
            state = scope.state.scores.get(score)
            if state is None:
                return 0.0
            return nan if state.out else machine.value(state, scope.now)  # a score that is not reported meets no limit

        return read

    def changes(self, score: str, limit: float) -> Callable[[Scope], Instant]:
        machine = self._scores[score]

        def read(scope: Scope) -> Instant:
            state = scope.state.scores.get(score)
            return machine.changes_at(state, scope.now, limit) if state is not None else 0

        return read

    def band(self, score: str) -> Callable[[Scope], str]:
        machine = self._scores[score]

        def read(scope: Scope) -> str:
            state = scope.state.scores.get(score)
            return (machine.band_name(state.band) if state is not None else None) or ""

        return read

    def band_rank(self, score: str, band: str) -> int:
        return next(rank for rank, each in enumerate(self._scores[score].bands) if each.name == band)

    def stage_rank(self, stage: str) -> int:
        return self._ranks.get(stage, -1)

    def entered(self, stage: str) -> Callable[[Scope], bool]:
        rank = self.stage_rank(stage)
        return lambda scope: self._ranks.get(scope.state.high_water, -1) >= rank


class _Resolver:
    """What a field path or a host function reads. With a `text` it tells of what that expression meets (`Words.met`)."""

    def __init__(self, words: Words, journey: _Journey | None, text: str | None = None) -> None:
        self._words, self.journey, self._text = words, journey, text

    def mistyped(self, path: tuple[str, ...], wants: Type) -> Tell | None:
        """Who is told of a value of another type."""
        if self._text is None or path[1:2] not in _SECTIONS:
            return None
        return self._words.met.tell(self.journey.id if self.journey is not None else None, self._text, path, wants)

    def field(self, path: tuple[str, ...]) -> Read:
        """The reader of a path: `event.properties.total`, `traits.plan`, `stage`."""
        match path:
            case ("event", section, *rest) if section in SECTIONS:
                return _section(section, tuple(rest))
            case ("event", "time"):
                return lambda scope: UNKNOWN if scope.event is None else to_datetime(scope.event.at)
            case ("event", name) if name in EVENT_FIELDS:
                return _attribute(name)
            case ("traits", name, *rest):
                self._words.traits.add(name)
                return _trait(name, tuple(rest))
            case ("stage",):
                return lambda scope: scope.state.stage
            case _:
                raise LookupError(f"{'.'.join(path)} is not a name that Rumbo knows")

    def function(self, name: str, args: tuple[Any, ...]) -> Read:
        """The reader of a host function with literal arguments: `count('Order Completed', duration('7d'))`."""
        match name, args:
            case "count", (str() as event, *window):
                return self._count(event, window[0] if window else None)
            case "idle", (str() as event,):
                return self._idle(event)
            case "score", (str() as score,) if self.journey is not None:
                return self._score(self.journey.value(score))
            case "band", (str() as score,) if self.journey is not None:
                return self.journey.band(score)
            case "entered", (str() as stage,) if self.journey is not None:
                return self.journey.entered(stage)
            case "segment", (str() as segment,) if self.journey is not None:
                return lambda scope: segment in scope.state.segments
            case _:
                raise LookupError(f"{name} with these arguments is not a function that Rumbo knows")

    def _score(self, value: Callable[[Scope], float]) -> Read:
        def read(scope: Scope) -> Any:
            found = value(scope)
            return UNKNOWN if isnan(found) else found

        return read

    def _count(self, event: str, window: timedelta | None) -> Read:
        tracker = self._words.trackers.of(EventTest(names=(folded(event),)))
        if window is None:
            tracker.counts = True
            name = tracker.name
            return lambda scope: scope.profile.counters.get(name, 0)
        within: Duration = window // _MICROSECOND
        tracker.window(COUNT_LIMIT, within)
        name = tracker.name

        def read(scope: Scope) -> int:
            after = scope.now - within
            return sum(1 for at in scope.profile.windows.get(name, ()) if at > after)

        return read

    def _idle(self, event: str) -> Read:
        tracker = self._words.trackers.of(EventTest(names=(folded(event),)))
        tracker.remembers_last = True
        name = tracker.name

        def read(scope: Scope) -> Any:
            last = scope.profile.last.get(name)
            return UNKNOWN if last is None else timedelta(microseconds=scope.now - last)

        return read


COUNT_LIMIT: Final = 64
"""`count(event, window)` counts exactly up to here, and stays here beyond."""


def _attribute(name: str) -> Read:
    def read(scope: Scope) -> Any:
        event = scope.event
        if event is None:
            return UNKNOWN
        found = getattr(event, name)
        return UNKNOWN if found is None else found

    return read


def _section(section: str, rest: tuple[str, ...]) -> Read:
    if len(rest) == 1:
        only = rest[0]

        def read_one(scope: Scope) -> Any:
            event = scope.event
            return UNKNOWN if event is None else getattr(event, section).get(only, UNKNOWN)

        return read_one

    def read(scope: Scope) -> Any:
        event = scope.event
        return UNKNOWN if event is None else _walk(getattr(event, section), rest)

    return read


def _trait(name: str, rest: tuple[str, ...]) -> Read:
    def read(scope: Scope) -> Any:
        found = scope.profile.traits.get(name)
        return UNKNOWN if found is None else _walk(found[0], rest)

    return read


def _walk(found: Any, rest: tuple[str, ...]) -> Any:
    for name in rest:
        if not isinstance(found, dict) or name not in found:
            return UNKNOWN
        found = found[name]
    return found
