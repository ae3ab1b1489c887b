"""Faust's Kafka transport with batches in place of records: one Faust event carries the records of one partition of one stage.

It replaces Faust's delivery loop, its idea of a position (ours is in the changelog) and its offset bookkeeping. Group
offsets are still committed, now and then, for tools that show lag; nothing here reads them back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from rumbo.engine.feed import Batch, Feed, Fetched
from rumbo.errors import InternalError

if TYPE_CHECKING:
    from rumbo.engine.frame import Frame

log: Final = logging.getLogger(__name__)
FETCH_WAIT_MS: Final = 200
"""How long a broker may hold a fetch: a partition emptied meanwhile waits for it (one fetch a node at a time)."""


class BatchMessage(ConsumerMessage):  # type: ignore[misc]  # Faust is untyped
    """One batch on its way through Faust: `value` is a `Batch`, the offset its last one."""

    def __init__(self, batch: Batch, generation: int) -> None:
        last = batch.stretches[-1]
        tp = TP(last.topic, batch.partition)
        super().__init__(
            last.topic, batch.partition, last.end - 1, 0.0, 0, None, None, batch, None, 0, 0, tp, generation_id=generation
        )


class BatchThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped
    """The thread that talks to the group and fetches; everything below runs in it, except where it says otherwise."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf, app = self.app.conf, self.app
        self._assignor = app.assignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            **app.settings.client(),
        )

    async def in_thread(self, coroutine: Any) -> Any:
        """Run a coroutine here; called from the main loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.thread_loop))

    async def take(self, tps: tuple[TopicPartition, ...], timeout: float) -> dict[str, Fetched]:  # noqa: ASYNC109
        """Everything that was fetched of these partitions; waits up to *timeout* seconds for something to be."""
        consumer = self._ensure_consumer()
        fetcher, assignment = consumer._fetcher, consumer._subscription.subscription.assignment
        states = {tp: assignment.state_value(tp) for tp in tps}
        before = {tp: state.position for tp, state in states.items()}
        with consumer._subscription.fetch_context():
            drained = await fetcher.fetched_records(tps, timeout=timeout)
        if not assignment.active:
            return {}
        return {
            tp.topic: Fetched(drained.get(tp, ()), before[tp], state.position, state.lso)
            for tp, state in states.items()
            if state.has_valid_position
        }

    async def stable(self, tps: tuple[TopicPartition, ...]) -> dict[str, int]:
        """The last stable offset of each, asked of the broker now."""
        return {tp.topic: end for tp, end in (await self._ensure_consumer().end_offsets(tps)).items()}

    async def place(self, positions: Mapping[TP, int]) -> None:
        """Read these partitions from these positions, and the rest of the assignment (changelogs) not at all."""
        consumer = self._ensure_consumer()
        for tp in consumer.assignment():
            at = positions.get(TP(tp.topic, tp.partition))
            consumer.seek(tp, at or 0)
            if at is None:
                consumer.pause(tp)
            else:
                consumer.resume(tp)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """A courtesy to tools that show lag: one that fails is tried again with the next."""
        consumer, assigned = self._ensure_consumer(), self.assignment()
        known = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items() if tp in assigned}
        try:
            if known:
                await consumer.commit(known)
        except KafkaError as error:
            log.debug("group offsets not committed: %s", error)
            return False
        return True


class BatchConsumer(driver.Consumer):  # type: ignore[misc]  # Faust is untyped
    """Delivers batches. Runs in the main loop; `_thread` does the talking."""

    app: Frame
    _thread: BatchThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._done: dict[TP, int] = {}

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    async def fetch(self, topics: Iterable[str], partition: int, timeout: float) -> Mapping[str, Fetched]:  # noqa: ASYNC109
        """See `feed.Source`."""
        tps = tuple(TopicPartition(topic, partition) for topic in topics)
        fetched: dict[str, Fetched] = await self._thread.in_thread(self._thread.take(tps, timeout))
        return fetched

    async def stable(self, topics: Iterable[str], partition: int) -> Mapping[str, int]:
        """See `feed.Source`."""
        tps = tuple(TopicPartition(topic, partition) for topic in topics)
        offsets: dict[str, int] = await self._thread.in_thread(self._thread.stable(tps))
        return offsets

    async def _drain_messages(self, fetcher: Any) -> None:
        """One pump a feed, from each resumption of the flow to its suspension."""
        while not (self.should_stop or fetcher.should_stop):
            await self.can_resume_flow.wait()
            pumps = [asyncio.create_task(self._pump(feed)) for feed in self.app.crew.feeds()]
            suspended = asyncio.create_task(self.suspend_flow.wait())
            try:
                done, _ = await asyncio.wait([*pumps, suspended], return_when=asyncio.FIRST_COMPLETED)
                for task in done - {suspended}:
                    self.app.crew.fail(task.exception() or InternalError("a pump ended by itself"))
                await self.suspend_flow.wait()
            finally:
                for task in (*pumps, suspended):
                    task.cancel()
                await asyncio.gather(*pumps, suspended, return_exceptions=True)

    async def _pump(self, feed: Feed) -> None:
        delay = self.app.settings.max_delay.total_seconds()
        while True:
            await feed.free.wait()
            batch = await feed.next(self, delay)
            feed.free.clear()
            await self.callback(BatchMessage(batch, self.app.consumer_generation_id))

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """The recovered positions, never the group's offsets."""
        positions: dict[TP, int] = self.app.crew.positions()
        await self._thread.in_thread(self._thread.place(positions))
        return positions

    def ack(self, message: Any) -> bool:
        """The batch is in the store: its range may be shown as committed."""
        if message.acked:
            return False
        message.acked = True
        for stretch in message.value.stretches:
            tp = TP(stretch.topic, message.partition)
            self._done[tp] = stretch.end
            self._acked[tp] = [stretch.end - 1]
        self._unacked_messages.discard(message)
        return True

    def _new_offset(self, tp: TP) -> int | None:
        self._acked.pop(tp, None)
        return self._done.get(tp)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:
        return [tp for tp in list(self._acked) if topics is None or tp in topics or tp.topic in topics]

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        return bool(await self._commit(offsets))

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop reading, let running transactions end (or abort them), give everything back; then Faust's own part."""
        self.stop_flow()
        await self.app.crew.release()
        await self.commit()
        self._unacked_messages.clear()
        self._done.clear()
        await super().on_partitions_revoked(revoked)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector looks at records; ours looks at commits and lag (`crew`)."""


class SilentProducer(driver.Producer):  # type: ignore[misc]  # Faust is untyped
    """Faust's own producer, which nothing may use: every record goes out in a transaction of its partition."""

    async def on_start(self) -> None:
        """Connect to nothing."""

    async def on_stop(self) -> None:
        """Nothing was connected."""

    async def flush(self) -> None:
        """Nothing is ever pending."""

    async def send(self, *_: Any, **__: Any) -> Any:
        """Refuse: it would not be in a transaction."""
        raise InternalError("a record was sent through Faust, outside of any transaction")


class BatchTransport(driver.Transport):  # type: ignore[misc]  # Faust is untyped
    """The transport of a worker."""

    Consumer: ClassVar[Any] = BatchConsumer
    Producer: ClassVar[Any] = SilentProducer
