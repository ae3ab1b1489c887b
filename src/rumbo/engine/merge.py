"""Which source a partition reads next: the one whose head is oldest by event time. It holds what was fetched; it fetches nothing.

Bounded by what it is offered: at most one fetch a source, because a source is only fetched when it has nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from rumbo.core.instant import Instant
from rumbo.core.interaction import Interaction
from rumbo.intake import Reader, Reject, Skip

Reading = Interaction | Reject | Skip
AT_LEAST: Final = 32
"""Records taken from a source before another may follow: every change of source is a line in the progress record."""


class Stretch(NamedTuple):
    """Consecutive records of one source, read. `begin` and `end` are consumer positions: they may span more offsets than records."""

    topic: str
    begin: int
    end: int
    records: Sequence[Any]
    readings: Sequence[Reading]


class Merge:
    """The fetched and not yet taken records of the sources of one partition."""

    def __init__(self, readers: Mapping[str, Reader]) -> None:
        self._queues = {topic: _Queue(read) for topic, read in readers.items()}

    def offer(self, topic: str, records: Sequence[Any], end: int) -> None:
        """Records of *topic* up to consumer position *end*. The source must have nothing here."""
        self._queues[topic].fill(records, end)

    def begin(self, topic: str, position: int) -> None:
        """The next record of *topic* is at consumer position *position* or later; anything held is dropped."""
        self._queues[topic].reset(position)

    def empty(self) -> list[str]:
        """The sources that have nothing here."""
        return [topic for topic, queue in self._queues.items() if not queue.left]

    def reached(self, topic: str) -> int:
        """The consumer position up to which *topic* was fetched."""
        return self._queues[topic].end

    def waiting(self) -> int:
        """How many records are held."""
        return sum(queue.left for queue in self._queues.values())

    def take(self, limit: int) -> list[Stretch]:
        """Up to *limit* records, oldest head first, in stretches of one source each. Sources with nothing here are passed over."""
        filled = {topic: queue for topic, queue in self._queues.items() if queue.left}
        taken: list[Stretch] = []
        while filled and limit > 0:
            topic, queue = min(filled.items(), key=_head) if len(filled) > 1 else next(iter(filled.items()))
            others = [other.head() for name, other in filled.items() if name != topic]
            stretch = queue.take(topic, limit, min(others, default=None))
            taken.append(stretch)
            limit -= len(stretch.records)
            if not queue.left:
                break  # its next head is not known yet: going on with the others could overtake it
        return taken

    def skipped(self) -> list[Stretch]:
        """For sources whose position moved over no record at all (markers, aborted, compacted): stretches without records."""
        return [queue.pass_over(topic) for topic, queue in self._queues.items() if not queue.left and queue.end > queue.begin]


class _Queue:
    """One source: records, their readings as far as read, and how far both were taken."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._records: Sequence[Any] = ()
        self._next = 0
        self._ahead: Reading | None = None
        self.begin = self.end = 0

    @property
    def left(self) -> int:
        return len(self._records) - self._next

    def reset(self, position: int) -> None:
        self._records, self._next, self._ahead = (), 0, None
        self.begin = self.end = position

    def fill(self, records: Sequence[Any], end: int) -> None:
        self._records, self._next, self._ahead, self.end = records, 0, None, end

    def head(self) -> Instant:
        """The event time of the next record; one without (a reject) goes first."""
        if self._ahead is None:
            self._ahead = self._read(self._records[self._next])
        return self._ahead.at if type(self._ahead) is Interaction else 0

    def take(self, topic: str, limit: int, until: Instant | None) -> Stretch:
        """Records up to *limit*; past `AT_LEAST` of them, none later than *until*."""
        begin, first = self.begin, self._next
        last = min(first + limit, len(self._records))
        read, records = self._read, self._records
        if until is None:
            readings = [read(record) for record in records[first:last]]
        else:
            readings = []
            for record in records[first:last]:
                reading = read(record)
                if len(readings) >= AT_LEAST and type(reading) is Interaction and reading.at > until:
                    last = first + len(readings)
                    break
                readings.append(reading)
        self._next, self._ahead = last, None
        self.begin = self.end if last == len(records) else records[last - 1].offset + 1
        return Stretch(topic, begin, self.begin, records[first:last], readings)

    def pass_over(self, topic: str) -> Stretch:
        begin, self.begin = self.begin, self.end
        return Stretch(topic, begin, self.end, (), ())


def _head(item: tuple[str, _Queue]) -> Instant:
    return item[1].head()
