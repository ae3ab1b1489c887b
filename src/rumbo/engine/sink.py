"""Reads what a topology has decided, read committed, into a file outside of Kafka. In no group: the file knows how far it was read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import aiokafka
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from rumbo.config import Settings
from rumbo.engine.broker import Broker
from rumbo.engine.feed import Place
from rumbo.engine.goodbye import leave
from rumbo.errors import BrokerError, DefinitionError, InternalError
from rumbo.output.sink import Read, Sink, Taken
from rumbo.topology import Topology

POLL_MS: Final = 200
RECORDS: Final = 5_000


async def fill(topology: Topology, settings: Settings, sink: Sink, *, once: bool) -> Taken:
    """Read on from where the file is: to the present ends with *once*, else until cancelled.

    Raises DefinitionError for topics that are not there, BrokerError, and InternalError where the topics have lost what was not read.
    """
    offsets = await _offsets(topology, settings)
    consumer = aiokafka.AIOKafkaConsumer(
        **settings.connection(), group_id=None, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="none",
    )  # fmt: skip
    try:
        await consumer.start()
        consumer.assign([TopicPartition(*place) for place in offsets])
        for place, (begin, _) in offsets.items():
            consumer.seek(TopicPartition(*place), _start(sink, place, begin))
        return await _read(consumer, sink, {place: end for place, (_, end) in offsets.items()} if once else {})
    except kafka.KafkaError as error:
        raise BrokerError(f"the decisions of {topology.name} cannot be read: {error!r}") from error
    finally:
        await leave(consumer.stop())


async def _offsets(topology: Topology, settings: Settings) -> dict[Place, tuple[int, int]]:
    """Beginning and stable end of each partition of each output."""
    accounts = (topology.outputs.accounts,) if topology.accounts is not None else ()
    broker = Broker(settings.connection())
    await broker.start()
    try:
        counts = await broker.partitions((*topology.outputs.decisions, *accounts))
        missing = [f"topic {name} does not exist; `rumbo topics TOPOLOGY --create` makes it" for name, count in counts.items() if not count]  # fmt: skip
        if missing:
            raise DefinitionError(f"outputs of {topology.name}", missing)
        return await broker.offsets(
            Place(name, number) for name, count in counts.items() for number in range(count or 0)
        )
    finally:
        await broker.stop()


def _start(sink: Sink, place: Place, begin: int) -> int:
    """Where to read on. Raises InternalError where that was deleted before it was read."""
    known = sink.next_of(*place)
    if known is None:
        return begin
    if known < begin:
        raise InternalError(
            f"{place.topic}, partition {place.partition}: what stood from {known} to {begin} was deleted before it was read (the topic's retention); "
            "begin a new file with what is left, and read more often than the topic keeps"
        )
    return known


async def _read(consumer: Any, sink: Sink, ends: Mapping[Place, int]) -> Taken:
    """Until every partition has reached its end; without ends for ever."""
    taken, reached = Taken(), dict[tuple[str, int], int]()
    while True:
        found = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS)
        rows = [
            Read(tp.topic, tp.partition, each.offset, each.value, each.headers)
            for tp, records in found.items()
            for each in records
        ]
        now = {(tp.topic, tp.partition): await consumer.position(tp) for tp in consumer.assignment()}
        moved = {place: at for place, at in now.items() if reached.get(place) != at}
        if rows or moved:
            taken = taken.and_then(sink.take(rows, moved))
            reached = now
        if ends and all(now[place] >= end for place, end in ends.items()):
            return taken


def run(topology: Topology, settings: Settings, sink: Sink, *, once: bool) -> Taken:
    """`fill`, until Ctrl-C; what was read until then is in the file."""
    if topology.mode == "plain":
        raise DefinitionError(
            f"outputs of {topology.name}",
            ["`mode: plain` has no ids, by which repeats are known: use structured or binary"],
        )
    try:
        return asyncio.run(fill(topology, settings, sink, once=once))
    except KeyboardInterrupt:
        return Taken()
