"""What the broker has: topics, partitions, settings, offsets. Asked before a worker joins; it changes nothing but by `create`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final
from zlib import crc32

import aiokafka
import msgspec
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from rumbo.engine.damage import damaged
from rumbo.engine.feed import Place
from rumbo.engine.goodbye import leave
from rumbo.engine.unreachable import overheard, unreachable
from rumbo.errors import BrokerError, DefinitionError
from rumbo.topology import Topology

CONNECT_SECONDS: Final = 20.0
METADATA_SECONDS: Final = 3.0
RECORD_LIMIT: Final = 1_000_000
"""Bytes that a changelog or dead-letter record may need."""


class Needed(msgspec.Struct, frozen=True):
    """A topic that a topology needs, and the settings that matter. `partitions` None: any number (it decides for the others)."""

    name: str
    role: str
    partitions: int | None
    settings: dict[str, str] = {}


def changelog_of(topology: Topology, stage: str = "profiles") -> str:
    """The changelog of a stage."""
    return f"{topology.name}-{stage}-changelog"


def base_of(topology: Topology) -> str:
    """The topic whose number of partitions the topology has: its first keyed source, or else the re-keyed events."""
    return next((source.topic for source in topology.sources if source.keyed), topology.outputs.events)


def contacts_of(topology: Topology) -> str:
    """Where contacts tell accounts what they are now: the topology's own topic, as a changelog is. Empty where there are no accounts."""
    return f"{topology.name}-contacts" if topology.accounts is not None else ""


def raw_of(topology: Topology) -> tuple[str, ...]:
    """The raw topics whose keys are not customers: they have a number of partitions of their own."""
    return tuple(source.topic for source in topology.sources if not source.keyed)


def needed(topology: Topology, partitions: int, raw: int | None = None) -> list[Needed]:
    """Every topic of a topology: sources, dead letters, outputs, progress, control, changelogs. *raw*: partitions of raw topics."""
    outputs, raw = topology.outputs, raw or partitions
    found: list[Needed] = []
    for source in topology.sources:
        count = partitions if source.keyed else raw
        found.append(Needed(source.topic, "source", count))
        found.append(Needed(source.dead_letters, "dead letters", count, {"cleanup.policy": "delete"}))
    if raw_of(topology):
        found.append(Needed(outputs.events, "re-keyed events", partitions, {"cleanup.policy": "delete"}))
        found.append(Needed(changelog_of(topology, "intake"), "changelog", raw, {"cleanup.policy": "compact"}))
    found += [Needed(name, "output", partitions, {"cleanup.policy": "delete"}) for name in outputs.decisions]
    if contacts := contacts_of(topology):
        found.append(Needed(outputs.accounts, "output", partitions, {"cleanup.policy": "delete"}))
        found.append(Needed(contacts, "contacts", partitions, {"cleanup.policy": "delete"}))
    found.append(Needed(outputs.progress, "progress", partitions, {"message.timestamp.type": "LogAppendTime"}))
    found.append(Needed(outputs.control, "control", partitions, {"cleanup.policy": "delete"}))
    changelog = {"cleanup.policy": "compact", "max.message.bytes": str(RECORD_LIMIT + 100_000)}
    stages = ("profiles", "accounts") if contacts else ("profiles",)
    found += [Needed(changelog_of(topology, stage), "changelog", partitions, changelog) for stage in stages]
    return found


class Broker:
    """Questions to the broker. One connection, given back by `stop`."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = dict(connection)
        self._consumer = self._new_consumer()
        self._uncommitted = self._new_consumer("read_uncommitted")

    def _new_consumer(self, isolation: str = "read_committed") -> Any:
        return aiokafka.AIOKafkaConsumer(
            **self._connection, group_id=None, isolation_level=isolation, enable_auto_commit=False,
            auto_offset_reset="none", fetch_max_wait_ms=50,
        )  # fmt: skip

    async def start(self) -> None:
        """Connect. Raises BrokerError with the cure."""
        with overheard() as said:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._consumer.start()
                    await self._uncommitted.start()
            except (kafka.KafkaError, TimeoutError, OSError) as error:
                await self.stop()
                raise unreachable(self._connection["bootstrap_servers"], said, error) from None

    async def stop(self) -> None:
        """Disconnect."""
        await asyncio.gather(leave(self._consumer.stop()), leave(self._uncommitted.stop()))

    async def partitions(self, topics: Iterable[str]) -> dict[str, int | None]:
        """How many partitions each topic has; None where there is no such topic."""
        cluster = self._consumer._client.cluster  # noqa: SLF001  pinned; the public call knows subscribed topics only
        self._consumer._client.set_topics(list(topics))  # noqa: SLF001  pinned
        await self._consumer._client.force_metadata_update()  # noqa: SLF001  pinned
        return {topic: len(found) if (found := cluster.partitions_for_topic(topic)) else None for topic in topics}

    async def offsets(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """The beginning and the stable end of each place."""
        by_tp = {TopicPartition(*place): place for place in places}
        try:
            begins = await self._consumer.beginning_offsets(list(by_tp))
            ends = await self._consumer.end_offsets(list(by_tp))
        except kafka.KafkaError as error:
            raise BrokerError(f"offsets of {sorted({place.topic for place in by_tp.values()})}: {error!r}") from error
        return {place: (begins[tp], ends[tp]) for tp, place in by_tp.items()}

    async def written(self, places: Iterable[Place]) -> dict[Place, int]:
        """The end of each place, with what is written and not yet to be read.

        A commit is answered before its markers are in the log: for a moment what is committed lies after the stable end.
        """
        by_tp = {TopicPartition(*place): place for place in places}
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                ends = await self._uncommitted.end_offsets(list(by_tp))
        except (kafka.KafkaError, TimeoutError) as error:
            raise BrokerError(f"ends of {sorted({place.topic for place in by_tp.values()})}: {error!r}") from error
        return {place: ends[tp] for tp, place in by_tp.items()}

    async def records(self, places: Mapping[Place, int]) -> dict[Place, tuple[int, int]]:
        """(timestamp in ms, CRC-32 of the value) of the record at each of these offsets; not there where it was compacted away."""
        found: dict[Place, tuple[int, int]] = {}
        if not places:
            return found
        by_tp = {TopicPartition(*place): offset for place, offset in places.items()}
        consumer = self._new_consumer()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await consumer.start()
                consumer.assign(list(by_tp))
                for tp, offset in by_tp.items():
                    consumer.seek(tp, offset)
                waiting = set(by_tp)
                while waiting:
                    for tp, records in (
                        await consumer.getmany(*waiting, timeout_ms=50, max_records=len(by_tp))
                    ).items():
                        if records[0].offset == by_tp[tp]:
                            found[Place(tp.topic, tp.partition)] = records[0].timestamp, crc32(records[0].value or b"")
                        waiting.discard(tp)
                    for tp in list(waiting):
                        if await consumer.position(tp) > by_tp[tp]:
                            waiting.discard(tp)
        except kafka.CorruptRecordException as error:
            raise damaged(error, consumer._fetcher) from error  # noqa: SLF001  pinned
        except (kafka.KafkaError, TimeoutError) as error:
            raise BrokerError(f"the last records read of {sorted({tp.topic for tp in by_tp})}: {error!r}") from error
        finally:
            await leave(consumer.stop())
        return found

    async def group_is_behind(self, group: str, topics: Iterable[str]) -> bool:
        """Whether a group has told less of these topics than is in them. What it tells is at most what it has done."""
        counts = await self.partitions(topics)
        done = await self._told(group)
        places = [Place(topic, number) for topic, count in counts.items() for number in range(count or 0)]
        ends = await self.written(places)
        return any(done.get(place, 0) < end for place, end in ends.items())

    async def told(self, group: str) -> set[Place]:
        """The places of which a group has offsets."""
        return set(await self._told(group))

    async def _told(self, group: str) -> dict[Place, int]:
        from aiokafka.admin import AIOKafkaAdminClient

        admin = AIOKafkaAdminClient(**self._connection)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(group)
        except kafka.KafkaError as error:
            raise BrokerError(f"the offsets of the group {group}: {error!r}") from error
        finally:
            await leave(admin.close())
        return {Place(tp.topic, tp.partition): known.offset for tp, known in found.items() if known.offset >= 0}

    async def configured(self, topics: Iterable[str]) -> dict[str, dict[str, str]]:
        """The settings of each topic."""
        from aiokafka.admin import AIOKafkaAdminClient, config_resource

        admin = AIOKafkaAdminClient(**self._connection)
        await admin.start()
        try:
            resource = config_resource.ConfigResource
            kind = config_resource.ConfigResourceType.TOPIC
            answers = await admin.describe_configs([resource(kind, topic) for topic in topics])
        finally:
            await leave(admin.close())
        return {
            entry[3]: {each[0]: each[1] for each in entry[4]}
            for answer in answers
            for entry in answer.resources
            if not entry[0]
        }


async def check_unchanged(broker: Broker, topology: Topology, counts: Mapping[str, int | None]) -> None:
    """Whether the sources are what they were at the start. Raises DefinitionError for one that went or that was given partitions."""
    now = await broker.partitions(counts)
    problems = [
        f"topic {name} was deleted while it was read: restore it, or begin anew under a new topology name"
        if now[name] is None
        else f"topic {name} had {count} partitions and was given {now[name]} while it was read: customers would be looked for in the wrong "
        "partition. Move to a new topic (and topology name) with a backfill"
        for name, count in counts.items()
        if now[name] != count
    ]
    if problems:
        raise DefinitionError(f"topics of {topology.name}", problems)


async def _known(broker: Broker, names: list[str]) -> dict[str, int | None]:
    """Partition counts; a topic that was just made is given a moment to be known by every broker."""
    until = asyncio.get_running_loop().time() + METADATA_SECONDS
    while True:
        counts = await broker.partitions(names)
        if None not in counts.values() or asyncio.get_running_loop().time() > until:
            return counts
        await asyncio.sleep(0.3)


async def check_topics(broker: Broker, topology: Topology) -> int:
    """The partition count that all topics share. Raises DefinitionError with every problem and its cure."""
    first, raw = base_of(topology), raw_of(topology)
    names = [each.name for each in needed(topology, 1)]
    counts = await _known(broker, names)
    count = counts.get(first)
    cure = "`rumbo topics TOPOLOGY --create` makes what is missing"
    problems = [f"topic {name} does not exist; {cure}" for name, found in counts.items() if found is None]
    if count is not None:
        wanted = needed(topology, count, counts[raw[0]] if raw else None)
        problems += [
            f"topic {each.name} ({each.role}) has {found} partitions and must have {each.partitions}: customers would be in different places; "
            "make them equal (a new topic; partitions can only be added)"
            for each in wanted
            if (found := counts[each.name]) is not None and found != each.partitions
        ]
        compared = [each.name for each in wanted if each.settings and counts[each.name]]
        problems += _differences(wanted, await broker.configured(compared))
    if problems:
        raise DefinitionError(f"topics of {topology.name}", problems)
    return count or 0


def _differences(wanted: list[Needed], found: Mapping[str, Mapping[str, str]]) -> list[str]:
    said: list[str] = []
    for each in wanted:
        settings = found.get(each.name, {})
        for name, value in each.settings.items():
            has = settings.get(name)
            if has is None or has == value or (name == "max.message.bytes" and int(has) >= RECORD_LIMIT):
                continue
            if each.role == "progress":
                continue  # without the broker's time a live clock waits for events: a warning in `rumbo doctor`
            said.append(f"topic {each.name} ({each.role}) has {name}={has}, and needs {value}")
    return said
