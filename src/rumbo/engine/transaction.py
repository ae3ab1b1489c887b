"""One transaction a batch, by one fenced producer a partition. It knows no topics but those it is told, and never retries blindly.

aiokafka begins, adds partitions and produces; the end is ours: EndTxn is sent again only after an *answer* that asks for it.
A second EndTxn after silence could commit half of the next batch (KAFKA-17754), so silence stops the process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from time import time
from typing import Any, Final, NamedTuple

import aiokafka
from aiokafka import errors as kafka
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.producer import sender as aiokafka_sender
from aiokafka.producer.transaction_manager import TransactionState
from aiokafka.protocol.transaction import EndTxnRequest

from rumbo.engine.failpoint import Failpoints
from rumbo.engine.goodbye import leave
from rumbo.errors import BrokerError, InternalError

START_SECONDS: Final = 60.0
COMMIT_SECONDS: Final = 25.0
TRANSACTION_MS: Final = 30_000
BATCH_BYTES: Final = 900_000
_RETRY_SECONDS: Final = 0.02
_WAIT_FOR_MARKERS: Final = 0.004
_LOG_APPEND_TIME: Final = 1
_ASK_AGAIN: Final = (
    kafka.NotCoordinatorError,
    kafka.CoordinatorNotAvailableError,
    kafka.CoordinatorLoadInProgressError,
    kafka.ConcurrentTransactions,
)
_FENCES: Final = (
    kafka.ProducerFenced,
    kafka.InvalidProducerEpoch,
    kafka.InvalidProducerIdMapping,
    kafka.UnknownProducerId,
)

aiokafka_sender.BACKOFF_OVERRIDE = _WAIT_FOR_MARKERS  # aiokafka waits 20 ms for the markers of the last transaction

Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key, value, headers."""


_FAILED: Final = (kafka.KafkaError, kafka.IllegalOperation)
"""What aiokafka raises; the second is no KafkaError to it."""
_SENDER_SECONDS: Final = 0.5


class FencedError(InternalError):
    """Another producer of this id has begun, or the id expired: this one must never write again."""


class IndefiniteError(InternalError):
    """No answer: whether the transaction was committed is not known. The process stops; the successor reads what is true."""


class RefusedError(InternalError):
    """The broker refused a record (too large, not authorised): the transaction was aborted."""


class Committed(NamedTuple):
    """What a commit answers: for each (topic, partition) the offset after the last record written."""

    next_offsets: dict[tuple[str, int], int]
    broker_ms: dict[tuple[str, int], int]
    """The broker's append time in milliseconds, where a topic has LogAppendTime."""


def _looked_at(future: Any) -> None:
    """A fence fails every produce of a batch, and the first one found is enough: the others are no news to asyncio's log."""
    if not future.cancelled():
        future.exception()


class PartitionProducer:
    """The transactional producer of one partition of one stage."""

    def __init__(
        self, connection: Mapping[str, Any], transactional_id: str, *, compression: str | None, failpoints: Failpoints
    ) -> None:
        self.id, self._failpoints = transactional_id, failpoints
        self._producer = aiokafka.AIOKafkaProducer(
            **connection,
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_MS,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=BATCH_BYTES + 100_000,
            compression_type=compression,
        )

    async def start(self) -> None:
        """Fence every predecessor: InitProducerId ends its open transaction for good. Raises BrokerError after a minute."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._producer.start()
        except TimeoutError:
            raise BrokerError(
                f"{self.id}: no producer id within {START_SECONDS:.0f} s: is the transaction coordinator up?"
            ) from None
        except kafka.KafkaError as error:
            raise BrokerError(
                f"{self.id}: the broker gives no producer id ({error!r}); transactions need Kafka and its rights"
            ) from error

    async def stop(self) -> None:
        """Leave at once. An open transaction is left to the successor, whose InitProducerId aborts it."""
        with contextlib.suppress(kafka.KafkaError, asyncio.CancelledError, TimeoutError):
            async with asyncio.timeout(5):
                task = self._producer._sender.sender_task  # noqa: SLF001  pinned; stop() would flush what must not be sent
                if task is not None and not task.done():
                    task.cancel()
                await leave(self._producer.client.close())
        self._producer._closed = True  # noqa: SLF001  pinned; else it warns that it was not closed

    async def commit(self, groups: Iterable[tuple[str, int, Iterable[Row]]]) -> Committed:
        """Write every row in one transaction. Raises FencedError, IndefiniteError or RefusedError."""
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._begin()
                sent = await self._send(groups)
                self._failpoints.reached("after_produce")
                written = await self._check(sent)
                self._failpoints.reached("before_end")
                await self._end()
        except TimeoutError:
            raise IndefiniteError(f"{self.id}: no answer to a transaction within {COMMIT_SECONDS:.0f} s") from None
        self._failpoints.reached("after_end")
        return written

    async def _begin(self) -> None:
        try:
            await self._producer.begin_transaction()
        except (*_FAILED, AssertionError) as error:  # an assertion: a transition that its state forbids
            await self._sender_ends()
            raise self._why(error) from error

    async def _send(self, groups: Iterable[tuple[str, int, Iterable[Row]]]) -> list[tuple[str, int, int, Any]]:
        sent: list[tuple[str, int, int, Any]] = []
        try:
            for topic, partition, rows in groups:
                sent += [await self._send_one(builder, topic, partition) for builder in self._batches(rows)]
        except _FAILED as error:
            raise await self._refuse(error) from error
        return sent

    def _batches(self, rows: Iterable[Row]) -> Iterator[Any]:
        """The rows as record batches of at most `BATCH_BYTES`, all of this instant. Raises MessageSizeTooLargeError for a row that fits none.

        They go straight to the compiled builder: aiokafka's own way around it costs more than what it does.
        """
        made, count, now = self._producer.create_batch(), 0, int(time() * 1000)
        append = made._builder.append  # noqa: SLF001  pinned
        for key, value, headers in rows:
            if append(count, now, key, value, headers) is None:
                made._relative_offset = count  # noqa: SLF001  pinned
                yield made
                made, count = self._producer.create_batch(), 0
                append = made._builder.append  # noqa: SLF001  pinned
                if append(count, now, key, value, headers) is None:
                    raise kafka.MessageSizeTooLargeError
            count += 1
        if count:
            made._relative_offset = count  # noqa: SLF001  pinned
            yield made

    async def _send_one(self, builder: Any, topic: str, partition: int) -> tuple[str, int, int, Any]:
        count = builder.record_count()
        builder.close()
        future = await self._producer.send_batch(builder, topic, partition=partition)
        future.add_done_callback(_looked_at)
        return topic, partition, count, future

    async def _check(self, sent: list[tuple[str, int, int, Any]]) -> Committed:
        """Wait for every produce: one that failed must not be committed over."""
        results: list[Any] = await asyncio.gather(*(future for *_, future in sent), return_exceptions=True)
        failed = next((each for each in results if isinstance(each, BaseException)), None)
        if failed is not None:
            raise await self._refuse(failed) from failed
        after: dict[tuple[str, int], int] = {}
        appended: dict[tuple[str, int], int] = {}
        for (topic, partition, count, _), metadata in zip(sent, results, strict=True):
            after[topic, partition] = max(after.get((topic, partition), 0), metadata.offset + count)
            if metadata.timestamp_type == _LOG_APPEND_TIME:
                appended[topic, partition] = metadata.timestamp
        return Committed(after, appended)

    async def _refuse(self, error: BaseException) -> InternalError:
        """Abort, or readers would hang at the stable offset; then say why."""
        await self._sender_ends()
        why = self._why(error)
        if isinstance(why, RefusedError):
            with contextlib.suppress(Exception):
                async with asyncio.timeout(10):
                    await self._producer.abort_transaction()
        return why

    async def _sender_ends(self) -> None:
        """A fence ends the sender's task, which alone knows of it, a moment after the produces have failed."""
        task = self._producer._sender.sender_task  # noqa: SLF001  pinned
        if task is not None:
            await asyncio.wait([task], timeout=_SENDER_SECONDS)

    def _why(self, error: BaseException) -> InternalError:
        """A fence also shows as IllegalOperation, an expired id as KafkaError: the sender's own end tells."""
        task = self._producer._sender.sender_task  # noqa: SLF001  pinned
        seen: list[BaseException] = [error]
        if task is not None and task.done() and not task.cancelled() and task.exception() is not None:
            seen.append(task.exception())
        seen += [each.__cause__ for each in list(seen) if each.__cause__ is not None]
        if any(isinstance(each, _FENCES) for each in seen):
            return FencedError(f"{self.id}: another worker has taken over")
        if isinstance(
            error, asyncio.CancelledError | TimeoutError | kafka.KafkaTimeoutError | kafka.KafkaConnectionError
        ):
            return IndefiniteError(f"{self.id}: {error!r}")
        if len(seen) > 1 or isinstance(error, kafka.IllegalOperation | kafka.OutOfOrderSequenceNumber | AssertionError):
            return IndefiniteError(f"{self.id}: {seen[-1]!r}")
        if isinstance(error, kafka.InvalidTimestampError):
            return RefusedError(
                f"{self.id}: the broker refused a record for its time: this machine's clock is ahead of the broker's by more than "
                "message.timestamp.after.max.ms (an hour, where nobody changed it): set the clock (NTP) and start again"
            )
        return RefusedError(f"{self.id}: the broker refused a record: {error!r}; see its size limits and rights")

    async def _end(self) -> None:
        """Our own EndTxn (commit)."""
        manager, sender = self._producer._txn_manager, self._producer._sender  # noqa: SLF001  pinned
        request = EndTxnRequest(
            transactional_id=manager.transactional_id,
            producer_id=manager.producer_id,
            producer_epoch=manager.producer_epoch,
            transaction_result=True,
        )
        while True:
            node = await sender._find_coordinator(CoordinationType.TRANSACTION, manager.transactional_id)  # noqa: SLF001  pinned
            answer = await self._ask(sender, node, request)
            if answer is None:
                continue
            error = kafka.for_code(answer.error_code)
            if error is kafka.NoError:
                manager._transition_to(TransactionState.COMMITTING_TRANSACTION)  # noqa: SLF001  no await before the next line
                manager.complete_transaction()
                return
            if not issubclass(error, _ASK_AGAIN):
                raise (
                    self._why(error())
                    if issubclass(error, _FENCES)
                    else IndefiniteError(f"{self.id}: EndTxn: {error!r}")
                )
            if issubclass(error, kafka.NotCoordinatorError | kafka.CoordinatorNotAvailableError):
                sender._coordinator_dead(CoordinationType.TRANSACTION)  # noqa: SLF001  pinned
            await asyncio.sleep(_RETRY_SECONDS)

    async def _ask(self, sender: Any, node: int, request: Any) -> Any:
        """The answer; None where nothing was sent (no connection)."""
        try:
            ready = await sender.client.ready(node, group=ConnectionGroup.COORDINATION)
            if not ready:
                sender._coordinator_dead(CoordinationType.TRANSACTION)  # noqa: SLF001  pinned
                await asyncio.sleep(_RETRY_SECONDS)
                return None
            sending = asyncio.ensure_future(sender.client.send(node, request, group=ConnectionGroup.COORDINATION))
            await asyncio.sleep(0)
            self._failpoints.reached("end_sent")
            return await sending
        except kafka.NodeNotReadyError:
            sender._coordinator_dead(CoordinationType.TRANSACTION)  # noqa: SLF001  pinned
            await asyncio.sleep(_RETRY_SECONDS)
            return None
        except kafka.KafkaError as error:
            raise IndefiniteError(f"{self.id}: no answer to EndTxn: {error!r}") from error
