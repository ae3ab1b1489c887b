"""What our engine holds of aiokafka, on the broker in memory: each answer waits on its process, which may die, freeze or lose it."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from tests.simulator.broker import LOG_APPEND_TIME, Row


class Builder:
    """aiokafka's batch builder, and the compiled one in it."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, Any, Any]] = []
        self._builder, self._relative_offset = self, 0

    def append(self, offset: int, _timestamp: int, key: Any, value: Any, headers: Any) -> object:
        """Take the record of the next offset."""
        assert offset == len(self.rows)
        self.rows.append((key, value, headers))
        return self

    def record_count(self) -> int:
        """How many, as it was told."""
        assert self._relative_offset == len(self.rows)
        return self._relative_offset

    def close(self) -> None:
        """No more."""


class Producer:
    """What `engine.transaction` holds of aiokafka's producer, its sender and its transaction manager."""

    def __init__(self, *, process: Any, transactional_id: str, **_: Any) -> None:
        self.process, self.cluster = process, process.cluster
        self._txn_manager = SimpleNamespace(
            transactional_id=transactional_id, producer_id=1, producer_epoch=-1, _transition_to=lambda _: None,
            complete_transaction=self._complete,
        )  # fmt: skip
        self.client = SimpleNamespace(close=self._close, ready=self._ready, send=self._end)
        self._sender = SimpleNamespace(
            sender_task=None, client=self.client, _find_coordinator=self._coordinator, _coordinator_dead=lambda _: None
        )
        self._closed, self._begun, self._left = False, False, False

    async def _close(self) -> None:
        """What is under way has no answer any more."""
        self._left = True

    async def _net(self, point: str, *errors: type[Exception]) -> None:
        await self.process.net(point, errors=errors)
        if self._left:
            raise kafka.KafkaConnectionError("closed")

    async def _ready(self, *_: Any, **__: Any) -> bool:
        return True

    async def _coordinator(self, *_: Any) -> int:
        await self.process.net("find_coordinator")
        return 1

    async def start(self) -> None:
        """InitProducerId."""
        await self.process.net("init: request")
        self._txn_manager.producer_epoch = self.cluster.init(self._txn_manager.transactional_id)
        await self.process.net("init: reply")

    async def begin_transaction(self) -> None:
        """Local, as aiokafka's."""
        assert not self._begun
        self._begun = True

    def _complete(self) -> None:
        self._begun = False

    def create_batch(self) -> Builder:
        """An empty batch."""
        return Builder()

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> Any:
        """Send; a future of its metadata."""
        return asyncio.ensure_future(self._produce(builder, topic, partition))

    async def _produce(self, builder: Builder, topic: str, partition: int) -> Any:
        await self._net("produce: request", kafka.KafkaTimeoutError, kafka.MessageSizeTooLargeError)
        manager, cluster = self._txn_manager, self.cluster
        await cluster.markers(manager.transactional_id)  # CONCURRENT_TRANSACTIONS: aiokafka asks again
        rows = [cluster.row(topic, partition, *each) for each in builder.rows]
        at = cluster.produce(manager.transactional_id, manager.producer_epoch, (topic, partition), rows)
        await self._net("produce: reply", kafka.KafkaTimeoutError)
        return SimpleNamespace(offset=at, timestamp_type=LOG_APPEND_TIME, timestamp=rows[0].timestamp)

    async def abort_transaction(self) -> None:
        """EndTxn (abort)."""
        await self.process.net("abort: request")
        self.cluster.end(self._txn_manager.transactional_id, self._txn_manager.producer_epoch, commit=False)
        self._begun = False
        await self.process.net("abort: reply")

    async def _end(self, *_: Any, **__: Any) -> Any:
        manager, cluster = self._txn_manager, self.cluster
        name, epoch = manager.transactional_id, manager.producer_epoch
        if self.process.chance("end: late"):  # the request is under way for long; nobody knows what becomes of it
            delay = self.process.random.uniform(0.001, 0.2)
            asyncio.get_running_loop().call_later(delay, cluster.end, name, epoch)
            raise kafka.RequestTimedOutError
        await self._net("end: request", kafka.RequestTimedOutError)
        self.process.told_early()
        if (
            name in cluster.ongoing
            and cluster.producers[name] == epoch
            and self.process.chance("end: markers late", 0.1)
        ):
            cluster.prepare(name, self.process.random.uniform(0.001, 0.5))
            code = 0
        else:
            code = cluster.end(name, epoch)
        await self._net("end: reply", kafka.RequestTimedOutError)
        return SimpleNamespace(error_code=code)


class ChangelogConsumer:
    """What `engine.recovery` holds of aiokafka's consumer."""

    def __init__(self, *, process: Any, isolation_level: str, **_: Any) -> None:
        self.process, self.committed, self._at = process, isolation_level == "read_committed", dict[Any, int]()

    async def start(self) -> None:
        """Connect."""
        await self.process.net("changelog: connect")

    async def stop(self) -> None:
        """Disconnect."""

    def assign(self, places: list[TopicPartition]) -> None:
        """These partitions."""
        self._at = dict.fromkeys(places, 0)

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Compaction takes no offsets away."""
        await self.process.net("changelog: beginnings")
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """By the isolation level."""
        await self.process.net("changelog: ends")
        logs = {place: self.process.cluster.logs[tuple(place)] for place in places}
        return {place: log.stable if self.committed else log.end for place, log in logs.items()}

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go there."""
        self._at[place] = offset

    async def getmany(self, *places: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, list[Row]]:
        """Records by partition; few at a time, so that much can happen between."""
        found = {}
        for place in places or tuple(self._at):
            await self.process.net("changelog: fetch")
            limit = min(max_records, self.process.random.randrange(1, 40))
            rows, self._at[place] = self.process.cluster.logs[tuple(place)].fetch(
                self._at[place], limit, committed=self.committed
            )
            if rows:
                found[place] = rows
        if not found:
            await asyncio.sleep(timeout_ms / 1000)
        return found

    async def position(self, place: TopicPartition) -> int:
        """Where the next fetch begins."""
        return self._at[place]


class SourceConsumer:
    """What `engine.transport`'s fetching thread holds of aiokafka's consumer: an assignment with positions, and a fetcher."""

    def __init__(self, process: Any) -> None:
        self.process = process
        self._closed = False
        self._states: dict[TopicPartition, Any] = {}
        self._fetcher = SimpleNamespace(
            fetched_records=self._fetched, _subscriptions=SimpleNamespace(fetch_context=nullcontext)
        )
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=None))

    def assigned(self, places: list[TopicPartition]) -> None:
        """A new generation's partitions: their positions are not known."""
        before = self._subscription.subscription.assignment
        if before is not None:
            before.active = False
        states = {
            place: SimpleNamespace(position=None, has_valid_position=False, lso=None, again=None) for place in places
        }
        self._states = states

        def state_value(place: TopicPartition) -> Any:
            state = states[place]
            if state.again is not None:  # somebody sought: what was taken comes again
                state.position, state.again = state.again, None
            return state

        self._subscription.subscription.assignment = SimpleNamespace(
            tps=set(places), active=True, state_value=state_value
        )

    def assignment(self) -> set[TopicPartition]:
        """What is owned."""
        return set(self._states)

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go there."""
        state = self._states[place]
        state.position, state.has_valid_position, state.again = offset, True, None

    async def _fetched(self, places: list[TopicPartition], timeout: float, max_records: int) -> dict[Any, list[Row]]:
        states = self._states
        found = self._read(states, places, max_records)  # aiokafka gives what it has without asking anybody
        if not found and timeout:
            await self.process.net("source: fetch", timeout)
            found = self._read(states, places, max_records)
        return found

    def _read(self, states: dict[TopicPartition, Any], places: list[TopicPartition], most: int) -> dict[Any, list[Row]]:
        found = {}
        for place in places:
            state, log = states.get(place), self.process.cluster.logs[tuple(place)]
            if state is None or not state.has_valid_position or self._states is not states:
                continue  # of another assignment
            limit = min(most, self.process.random.randrange(1, 12))
            before = state.position
            rows, state.position = log.fetch(before, limit, committed=True)
            state.lso = log.stable
            if rows and self.process.chance("source: fetched twice", 0.05):
                state.again = before
            if rows:
                found[place] = rows
        return found
