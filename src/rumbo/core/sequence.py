"""Sequences: interactions one after the other, found by following every match that has begun. It calls its trigger; it emits nothing.

A partial match is [key, first, last, event id of each step so far]. An interaction at the same instant as a step comes neither
before nor after it. A partial match is given up at first + within by a timer, and what was kept of it goes; no more than
`PER_KEY` are kept of a key and `PARTIALS` in all, the latest ones, and what is dropped is counted (`sequence_partials`).

The words are those of pattern matching on streams: relaxed and strict contiguity, skip strategies (Agrawal, Diao, Gyllstrom,
Immerman: "Efficient Pattern Matching over Event Streams", SIGMOD 2008). There are no loops and no optional steps, so an
interaction takes a partial match on in at most one way.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from rumbo.core.condition import Vocabulary, describe
from rumbo.core.decision import Leaf
from rumbo.core.definition import EventTest, Sequence, SequenceStep, Trigger
from rumbo.core.expression import is_unknown
from rumbo.core.instant import Instant, format_duration, isoformat
from rumbo.core.interaction import Interaction
from rumbo.core.scope import Read, Scope, Turn
from rumbo.core.tracker import passes
from rumbo.core.trigger import TriggerMachine, where_of

PER_KEY: Final = 16
PARTIALS: Final = 64
STEPS: Final = 8
KEY_LENGTH: Final = 128
_HEAD: Final = 3
"""What stands in a partial match before the ids."""

Partial = list[Any]


class _Step(NamedTuple):
    events: EventTest
    where: Read | None
    strict: bool
    unless: EventTest | None
    unless_where: Read | None
    text: str


class SequenceMachine(TriggerMachine):
    """One trigger on a sequence."""

    def __init__(self, journey: str, trigger: Trigger, order: int, words: Vocabulary) -> None:
        super().__init__(trigger, order, words)
        sequence = trigger.on
        if not isinstance(sequence, Sequence):
            raise TypeError(f"trigger {trigger.id} is no sequence")
        self.timer = f"sequence:{journey}:{trigger.id}"
        self.steps = tuple(_step(each, words) for each in sequence.steps)
        self.hears = _hears(sequence.steps, sequence.steps)
        self._later = _hears(sequence.steps[1:], sequence.steps)
        """Names that can take a partial match on or end it; None for any."""
        self.names = frozenset(name for each in sequence.steps for name in each.events.names)
        self._within, self._skips = sequence.within, sequence.skip == "past_last"
        self._per = words.expression(sequence.per) if sequence.per is not None else None

    def hear(self, turn: Turn) -> None:
        """Take every partial match on, begin one, say what is complete."""
        event, partials = turn.event, turn.state.matches.get(self.id)
        if event is None:
            return
        first = self.steps[0]
        begins = passes(first.events, first.where, event.key, turn) and event.at + self._within >= turn.now
        if not begins and partials is None:
            return
        key = self._key(turn)
        if key is None:
            return
        if partials is not None and self._later is not None and event.key not in self._later:
            partials.append([key, event.at, event.at, event.id[:KEY_LENGTH]])  # it can only begin one
            self._keep(turn, partials, key)
            return
        kept: list[Partial] = []
        complete: list[Partial] = []
        for partial in partials or ():
            found = partial if partial[0] != key else self._follow(partial, event, turn)
            if found is not None:
                (complete if len(found) == _HEAD + len(self.steps) else kept).append(found)
        if begins:
            kept.append([key, event.at, event.at, event.id[:KEY_LENGTH]])
        if complete:
            kept = self._complete(turn, complete, kept, key)
        self._keep(turn, kept, key)

    def _key(self, turn: Turn) -> str | None:
        """Whose sequences this interaction belongs to; None for nobody's."""
        if self._per is None:
            return ""
        value = self._per(turn)
        return None if value is None or is_unknown(value) else str(value)[:KEY_LENGTH]

    def _follow(self, partial: Partial, event: Interaction, turn: Turn) -> Partial | None:
        """The partial match after this interaction; None where it has ended, or is of a longer sequence of another version."""
        if len(partial) - _HEAD >= len(self.steps):
            return None
        if event.at <= partial[2] or event.at > partial[1] + self._within:
            return partial
        step = self.steps[len(partial) - _HEAD]
        if passes(step.events, step.where, event.key, turn):
            return [partial[0], partial[1], event.at, *partial[_HEAD:], event.id[:KEY_LENGTH]]
        ends = step.strict or (step.unless is not None and passes(step.unless, step.unless_where, event.key, turn))
        return None if ends else partial

    def _complete(self, turn: Turn, complete: list[Partial], kept: list[Partial], key: str) -> list[Partial]:
        complete.sort(key=lambda each: (each[1], each[_HEAD]))
        called = complete[:1] if self._skips else complete
        turn.matched[self.id] = called.copy()
        turn.called.extend(self for _ in called)
        return [each for each in kept if each[0] != key] if self._skips else kept

    def _keep(self, turn: Turn, kept: list[Partial], key: str) -> None:
        """Store what goes on, the latest where there are too many; the timer is the end of the first to end, or earlier."""
        if len(kept) > PER_KEY:
            self._drop(turn, kept, key)
        matches, timers = turn.state.remember().matches, turn.profile.timers
        if not kept:
            matches.pop(self.id, None)
            timers.pop(self.timer, None)
            return
        matches[self.id] = kept
        armed = timers.get(self.timer)
        if armed is None:
            timers[self.timer] = min(each[1] for each in kept) + self._within
        elif (
            due := kept[-1][1] + self._within
        ) < armed:  # one that began late; what ends first otherwise is found when it fires
            timers[self.timer] = due

    def _drop(self, turn: Turn, kept: list[Partial], key: str) -> None:
        """The oldest of a key that has too many, then the oldest of all."""
        over = (len(kept) if self._per is None else [each[0] for each in kept].count(key)) - PER_KEY
        while over > 0:
            del kept[next(at for at, each in enumerate(kept) if each[0] == key)]
            turn.counts["sequence_partials"] += 1
            over -= 1
        while len(kept) > PARTIALS:
            del kept[0]
            turn.counts["sequence_partials"] += 1

    def due(self, turn: Turn) -> bool:
        """Give up what has not been completed in time."""
        kept = [each for each in turn.state.matches.get(self.id, ()) if each[1] + self._within > turn.now]
        self._keep(turn, kept, "")
        return False

    def leaves(self, scope: Scope) -> tuple[Leaf, ...]:
        """Each step with the interaction that made it, and the guard."""
        match = scope.matched[self.id][0] if isinstance(scope, Turn) and scope.matched.get(self.id) else None
        if match is None:
            return super().leaves(scope)
        key = {"per": match[0]} if self._per is not None else {}
        steps = tuple(
            Leaf(each.text, holds=True, saw={**key, "id": found}, events=(found,))
            for each, found in zip(self.steps, match[_HEAD:], strict=True)
        )
        return (*steps, *super().leaves(scope))

    def acted(self, turn: Turn) -> None:
        """On to the next match that ended here: it has ids of its own."""
        waiting = turn.matched[self.id]
        del waiting[0]
        turn.mark = f" from {waiting[0][_HEAD]}" if waiting else ""
        if not waiting:
            del turn.matched[self.id]


def _step(step: SequenceStep, words: Vocabulary) -> _Step:
    return _Step(
        step.events,
        where_of(step.events, words),
        step.strict,
        step.unless,
        where_of(step.unless, words),
        step_text(step),
    )


def step_text(step: SequenceStep) -> str:
    """A step as a person would say it."""
    text = ("next " if step.strict else "") + describe(step.events)
    return text + (f", no {describe(step.unless)} before it" if step.unless is not None else "")


def sequence_text(sequence: Sequence) -> str:
    """A sequence as a person would say it."""
    steps = ", then ".join(step_text(each) for each in sequence.steps)
    each = f" for one {sequence.per}" if sequence.per is not None else ""
    return f"{steps}{each} within {format_duration(sequence.within)}"


def furthest(partials: list[Partial]) -> tuple[list[str], Instant, Instant] | None:
    """The partial match that has come furthest, the latest of several: its ids, its first and last instant."""
    best = max(partials, key=lambda each: (len(each), each[2]), default=None)
    return (best[_HEAD:], best[1], best[2]) if best is not None else None


def ends_at(first: Instant, sequence: Sequence) -> str:
    """Until when the last step may come."""
    return isoformat(first + sequence.within)


def _hears(steps: tuple[SequenceStep, ...], every: tuple[SequenceStep, ...]) -> frozenset[str] | None:
    """Names that these steps listen to: any, where some step must be the very next one."""
    tests = [each.events for each in steps] + [each.unless for each in steps if each.unless is not None]
    if any(each.strict for each in every) or any(not each.names for each in tests):
        return None
    return frozenset(name for each in tests for name in each.names)
