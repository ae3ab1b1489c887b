"""Faust's Kafka transport, with the micro-batch of one partition as the unit that travels.

Over Faust's own: records of one partition are handed on as one event; sources are read committed; positions come from our
stores, never from the group; offsets are committed as a courtesy to lag tools. It never looks into a record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

import faust
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode import Service

from rumbo.engine import fetched  # noqa: F401  installed by its import
from rumbo.engine.damage import damaged
from rumbo.engine.feed import Place
from rumbo.engine.partition import Batch
from rumbo.errors import InternalError

if TYPE_CHECKING:
    from rumbo.engine.carrier import Carrier

BUSY_SECONDS: Final = 0.005
"""How long a fetch may wait while some partition is at work and may soon be free."""
GATHER_SECONDS: Final = 0.01
"""How long what is gathered is left alone between two fetches: what lies fetched and untaken stops all fetching from its broker."""
IDLE_SECONDS: Final = 0.05
FETCH_WAIT_MS: Final = 100
Taken = list[tuple[Place, int, int, list[Any], int | None]]
"""Place, position before, position after, records, last stable offset."""


class BatchMessage(ConsumerMessage):
    """The records of one partition, as one Faust message."""

    __slots__ = ("batch", "epoch", "number")

    def __init__(self, number: int, batch: Batch, epoch: int, generation: int) -> None:
        super().__init__(
            topic=batch.topic, partition=number, offset=batch.end - 1, timestamp=0.0, timestamp_type=0, headers=None,
            key=None, value=batch, checksum=None, tp=TP(batch.topic, number), generation_id=generation,
        )  # fmt: skip
        self.batch, self.number, self.epoch = batch, number, epoch

    def on_final_ack(self, consumer: Any) -> bool:
        """The range is acknowledged by the position, inside the transaction."""
        acknowledged: bool = consumer.ack(self)
        return acknowledged


class BatchSchema(faust.Schema):
    """Hands the batch on as it is."""

    def compile(self, app: Any, **_: Any) -> Any:
        """A decoder that decodes nothing."""

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            _ = propagate
            return app.create_event(None, message.value, headers=message.headers, message=message)

        return decode


class BatchThread(driver.AIOKafkaConsumerThread):
    """The fetching thread: read committed, explicit positions, records by the partition."""

    sought: Mapping[Any, int] = MappingProxyType({})
    """Where the present assignment began to read."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        made = super()._create_worker_consumer(transport)
        made._isolation_level = "read_committed"  # noqa: SLF001  Faust's driver sets it only in its own mode; read when started
        made._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001  fixed at 1.5 s in the driver
        made._fetch_max_bytes = 16 * 1024 * 1024  # noqa: SLF001  a bound on what is read ahead
        return made

    async def take(self, places: Iterable[Place], limit: int, timeout: float) -> Taken:
        """Fetched records with the consumer positions around them, and the stable offsets known."""
        taken: Taken = await self.call_thread(self._take, list(places), limit, timeout)
        return taken

    async def _take(self, places: list[Place], limit: int, timeout: float) -> Taken:
        consumer = self._ensure_consumer()
        if not self.consumer.flow_active or consumer._closed:  # noqa: SLF001  pinned
            return []
        subscription = consumer._subscription.subscription  # noqa: SLF001  pinned
        assignment = subscription.assignment if subscription is not None else None
        if assignment is None:
            return []
        owned = {TopicPartition(*place): place for place in places if TopicPartition(*place) in assignment.tps}
        states = {tp: assignment.state_value(tp) for tp in owned}
        ready = {tp: state for tp, state in states.items() if state.has_valid_position}
        if not ready:
            await asyncio.sleep(timeout)
            return []
        before = {tp: state.position for tp, state in ready.items()}
        try:
            found = await self._records(consumer, ready, limit, timeout)
        except KafkaError as error:
            if assignment.active and self.consumer.flow_active:
                if isinstance(error, CorruptRecordException):
                    raise damaged(error, consumer._fetcher) from error  # noqa: SLF001  pinned
                raise
            return []  # of the next assignment, which nobody has told its positions yet ("no offset")
        if not assignment.active:
            return []
        return [
            (owned[tp], before[tp], state.position, found.get(tp, []), state.lso)
            for tp, state in ready.items()
            if state.has_valid_position
        ]

    async def _records(
        self, consumer: Any, ready: Mapping[Any, Any], limit: int, timeout: float
    ) -> Mapping[Any, list[Any]]:
        """Up to `limit` records of each partition; waits for the first up to `timeout`."""
        fetcher = consumer._fetcher  # noqa: SLF001  pinned
        found: dict[Any, list[Any]] = {}
        with fetcher._subscriptions.fetch_context():  # noqa: SLF001  pinned
            for tp in ready:
                got = await fetcher.fetched_records([tp], timeout=0, max_records=limit)
                found.update(got)
            if not found and timeout:
                found.update(await fetcher.fetched_records(list(ready), timeout=timeout, max_records=limit))
        return found

    async def seek_all(self, positions: Mapping[Place, int]) -> None:
        """Go to these positions."""
        await self.call_thread(self._seek_all, positions)

    async def _seek_all(self, positions: Mapping[Place, int]) -> None:
        self.sought = {TopicPartition(*place): offset for place, offset in positions.items()}
        self._seek(self._ensure_consumer(), self.sought)

    def _seek(self, consumer: Any, positions: Mapping[Any, int]) -> None:
        assigned = consumer.assignment()
        for tp, offset in positions.items():
            if tp in assigned:
                consumer.seek(tp, offset)

    async def read_again(self, places: Iterable[Place]) -> None:
        """Go back to where the present assignment began, in these places."""
        await self.call_thread(self._read_again, list(places))

    async def _read_again(self, places: list[Place]) -> None:
        wanted = {TopicPartition(*place) for place in places}
        self._seek(self._ensure_consumer(), {tp: at for tp, at in self.sought.items() if tp in wanted})

    async def commit_offsets(self, positions: Mapping[Place, int]) -> None:
        """Tell the group, for lag tools; nothing is read from there."""
        await self.call_thread(self._commit_offsets, positions)

    async def _commit_offsets(self, positions: Mapping[Place, int]) -> None:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        offsets = {TopicPartition(*place): at for place, at in positions.items() if TopicPartition(*place) in assigned}
        if offsets:
            await consumer.commit(offsets)


class BatchConsumer(driver.Consumer):
    """Faust's consumer, feeding batches to a carrier."""

    carriers: ClassVar[tuple[Carrier, ...]]
    _thread: BatchThread

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Every stage for itself."""
        async with asyncio.TaskGroup() as group:
            for carrier in self.carriers:
                group.create_task(self._drain_or_fail(fetcher, carrier))

    async def _drain_or_fail(self, fetcher: Any, carrier: Carrier) -> None:
        """What cannot be fetched stops the process with its reason: Faust would only stop its own services."""
        try:
            await self._drain(fetcher, carrier)
        except KafkaError as error:
            carrier.fail(InternalError(f"{carrier.stage.name}: nothing more can be read: {error!r}"))
        except Exception as error:  # noqa: BLE001  whatever it is, the process must not sit there and read nothing
            carrier.fail(error)

    async def _drain(self, fetcher: Any, carrier: Carrier) -> None:
        """Fetch, choose, hand on; between batches let quiet partitions look at their clocks."""
        feed = carrier.feed
        stopped = (self._stopped.is_set, fetcher._stopped.is_set)  # noqa: SLF001  pinned
        while not any(each() for each in stopped):
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
                continue
            epoch = feed.epoch
            if not await self._more(carrier, epoch):
                continue
            if epoch == feed.epoch and self.flow_active:
                await self._hand_on(carrier, epoch)
            if feed.asking and epoch == feed.epoch:
                await carrier.ask_ends()

    async def _more(self, carrier: Carrier, epoch: int) -> bool:
        """Fetch, or wait a moment for a partition to be free or for what is gathered; False where the assignment ended meanwhile."""
        feed, timeout = carrier.feed, 0.0
        if feed.full:
            await carrier.free(BUSY_SECONDS)
        elif pause := feed.pause(monotonic()):
            await asyncio.sleep(min(pause, GATHER_SECONDS))
        elif pause is None:
            timeout = IDLE_SECONDS if feed.idle else BUSY_SECONDS
        wanted = feed.wanted(carrier.limit // 4)
        if not wanted and not feed.idle:
            await asyncio.sleep(timeout)  # there is enough for all: the fetching thread has nothing to do
            return True
        return await self._fetch(carrier, wanted, timeout, epoch)

    async def _fetch(self, carrier: Carrier, places: list[Place], timeout: float, epoch: int) -> bool:
        """Fetch and offer; False where the assignment ended meanwhile: what was taken of the next one by then is read again."""
        taken = await self._thread.take(places, carrier.limit, timeout)
        if epoch != carrier.feed.epoch or not self.flow_active:
            await self._thread.read_again(places)
            return False
        for place, begin, end, records, stable in taken:
            carrier.offered(
                place, Batch(place.topic, begin, end, records, stable is not None and end >= stable), stable
            )
        return True

    async def _hand_on(self, carrier: Carrier, epoch: int) -> None:
        feed = carrier.feed
        for number, batch in feed.ready(monotonic()):
            await self.callback(BatchMessage(number, batch, epoch, self.app.consumer_generation_id))
        for number in feed.quiet():
            carrier.look_at_clock(number)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go to the positions of our stores: the group's offsets are a courtesy, not the truth."""
        positions = {place: at for carrier in self.carriers for place, at in carrier.positions().items()}
        await self._thread.seek_all(positions)
        return {TP(*place): offset for place, offset in positions.items()}

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Quiesce first: finish or abort every open transaction, close every store."""
        self.stop_flow()
        await asyncio.gather(*(carrier.revoke() for carrier in self.carriers))
        await super().on_partitions_revoked(revoked)

    def ack(self, message: Any) -> bool:
        """Nothing is counted by offset: the position is in the transaction."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def wait_empty(self) -> None:
        """Everything under way was finished or aborted by `revoke`."""
        self._unacked_messages.clear()

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002  Faust's signature
        """Tell the group where we are."""
        _ = topics, start_new_transaction
        positions = {place: at for carrier in self.carriers for place, at in carrier.courtesy().items()}
        if positions and self.flow_active:
            try:
                await self._thread.commit_offsets(positions)
            except Exception as error:  # noqa: BLE001  a courtesy that fails costs a lag tool its figure, nothing else
                self.carriers[0].log.debug("offsets not told to the group", reason=repr(error))
        return True

    async def verify_all_partitions_active(self) -> None:
        """Faust's guess at stalls is often wrong; ours is the carrier's watchdog."""

    async def on_stop(self) -> None:
        """Leave in order."""
        await asyncio.gather(*(carrier.revoke() for carrier in self.carriers))
        await Service.on_stop(self)
        if self._thread is not None:
            await self._thread.stop()


class BatchTransport(driver.Transport):
    """The transport that hands batches on."""

    Consumer: ClassVar[Any] = BatchConsumer
