"""A Kafka of one process's memory: logs, transactions, epochs, stable offsets, compaction.

It keeps Kafka's rules where the engine leans on them: markers take offsets, a new producer aborts its predecessor's
transaction and fences it, a reader of committed data sees up to the last stable offset. It decides nothing about Rumbo.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import defaultdict
from itertools import islice
from typing import Any, NamedTuple

from aiokafka import errors as kafka

EPOCH_MS = 1_767_225_600_000
LOG_APPEND_TIME = 1


class Row(NamedTuple):
    """A record as a consumer sees it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_type: int = LOG_APPEND_TIME


class Log:
    """One partition of one topic."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, Row | None, int]] = []  # offset, record (None: a marker), transaction (0: none)
        self.begin = self.end = 0
        self.open: dict[int, int] = {}  # transaction -> its first offset
        self.aborted: set[int] = set()

    @property
    def stable(self) -> int:
        """The last stable offset."""
        return min(self.open.values(), default=self.end)

    def append(self, row: Row | None, transaction: int) -> int:
        """Write; the offset."""
        at, self.end = self.end, self.end + 1
        self.rows.append((at, row._replace(offset=at) if row is not None else None, transaction))
        return at

    def read(self, start: int, limit: int, *, committed: bool) -> tuple[list[Row], int]:
        """Records from an offset on, and the position after them."""
        end, found, position = (self.stable if committed else self.end), [], start
        for at, row, transaction in islice(self.rows, bisect_left(self.rows, (start,)), None):
            if at >= end:
                break
            if len(found) == limit:
                return found, position
            position = at + 1
            if row is not None and not (committed and transaction in self.aborted):
                found.append(row)
        return found, max(position, end) if len(found) < limit else position

    def fetch(self, start: int, limit: int, *, committed: bool) -> tuple[list[Row], int]:
        """As a consumer reads: what retention took away is out of range, and nobody resets. Raises OffsetOutOfRangeError."""
        if not self.begin <= start <= self.end:
            raise kafka.OffsetOutOfRangeError({start})
        return self.read(start, limit, committed=committed)

    def last(self, key: bytes, prepared: set[int]) -> bytes | None:
        """The value that is committed last for one key; the markers of a *prepared* transaction are still to come."""
        return next(
            (
                row.value
                for _, row, transaction in reversed(self.rows)
                if row is not None
                and row.key == key
                and transaction not in self.aborted
                and (transaction not in self.open or transaction in prepared)
            ),
            None,
        )

    def at(self, offset: int) -> Row | None:
        """The record at an offset, where it is still there."""
        return next((row for at, row, _ in self.rows if at == offset and at >= self.begin), None)

    def compact(self) -> None:
        """Keep the last committed record of each key among what is stable; offsets stay."""
        last = {
            row.key: at
            for at, row, transaction in self.rows
            if row is not None and at < self.stable and transaction not in self.aborted
        }
        self.rows = [
            each for each in self.rows if each[0] >= self.stable or each[1] is None or each[0] == last.get(each[1].key)
        ]


class Cluster:
    """Every log, and who may write in which transaction."""

    def __init__(self, now: Any) -> None:
        self.now = now
        self.logs: dict[tuple[str, int], Log] = defaultdict(Log)
        self.producers: dict[str, int] = {}  # transactional id -> epoch
        self.ongoing: dict[str, tuple[int, set[tuple[str, int]]]] = {}
        self.prepared: set[int] = set()  # transactions whose commit is answered, and whose markers are still to come
        self._marked: dict[int, asyncio.Future[None]] = {}
        self._transactions = 0

    def init(self, name: str) -> int:
        """A new epoch; the predecessor's open transaction is aborted."""
        self._finish(name)
        self.producers[name] = self.producers.get(name, 0) + 1
        return self.producers[name]

    def produce(self, name: str, epoch: int, place: tuple[str, int], rows: list[Row]) -> int:
        """Write in the open transaction, which begins with the first produce; the first offset. Raises ProducerFenced."""
        if self.producers.get(name) != epoch:
            raise kafka.ProducerFenced
        if name not in self.ongoing:
            self._transactions += 1
            self.ongoing[name] = self._transactions, set()
        transaction, places = self.ongoing[name]
        log = self.logs[place]
        places.add(place)
        log.open.setdefault(transaction, log.end)
        offsets = [log.append(row, transaction) for row in rows]
        return offsets[0]

    def end(self, name: str, epoch: int, *, commit: bool = True) -> int:
        """EndTxn; an error code. Without an open transaction it answers as Kafka does a repeat: all is well."""
        if self.producers.get(name) != epoch:
            return int(kafka.InvalidProducerEpoch.errno)
        self._finish(name, commit=commit)
        return 0

    def prepare(self, name: str, delay: float) -> None:
        """A commit that is answered now; its markers come a while later, and no end of it can be another."""
        transaction, _ = self.ongoing[name]
        self.prepared.add(transaction)

        def markers() -> None:
            if name in self.ongoing and self.ongoing[name][0] == transaction:
                self._finish(name)

        asyncio.get_running_loop().call_later(delay, markers)

    def is_prepared(self, name: str) -> bool:
        """Whether a commit was answered and its markers are still to come: until then Kafka lets no other transaction begin."""
        return name in self.ongoing and self.ongoing[name][0] in self.prepared

    async def markers(self, name: str) -> None:
        """Wait for those that are still to come."""
        while self.is_prepared(name):
            transaction, _ = self.ongoing[name]
            marked = self._marked.setdefault(transaction, asyncio.get_running_loop().create_future())
            await asyncio.shield(marked)

    def _finish(self, name: str, *, commit: bool = False) -> None:
        transaction, places = self.ongoing.pop(name, (0, set()))
        if (marked := self._marked.pop(transaction, None)) is not None:
            marked.set_result(None)
        commit = commit or transaction in self.prepared
        for place in places:
            log = self.logs[place]
            del log.open[transaction]
            if not commit:
                log.aborted.add(transaction)
            log.append(None, transaction)

    def row(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Any = ()) -> Row:
        """A record, written now."""
        return Row(topic, partition, -1, EPOCH_MS + int(self.now() * 1000), key, value, tuple(headers))
