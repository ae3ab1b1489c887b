"""State from the changelog: read committed, until the reader's *position* reaches the last stable offset.

Control records occupy offsets, so the last data record is not the end; the stable offset is read after the producer has
fenced its predecessor, or the predecessor's last batch could be missed. It writes nothing but the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import aiokafka
import structlog
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from rumbo.engine.damage import damaged
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.goodbye import leave
from rumbo.engine.store import Store
from rumbo.errors import BrokerError, InternalError

_POLL_MS: Final = 10
_FOLLOW_MS: Final = 200
_RECORDS: Final = 10_000
STALL_SECONDS: Final = 60.0
SAY_SECONDS: Final = 5.0

Progress = Callable[[int, int], None]
"""Told of (partition, records that may be left)."""


log = structlog.get_logger("rumbo.engine")


class RecoveryError(InternalError):
    """The changelog cannot give the state back; the message says why and the cure."""


class ChangelogReader:
    """Reads the changelog partitions of one worker."""

    def __init__(self, connection: Mapping[str, Any], topic: str, failpoints: Failpoints) -> None:
        self._topic, self._failpoints = topic, failpoints
        self._consumer = aiokafka.AIOKafkaConsumer(
            **connection,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=8 * 1024 * 1024,
            fetch_max_bytes=32 * 1024 * 1024,
            fetch_max_wait_ms=50,
        )

    async def start(self) -> None:
        """Connect. Its tasks run once: one that is cancelled before that hands its cancellation on to whoever stops it."""
        await self._consumer.start()
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Disconnect."""
        await leave(self._consumer.stop())

    async def recover(self, stores: Mapping[int, Store], progress: Progress) -> dict[int, int]:
        """Bring every store up to its partition's last stable offset; how many records each took."""
        places = {number: TopicPartition(self._topic, number) for number in stores}
        if not places:
            return {}
        self._consumer.assign(list(places.values()))
        try:
            begins = await self._consumer.beginning_offsets(list(places.values()))
            ends = await self._consumer.end_offsets(list(places.values()))  # read committed: the last stable offset
        except kafka.KafkaError as error:
            raise BrokerError(f"changelog {self._topic}: {error!r}") from error
        for number, place in places.items():
            self._seek(place, stores[number], begins[place], ends[place])
        for number, place in places.items():
            progress(number, max(ends[place] - stores[number].changelog_next, 0))
        waiting = {number for number, place in places.items() if stores[number].changelog_next < ends[place]}
        return await self._read(stores, {number: places[number] for number in waiting}, ends, progress)

    async def follow(self, stores: Mapping[int, Store]) -> None:
        """Keep stores that nobody owns here as their changelogs go, until cancelled. Raises as `recover` does."""
        places = {number: TopicPartition(self._topic, number) for number in stores}
        self._consumer.assign(list(places.values()))
        begins = await self._consumer.beginning_offsets(list(places.values()))
        ends = await self._consumer.end_offsets(list(places.values()))
        for number, place in places.items():
            self._seek(place, stores[number], begins[place], ends[place])
        while True:
            found = await self._records([], _FOLLOW_MS)
            for number, place in places.items():
                records, position = found.get(place, ()), await self._consumer.position(place)
                if position > stores[number].changelog_next:
                    stores[number].apply([(record.key, record.value) for record in records], position)

    async def _records(self, places: Iterable[TopicPartition], wait_ms: int) -> Mapping[TopicPartition, Any]:
        """The next records of these places (none: of all). Raises DamagedError."""
        try:
            found: Mapping[TopicPartition, Any] = await self._consumer.getmany(
                *places, timeout_ms=wait_ms, max_records=_RECORDS
            )
        except kafka.CorruptRecordException as error:
            raise damaged(error, self._consumer._fetcher) from error  # noqa: SLF001  pinned
        return found

    def _seek(self, place: TopicPartition, store: Store, begin: int, end: int) -> None:
        if store.reaches > end:
            raise StoreAheadError(place.partition)
        if begin > store.changelog_next:
            raise RecoveryError(
                f"changelog {self._topic}, partition {place.partition}, begins at {begin}, after {store.changelog_next}: its head was "
                "cut off. State is missing: restore the topic (cleanup.policy=compact, no retention), or begin anew under a new name"
            )
        self._consumer.seek(place, store.changelog_next)

    async def _read(
        self,
        stores: Mapping[int, Store],
        places: dict[int, TopicPartition],
        ends: Mapping[TopicPartition, int],
        progress: Progress,
    ) -> dict[int, int]:
        taken = dict.fromkeys(stores, 0)
        watch = _Watch(self._topic, asyncio.get_running_loop().time())
        while places:
            found = await self._records(places.values(), _POLL_MS)
            for number, place in list(places.items()):
                records = found.get(place, ())
                position = await self._consumer.position(place)
                if records or position > stores[number].changelog_next:
                    stores[number].apply([(record.key, record.value) for record in records], position)
                    taken[number] += len(records)
                    self._failpoints.reached("in_recovery")
                progress(number, max(ends[place] - position, 0))
                if position >= ends[place]:
                    del places[number]
            left = {number: ends[place] - stores[number].changelog_next for number, place in places.items()}
            watch.look(asyncio.get_running_loop().time(), sum(taken.values()), left)
        return taken


class _Watch:
    """Says now and then how far a recovery is, and notices one that does not move."""

    def __init__(self, topic: str, now: float) -> None:
        self._topic, self._began, self._said_at, self._moved_at = topic, now, now, now
        self._seen: Mapping[int, int] = {}

    def look(self, now: float, taken: int, left: Mapping[int, int]) -> None:
        """Raise RecoveryError where nothing has moved for a minute."""
        if left != self._seen:
            self._moved_at, self._seen = now, left
        elif left and now - self._moved_at > STALL_SECONDS:
            raise RecoveryError(
                f"changelog {self._topic}: no progress for {STALL_SECONDS:.0f} s; left by partition: {dict(left)}. "
                "Is every broker up and in sync? What was read is kept: start again"
            )
        if left and now - self._said_at > SAY_SECONDS:
            self._said_at = now
            rate = round(taken / (now - self._began))
            log.info("recovering", topic=self._topic, records=taken, left=sum(left.values()), per_second=rate)


class StoreAheadError(InternalError):
    """A store is ahead of its changelog: it must be put aside and rebuilt."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        super().__init__(f"the state of partition {partition} is ahead of its changelog")
