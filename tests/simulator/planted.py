"""Faults planted in the engine on purpose, one a function: while its block lasts, the engine has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import time
from typing import Any
from unittest.mock import patch

from aiokafka import errors as kafka

from rumbo.core.program import Program
from rumbo.engine import feed as feed_module
from rumbo.engine import partition as partition_module
from rumbo.engine import position as record
from rumbo.engine.carrier import Carrier
from rumbo.engine.clock import AHEAD
from rumbo.engine.feed import Place
from rumbo.engine.partition import Batch, PartitionWorker
from rumbo.engine.transaction import Committed, IndefiniteError, PartitionProducer
from rumbo.engine.transport import BatchThread
from rumbo.engine.unwritten import NO_TIMER, Unwritten
from rumbo.intake import dead_letter
from tests.simulator.broker import Cluster
from tests.simulator.clients import ChangelogConsumer
from tests.simulator.process import FAULTS, TOPOLOGY, Process

Planted = Callable[[], AbstractContextManager[Any]]


@contextmanager
def outputs_outside_the_transaction() -> Iterator[None]:
    """What downstream reads is written at once, whatever becomes of the batch."""
    produce = Cluster.produce

    def planted(self: Cluster, name: str, epoch: int, place: tuple[str, int], rows: list[Any]) -> int:
        if place[0] in TOPOLOGY.outputs.decisions and name != "shop":
            offsets = [self.logs[place].append(row, 0) for row in rows]
            return offsets[0]
        return produce(self, name, epoch, place, rows)

    with patch.object(Cluster, "produce", planted):
        yield


@contextmanager
def store_written_before_the_commit() -> Iterator[None]:
    """The disk is ahead of the changelog when the commit fails."""
    commit = PartitionProducer.commit
    workers: dict[PartitionProducer, PartitionWorker] = {}
    begin = PartitionWorker.__init__

    def remember(self: PartitionWorker, *given: Any) -> None:
        begin(self, *given)
        workers[self.producer] = self

    async def planted(self: PartitionProducer, groups: Any) -> Committed:
        everything = [(topic, number, list(rows)) for topic, number, rows in groups]
        worker = workers[self]
        rows = next(rows for topic, _, rows in everything if topic == worker.stage.changelog)
        worker.store.write([(key, value) for key, value, _ in rows], [], worker.store.changelog_next)
        return await commit(self, everything)

    with patch.object(PartitionWorker, "__init__", remember), patch.object(PartitionProducer, "commit", planted):
        yield


@contextmanager
def producer_not_fenced_on_assignment() -> Iterator[None]:
    """A new owner goes on under the old one's epoch."""

    def planted(self: Cluster, name: str) -> int:
        return self.producers.setdefault(name, 1)

    with patch.object(Cluster, "init", planted):
        yield


@contextmanager
def recovery_reads_uncommitted() -> Iterator[None]:
    """What an aborted transaction wrote becomes state."""
    begin = ChangelogConsumer.__init__

    def planted(self: ChangelogConsumer, **given: Any) -> None:
        begin(self, **{**given, "isolation_level": "read_uncommitted"})

    with patch.object(ChangelogConsumer, "__init__", planted):
        yield


@contextmanager
def recovery_stops_at_the_last_record() -> Iterator[None]:
    """One record short of the stable offset, as if markers were none."""
    ends = ChangelogConsumer.end_offsets

    async def planted(self: ChangelogConsumer, places: Any) -> Any:
        return {place: max(end - 2, 0) for place, end in (await ends(self, places)).items()}

    with patch.object(ChangelogConsumer, "end_offsets", planted):
        yield


@contextmanager
def failed_produce_not_seen() -> Iterator[None]:
    """A batch is committed without what the broker refused."""

    async def planted(self: PartitionProducer, sent: Any) -> Committed:
        after: dict[tuple[str, int], int] = {}
        for topic, number, count, future in sent:
            try:
                after[topic, number] = (await future).offset + count
            except kafka.KafkaError:
                after.setdefault((topic, number), 0)
        return Committed(after, {})

    with patch.object(PartitionProducer, "_check", planted):
        yield


@contextmanager
def end_sent_again_after_silence() -> Iterator[None]:
    """The first request may come late, and commit half of the next batch."""

    async def planted(self: PartitionProducer, sender: Any, node: int, request: Any) -> Any:
        _ = self
        try:
            return await sender.client.send(node, request)
        except kafka.RequestTimedOutError:
            return None

    often = {"error": 0.08, "crash": 0.02}  # half a batch shows only where its other half fails
    with patch.object(PartitionProducer, "_ask", planted), patch.dict(FAULTS, often):
        yield


@contextmanager
def epoch_used_again_after_a_timeout() -> Iterator[None]:
    """An unanswered commit is taken for done, and the same producer goes on."""
    commit = PartitionProducer.commit

    async def planted(self: PartitionProducer, groups: Any) -> Committed:
        everything = [(topic, number, list(rows)) for topic, number, rows in groups]
        try:
            return await commit(self, everything)
        except IndefiniteError:
            self._producer._begun = False
            return Committed({(topic, number): 0 for topic, number, _ in everything}, {})

    with patch.object(PartitionProducer, "commit", planted):
        yield


@contextmanager
def batch_ends_from_record_offsets() -> Iterator[None]:
    """Markers take offsets too: the next batch begins after a gap that is none."""
    take = BatchThread._take

    async def planted(self: BatchThread, *given: Any) -> Any:
        taken = await take(self, *given)
        return [
            (place, begin, rows[-1].offset + 1 if rows else begin, rows, stable)
            for place, begin, _, rows, stable in taken
        ]

    with patch.object(BatchThread, "_take", planted):
        yield


@contextmanager
def stable_offset_read_before_the_fence() -> Iterator[None]:
    """The predecessor's last commit comes after the question and before the fence."""

    async def planted(self: Carrier, owned: list[int], producers: Any, stores: Any) -> None:
        await self._recover(owned, stores)
        await asyncio.gather(*(self._producer(number, producers) for number in owned))
        for number in owned:
            found = record.load(stores[number].position())
            self.workers[number] = self._make(self.stage, number, stores[number], producers[number], found)
        await self._check(owned)

    with patch.object(Carrier, "_take_over", planted):
        yield


@contextmanager
def timers_by_the_wall_during_a_backlog() -> Iterator[None]:
    """What is due by the wall's time fires before the events that would have stopped it were read."""
    advance = PartitionWorker._advance

    def planted(self: PartitionWorker, batch: Any, records: Any, clock: int) -> None:
        advance(self, batch, records, clock)
        self.position.clock = max(self.position.clock, int(time() * 1_000_000) + AHEAD)

    with patch.object(PartitionWorker, "_advance", planted):
        yield


@contextmanager
def group_offsets_taken_for_the_position() -> Iterator[None]:
    """Sources sought to where the group was told, a batch behind the state; and what was read before is let through."""

    with (
        patch.object(Carrier, "positions", _positions(behind=3)),
        patch.object(PartitionWorker, "_continues", _everything),
        patch.object(Program, "advance", _without_ring(Program.advance)),
    ):
        yield


def _positions(behind: int) -> Any:
    """Where the partitions stand in memory, or so many offsets before."""

    def positions(self: Carrier) -> dict[Any, int]:
        return {
            Place(topic, number): max(source.next - behind, 0)
            for number, worker in self.workers.items()
            for topic, source in worker.position.sources.items()
        }

    return positions


def _everything(self: PartitionWorker, batch: Any) -> Any:
    """No look at where the batch begins."""
    _ = self
    return batch.records


def _without_ring(advance: Any) -> Any:
    """Step without the memory of ids: it would hide a double read."""

    def planted(self: Any, profile: Any, event: Any) -> Any:
        profile.ring = b""
        return advance(self, profile, event)

    return planted


@contextmanager
def gap_let_through() -> Iterator[None]:
    """A fetch that skips records is not noticed."""
    take = BatchThread._take

    async def skipping(self: BatchThread, *given: Any) -> Any:
        taken = await take(self, *given)
        chance = self._ensure_consumer().process.random
        return [
            (place, rows[1].offset, end, rows[1:], stable)
            if len(rows) > 1 and chance.random() < 0.02
            else (place, begin, end, rows, stable)
            for place, begin, end, rows, stable in taken
        ]

    def trimmed(self: PartitionWorker, batch: Any) -> Any:
        return [each for each in batch.records if each.offset >= self.next_of(batch.topic)]

    with (
        patch.object(BatchThread, "_take", skipping),
        patch.object(PartitionWorker, "_continues", trimmed),
    ):
        yield


@contextmanager
def fetches_joined_unseen() -> Iterator[None]:
    """What was fetched while a batch waits is put behind it, wherever it begins: again, or after a gap."""

    def planted(waiting: Batch, batch: Batch, number: int) -> Batch:
        _ = number
        return batch._replace(begin=waiting.begin, records=[*waiting.records, *batch.records], head=waiting.head)

    with patch.object(feed_module, "joined", planted):
        yield


@contextmanager
def position_goes_back() -> Iterator[None]:
    """A fetch of what was read before takes the position with it."""
    advance = PartitionWorker._advance

    def planted(self: PartitionWorker, batch: Batch, records: Any, clock: int) -> None:
        advance(self, batch, records, clock)
        self.position.sources[batch.topic].next = batch.end

    with patch.object(PartitionWorker, "_advance", planted):
        yield


@contextmanager
def group_told_before_the_commit() -> Iterator[None]:
    """Whoever asks the group how far the raw topics are read would hear of what a crash takes back."""

    with patch.object(Carrier, "positions", _positions(behind=0)):
        yield


@contextmanager
def stable_end_taken_for_the_end() -> Iterator[None]:
    """A clock record passes what is committed and has no markers yet."""

    async def written(self: Process, places: Any) -> dict[Place, int]:
        return {place: end for place, (_, end) in (await self.offsets(places)).items()}

    with patch.object(Process, "written", written):
        yield


@contextmanager
def overdue_timers_forgotten() -> Iterator[None]:
    """A new owner waits for the next record before it fires what its predecessor's clock had made due."""
    begin = PartitionWorker.__init__

    def planted(self: PartitionWorker, *given: Any) -> None:
        begin(self, *given)
        self._owed = False

    with patch.object(PartitionWorker, "__init__", planted):
        yield


@contextmanager
def cut_off_fetch_not_read_again() -> Iterator[None]:
    """A fetch that outlives its assignment swallows the first records of the next one."""

    async def planted(self: BatchThread, places: Any) -> None:
        _ = self, places

    with patch.object(BatchThread, "read_again", planted):
        yield


@contextmanager
def decisions_written_in_another_order() -> Iterator[None]:
    """Each once, and of one transaction, but not as they were decided."""
    encode = PartitionWorker._encode

    def planted(self: PartitionWorker, decisions: Any, groups: Any) -> None:
        encode(self, decisions[::-1], groups)

    with patch.object(PartitionWorker, "_encode", planted):
        yield


@contextmanager
def letter_of_another_record() -> Iterator[None]:
    """A dead letter that names the record after the one that was rejected."""

    def planted(raw: Any, reject: Any, *, keep: bool) -> Any:
        return dead_letter(raw._replace(offset=raw.offset + 1), reject, keep=keep)

    with patch.object(partition_module, "dead_letter", planted):
        yield


@contextmanager
def moved_timers_stay_in_the_index() -> Iterator[None]:
    """Where a customer's timer was before is not taken from the index on disk: it is looked at again, and nothing is due."""
    moved = Unwritten.moved

    def planted(self: Unwritten, rows: Any) -> list[tuple[bytes, bytes, bytes]]:
        return [(NO_TIMER, new, customer) for _, new, customer in moved(self, rows)]

    with patch.object(Unwritten, "moved", planted):
        yield


@contextmanager
def time_passes_between_batches_only() -> Iterator[None]:
    """A late record meets the timers before or after it as batches happen to end."""
    with patch.object(PartitionWorker, "_bound", lambda _, __: 0):
        yield


PLANTED: tuple[Planted, ...] = (
    outputs_outside_the_transaction,
    store_written_before_the_commit,
    producer_not_fenced_on_assignment,
    group_offsets_taken_for_the_position,
    recovery_stops_at_the_last_record,
    recovery_reads_uncommitted,
    epoch_used_again_after_a_timeout,
    failed_produce_not_seen,
    end_sent_again_after_silence,
    gap_let_through,
    fetches_joined_unseen,
    position_goes_back,
    batch_ends_from_record_offsets,
    stable_offset_read_before_the_fence,
    group_told_before_the_commit,
    stable_end_taken_for_the_end,
    overdue_timers_forgotten,
    cut_off_fetch_not_read_again,
    timers_by_the_wall_during_a_backlog,
    decisions_written_in_another_order,
    letter_of_another_record,
    moved_timers_stay_in_the_index,
    time_passes_between_batches_only,
)
