"""What one partition of one stage reads: its sources, how far they were read, which lag behind, and the next batch.

It decides when a batch is complete; it never talks to a broker (`Source` does) and never looks at what customers did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple, Protocol

import msgspec

from rumbo.core.instant import Instant, from_datetime
from rumbo.engine.merge import Merge, Stretch
from rumbo.errors import InternalError
from rumbo.intake import Reader

IDLE: Final = 0.25
"""Seconds that a fetch waits where there is nothing: how soon an idle partition learns that it is caught up."""
HEAD: Final = 0.05
"""Seconds that a partition waits at a time for the head of a source that lags."""
FIRST_LIMIT: Final = 500


class Fetched(NamedTuple):
    """What a fetch brought of one topic. `begin`, `end`: consumer positions; `stable`: the last stable offset, None if not known yet."""

    records: Sequence[Any]
    begin: int
    end: int
    stable: int | None


class Source(Protocol):
    """Where a feed reads from."""

    async def fetch(self, topics: Iterable[str], partition: int, timeout: float) -> Mapping[str, Fetched]: ...  # noqa: ASYNC109

    async def stable(self, topics: Iterable[str], partition: int) -> Mapping[str, int]: ...


class Batch(NamedTuple):
    """The work of one transaction. `behind`: the sources with more to be read after it; `clock`: what a clock record said."""

    stage: str
    partition: int
    stretches: list[Stretch]
    behind: frozenset[str]
    clock: Instant | None = None

    @property
    def size(self) -> int:
        """How many records."""
        return sum(len(stretch.records) for stretch in self.stretches)


class _Control(msgspec.Struct):
    """A control record. Types of a later version are passed over."""

    type: str
    at: Any = None


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Feed:
    """The reading side of one partition. `free` is set while its worker can take a batch; `limit` is what it can do in its time."""

    def __init__(self, stage: str, partition: int, readers: Mapping[str, Reader], control: str | None = None) -> None:
        self.stage, self.partition, self.control = stage, partition, control
        self.sources = tuple(readers)
        self.free = asyncio.Event()
        self.limit = FIRST_LIMIT
        self.lag: dict[str, int] = {}
        """Records up to the last stable offset, for each source: for metrics and the watchdog."""
        self._merge = Merge(readers)
        self._stable: dict[str, int | None] = dict.fromkeys(self.sources)
        self._orders: list[Any] = []
        self._control_begin = self._control_end = 0

    @property
    def topics(self) -> tuple[str, ...]:
        """Everything that is read, control topic last."""
        return (*self.sources, self.control) if self.control else self.sources

    def begin(self, positions: Mapping[str, int]) -> None:
        """Start from these consumer positions."""
        for topic in self.sources:
            self._merge.begin(topic, positions[topic])
        if self.control:
            self._control_begin = self._control_end = positions[self.control]

    @property
    def behind(self) -> frozenset[str]:
        """The sources with more to be read."""
        empty = set(self._merge.empty())
        return frozenset(topic for topic in self.sources if topic not in empty or self._lags(topic))

    def _lags(self, topic: str) -> bool:
        stable = self._stable[topic]
        return stable is None or self._merge.reached(topic) < stable

    async def next(self, source: Source, max_delay: float) -> Batch:
        """The next batch; waits until there is one."""
        while True:
            if not self._merge.waiting():
                wanted = self.topics if not self._orders else self.sources
                await self._fill(source, wanted, IDLE)
            elif empty := self._merge.empty():
                await self._fill(source, empty, HEAD if any(map(self._lags, empty)) else 0)
                if any(map(self._lags, self._merge.empty())):
                    continue  # an older head may be on its way
            if self._merge.waiting():
                return await self._gather(source, max_delay)
            if self._orders and await self._overtaken(source):
                return self._order()

    async def _gather(self, source: Source, max_delay: float) -> Batch:
        """While traffic is thin, give it a moment: a fuller batch costs less."""
        if max_delay and self._merge.waiting() < self.limit // 4 and not any(map(self._lags, self.sources)):
            await asyncio.sleep(max_delay)
            if empty := self._merge.empty():
                await self._fill(source, empty, 0)
        stretches = self._merge.take(self.limit)
        return Batch(self.stage, self.partition, stretches, self.behind)

    async def _fill(self, source: Source, topics: Iterable[str], timeout: float) -> None:  # noqa: ASYNC109
        for topic, got in (await source.fetch(topics, self.partition, timeout)).items():
            expected = self._control_end if topic == self.control else self._merge.reached(topic)
            if got.begin != expected:
                raise InternalError(f"{topic}[{self.partition}] was read from {got.begin} where {expected} was next: stopped before a gap")
            if topic == self.control:
                self._orders, self._control_end = list(got.records), got.end
                continue
            self._stable[topic] = got.stable
            self.lag[topic] = max(0, (got.stable or 0) - got.end)
            if got.records or got.end > got.begin:
                self._merge.offer(topic, got.records, got.end)

    async def _overtaken(self, source: Source) -> bool:
        """Whether every source was read past what stood in it when the control record had arrived."""
        ends = await source.stable(self.sources, self.partition)
        self._stable.update(ends)
        return all(self._merge.reached(topic) >= end for topic, end in ends.items())

    def _order(self) -> Batch:
        """A control record as a batch of its own."""
        assert self.control is not None  # noqa: S101  it was fetched
        record = self._orders.pop(0)
        begin, end = self._control_begin, record.offset + 1 if self._orders else self._control_end
        self._control_begin = end
        stretches = [*self._merge.skipped(), Stretch(self.control, begin, end, (), ())]
        return Batch(self.stage, self.partition, stretches, self.behind, clock_of(record.value))

    def passed(self) -> list[Stretch]:
        """Positions that moved without a record since the last batch: written now and then, so that retention cannot overtake them."""
        return self._merge.skipped()


def clock_of(value: bytes | None) -> Instant | None:
    """The instant that a control record sets the clock to; None for any other record."""
    try:
        said = msgspec.json.decode(value or b"", type=_Control)
        if said.type != "clock":
            return None
        moment = msgspec.convert(said.at, type=_Moment)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return None
    return from_datetime(moment)
