"""Which batch a partition gets next: at most one under way, the oldest head first while behind, control records last.

Pure bookkeeping between the fetching thread and the partitions; it reads no topic and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from rumbo.engine.partition import Batch


class Place(NamedTuple):
    """A topic and a partition."""

    topic: str
    partition: int


class Feed:
    """What has been fetched and not yet handed on, and which partitions are at work."""

    def __init__(self, topics: Iterable[str], control: str) -> None:
        self._topics, self._control = tuple(topics), control
        self._waiting: dict[Place, Batch] = {}
        self._owned: set[int] = set()
        self._busy: set[int] = set()
        self._caught_up: dict[Place, bool] = {}
        self.epoch = 0
        """Counts assignments: what was handed out in an earlier one is not taken any more."""

    @property
    def idle(self) -> bool:
        """Whether no partition is at work."""
        return not self._busy

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

    def wanted(self) -> list[Place]:
        """Places to fetch from: owned, with nothing waiting."""
        return [
            place
            for number in self._owned
            for topic in (*self._topics, self._control)
            if (place := Place(topic, number)) not in self._waiting
        ]

    def offer(self, number: int, batch: Batch) -> None:
        """Something was fetched, or (no records) a position was found to be caught up."""
        place = Place(batch.topic, number)
        self._caught_up[place] = batch.caught_up
        if number in self._owned and batch.end > batch.begin:
            self._waiting[place] = batch

    def ready(self) -> list[tuple[int, Batch]]:
        """The batches to hand on now, one for each free partition that has one; those partitions are at work then."""
        found: list[tuple[int, Batch]] = []
        for number in sorted(self._owned - self._busy):
            batch = self._choose(number)
            if batch is not None:
                del self._waiting[Place(batch.topic, number)]
                self._busy.add(number)
                found.append((number, batch))
        return found

    def _choose(self, number: int) -> Batch | None:
        places = [Place(topic, number) for topic in self._topics]
        waiting = [batch for place in places if (batch := self._waiting.get(place)) is not None]
        blind = any(place not in self._waiting and not self._caught_up.get(place, False) for place in places)
        if waiting:
            # a source that is behind and shows nothing yet may hold an older head: wait for it
            return None if blind and len(places) > 1 else min(waiting, key=_head)
        control = self._waiting.get(Place(self._control, number))
        return None if blind else control

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

    def done(self, number: int) -> None:
        """A partition is free again."""
        self._busy.discard(number)


def _head(batch: Batch) -> tuple[int, str]:
    """When a batch begins, by its first record's timestamp."""
    first: Any = batch.records[0] if batch.records else None
    return (first.timestamp if first is not None else -1, batch.topic)
