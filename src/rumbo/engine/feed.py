"""Which batch a partition gets next: at most one under way, the oldest head first while behind, control records last.

Pure bookkeeping between the fetching thread and the partitions; it reads no topic and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from rumbo.engine.partition import Batch, GapError

WORTH: Final = 16
"""So many records of a partition are worth a whole delay; fewer are gathered for a share of it, and for `LEAST` of it at least."""
LEAST: Final = 0.2
ENOUGH: Final = 100
"""So many records are worth a transaction of their own: a partition that has them does not rest."""
REST: Final = 2.0
"""One that has less rests so many times as long as its transactions take: a broker that is slow under load gets less of it."""
LATELY: Final = 0.2
"""How much the newest transaction counts in how long they take."""
MOST: Final = 10.0
"""Delays that such a rest lasts at most."""


class Place(NamedTuple):
    """A topic and a partition."""

    topic: str
    partition: int


class Gathering(NamedTuple):
    """How long thin traffic waits for more: a moment later the same transaction carries it."""

    few: int = 0
    """Records of a partition below which they are thin."""
    delay: float = 0.0
    """Seconds that they wait, at most; from the last transaction on it may be longer (`REST`)."""


AT_ONCE: Final = Gathering()


class Commits(NamedTuple):
    """What a partition rests from: when its last transaction was committed, and how many seconds such ones take of late."""

    at: float
    take: float


class Feed:
    """What has been fetched and not yet handed on, and which partitions are at work."""

    def __init__(self, topics: Iterable[str], control: str | None, gathering: Gathering = AT_ONCE) -> None:
        self._topics, self._control, self._gathering = tuple(topics), control, gathering
        self._all = self._topics if control is None else (*self._topics, control)
        self._waiting: dict[Place, Batch] = {}
        self._owned: set[int] = set()
        self._busy: set[int] = set()
        self._caught_up: dict[Place, bool] = {}
        self._reached: dict[Place, int] = {}
        self._ends: dict[int, dict[Place, int]] = {}
        self._gathered: dict[int, float] = {}
        """When the thin batch of a partition has been gathered."""
        self._due: dict[int, float] = {}
        """When it is handed on, if nothing more comes: its partition has also rested then."""
        self._commits: dict[int, Commits] = {}
        self.asking: set[int] = set()
        """Partitions whose control record waits to know where their sources end."""
        self.epoch = 0
        """Counts assignments: what was handed out in an earlier one is not taken any more."""

    @property
    def idle(self) -> bool:
        """Whether no partition is at work."""
        return not self._busy

    @property
    def full(self) -> bool:
        """Whether every partition is at work."""
        return bool(self._owned) and self._owned <= self._busy

    def begin(self, partitions: Iterable[int]) -> None:
        """Partitions are owned and recovered."""
        self._owned = set(partitions)

    def end(self) -> None:
        """Nothing is owned any more: forget everything under way."""
        self.epoch += 1
        self._owned.clear()
        self._busy.clear()
        self._waiting.clear()
        self._caught_up.clear()
        self._reached.clear()
        self._ends.clear()
        self._gathered.clear()
        self._due.clear()
        self._commits.clear()
        self.asking.clear()

    def wanted(self, few: int) -> list[Place]:
        """Places to fetch from: owned, with less than *few* records waiting. What lies fetched and untaken would stop all fetching."""
        waiting = self._waiting
        return [
            place
            for number in self._owned
            for topic in self._all
            if (place := Place(topic, number)) not in waiting or len(waiting[place].records) < few
        ]

    def offer(self, number: int, batch: Batch) -> None:
        """Something was fetched, or (no records) a position was found to be caught up. What follows a waiting batch joins it.

        Raises GapError where records between the two are missing.
        """
        place = Place(batch.topic, number)
        self._caught_up[place] = batch.caught_up
        self._reached[place] = max(batch.end, self._reached.get(place, 0))
        if number in self._owned and batch.end > batch.begin:
            waiting = self._waiting.get(place)
            if waiting is not None:
                batch = joined(waiting, batch, number)
            self._waiting[place] = batch

    def pause(self, now: float) -> float | None:
        """Seconds until the first of the gathered batches has waited long enough; None where none is gathered."""
        return max(min(self._due.values()) - now, 0.0) if self._due else None

    def ready(self, now: float = 0.0) -> list[tuple[int, Batch]]:
        """The batches to hand on now, one for each free partition that has one; those partitions are at work then.

        Each partition gathers for itself: were they to wait for one another, all would step, and then all commit, at the same time.
        """
        found: list[tuple[int, Batch]] = []
        for number in sorted(self._owned - self._busy):
            batch = self._choose(number)
            if batch is None:
                self._waits_no_more(number)  # a source of it lags by now
            elif not self._gathers(number, batch, now):
                self._waits_no_more(number)
                del self._waiting[Place(batch.topic, number)]
                if batch.topic == self._control:
                    self._ends.pop(number, None)
                self._busy.add(number)
                found.append((number, batch))
        return found

    def _gathers(self, number: int, batch: Batch, now: float) -> bool:
        """Whether a batch waits for more: it is thin, nothing is behind it, and it has not waited long enough."""
        count, gathering = len(batch.records), self._gathering
        lags = not all(self._caught_up.get(place, False) for place in self.sources(number))
        if batch.topic == self._control or count >= gathering.few or lags:
            return False
        patience = min(max(count / WORTH, LEAST), 1.0)
        due = self._gathered.setdefault(number, now + gathering.delay * patience)
        if count < ENOUGH and (last := self._commits.get(number)) is not None:
            due = max(due, last.at + min(REST * last.take, MOST * gathering.delay))
        self._due[number] = due
        return now < due

    def _waits_no_more(self, number: int) -> None:
        self._gathered.pop(number, None)
        self._due.pop(number, None)

    def _choose(self, number: int) -> Batch | None:
        places = [Place(topic, number) for topic in self._topics]
        waiting = [batch for place in places if (batch := self._waiting.get(place)) is not None]
        blind = any(place not in self._waiting and not self._caught_up.get(place, False) for place in places)
        if waiting:
            # a source that is behind and shows nothing yet may hold an older head: wait for it
            return None if blind and len(places) > 1 else min(waiting, key=_head)
        control = self._waiting.get(Place(self._control, number)) if self._control is not None else None
        return control if control is not None and not blind and self._passed(number) else None

    def _passed(self, number: int) -> bool:
        """Whether every source was read past what stood in it after the control record had come; asks for it where not known."""
        ends = self._ends.get(number)
        if ends is None:
            self.asking.add(number)
            return False
        return all(self._reached.get(place, 0) >= end for place, end in ends.items())

    def answered(self, number: int, ends: Mapping[Place, int]) -> None:
        """The ends of a partition's sources, with what was not yet to be read, asked after its control record had come."""
        self.asking.discard(number)
        self._ends[number] = dict(ends)

    def sources(self, number: int) -> list[Place]:
        """The sources of a partition."""
        return [Place(topic, number) for topic in self._topics]

    def lagging(self, number: int) -> bool:
        """Whether some source of the partition is not caught up, or something waits."""
        places = [Place(topic, number) for topic in self._topics]
        return any(place in self._waiting or not self._caught_up.get(place, False) for place in places)

    def quiet(self) -> list[int]:
        """Free partitions with nothing waiting: their clocks may be looked at."""
        return [number for number in sorted(self._owned - self._busy) if not self.lagging(number)]

    def work(self, number: int) -> None:
        """A partition is at work with something of its own (timers)."""
        self._busy.add(number)

    def done(self, number: int, committed_at: float = 0.0, took: float = 0.0) -> None:
        """A partition is free again: when its last transaction was committed, and how many seconds that took (0: there was none yet)."""
        self._busy.discard(number)
        last = self._commits.get(number)
        if not took or (last is not None and committed_at == last.at):
            return  # it only looked at its clock
        before = last.take if last is not None else took
        self._commits[number] = Commits(committed_at, before + (took - before) * LATELY)


def joined(waiting: Batch, batch: Batch, number: int) -> Batch:
    """A waiting batch and what was fetched after it, as one; what came again is dropped. Raises GapError."""
    if batch.begin > waiting.end:
        raise GapError(
            f"{batch.topic}-{number}: a fetch begins at {batch.begin}, the one before ended at {waiting.end}"
        )
    if batch.end <= waiting.end:
        return waiting
    after = batch.records if batch.begin == waiting.end else [r for r in batch.records if r.offset >= waiting.end]
    head = waiting.head if waiting.records else batch.head
    return Batch(batch.topic, waiting.begin, batch.end, [*waiting.records, *after], batch.caught_up, head)


def _head(batch: Batch) -> tuple[int, str]:
    """When a batch begins, by the time of its first event; one of markers alone goes first."""
    return (batch.head if batch.records else -1, batch.topic)
