"""Making topics and writing clock records: what `rumbo topics`, the demo and the tests ask of a broker. By kafka-python, blocking."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from kafka import KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    KafkaAdminClient,
    NewTopic,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import KafkaError, TopicAlreadyExistsError

from rumbo.config import Settings
from rumbo.core.instant import Instant, isoformat
from rumbo.engine.broker import Broker, Needed, base_of, needed, raw_of
from rumbo.engine.rights import Right, lacking, rights
from rumbo.errors import BrokerError, DefinitionError
from rumbo.topology import Topology

CONNECT_MS: Final = 10_000


class Difference(msgspec.Struct, frozen=True):
    """One topic as it is against as it should be."""

    topic: str
    role: str
    problem: str


@contextmanager
def admin(settings: Settings) -> Iterator[Any]:
    """An admin client, given back at the end. Raises BrokerError where there is no broker, with the reason."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        client = KafkaAdminClient(**settings.connection(), bootstrap_timeout_ms=CONNECT_MS)
    except (KafkaError, OSError) as error:
        asyncio.run(_say_why(settings))
        raise BrokerError(f"no Kafka at {settings.broker} ({error}): is it running?") from None
    try:
        yield client
    finally:
        client.close()


async def _say_why(settings: Settings) -> None:
    """The other client is asked: it knows the reason at once."""
    broker = Broker(settings.connection())
    await broker.start()
    await broker.stop()


def create_topics(topology: Topology, settings: Settings, *, partitions: int, replicas: int) -> list[str]:
    """Make what is missing; the names that were made."""
    with admin(settings) as client:
        there = {each["name"]: len(each["partitions"]) for each in client.describe_topics()}
        partitions = there.get(base_of(topology), partitions)
        raw = next((there[name] for name in raw_of(topology) if name in there), partitions)
        missing = [each for each in needed(topology, partitions, raw) if each.name not in there]
        made: list[str] = []
        for each in missing:
            try:
                client.create_topics(
                    [NewTopic(each.name, each.partitions or partitions, replicas, topic_configs=dict(each.settings))]
                )
            except TopicAlreadyExistsError:
                continue
            made.append(each.name)
        return made


def differences(topology: Topology, settings: Settings) -> list[Difference]:
    """What is missing or otherwise than the topology needs."""
    with admin(settings) as client:
        there = {each["name"]: each for each in client.describe_topics()}
        base = there.get(base_of(topology))
        count = len(base["partitions"]) if base else 0
        raw = next((len(there[name]["partitions"]) for name in raw_of(topology) if name in there), count)
        found: list[Difference] = []
        for each in needed(topology, count, raw):
            topic = there.get(each.name)
            if topic is None:
                found.append(Difference(each.name, each.role, "does not exist"))
            elif count and len(topic["partitions"]) != each.partitions:
                found.append(
                    Difference(
                        each.name, each.role, f"has {len(topic['partitions'])} partitions, and needs {each.partitions}"
                    )
                )
            else:
                found += _settings(client, each)
        return found


def _settings(client: Any, each: Needed) -> list[Difference]:
    if not each.settings:
        return []
    answer = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, each.name)])
    has = _values(answer, each.name)
    return [
        Difference(each.name, each.role, f"has {name}={has[name]}, and needs {value}")
        for name, value in each.settings.items()
        if name in has and has[name] != value
    ]


def _values(answer: Any, topic: str) -> Mapping[str, str]:
    """kafka-python gives configurations as nested mappings; take the flat names and values."""
    for kind in answer.values() if isinstance(answer, dict) else ():
        found = kind.get(topic) if isinstance(kind, dict) else None
        if isinstance(found, dict):
            return {name: each["value"] if isinstance(each, dict) else str(each) for name, each in found.items()}
    return {}


_OPERATIONS: Final = {"DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS}
_RESOURCES: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


def acls(found: Iterable[Right], principal: str) -> list[ACL]:
    """Rights as the broker keeps them: one a resource and operation, from any host."""
    return [
        ACL(
            principal,
            "*",
            _OPERATIONS.get(operation) or ACLOperation[operation.upper()],
            ACLPermissionType.ALLOW,
            ResourcePattern(
                _RESOURCES[each.resource],
                each.name,
                ACLResourcePatternType.PREFIXED if each.prefixed else ACLResourcePatternType.LITERAL,
            ),
        )
        for each in found
        for operation in each.operations
    ]


def grant(found: Iterable[Right], principal: str, settings: Settings) -> None:
    """Give somebody these rights. Raises DefinitionError where whoever asks may not, or the broker has no authorizer."""
    with admin(settings) as client:
        try:
            failed = client.create_acls(acls(found, principal))["failed"]
        except KafkaError as error:
            failed = [error]
    if failed:
        raise DefinitionError(
            f"rights on {settings.broker}",
            [f"not granted ({failed[0]!r}): that needs Alter on the cluster, and a broker with an authorizer"],
        )


def check_rights(topology: Topology, settings: Settings) -> None:
    """Raise DefinitionError with every right that is missing. A connection in the clear has no name, and none to lack."""
    if settings.security == "plaintext":
        return
    with admin(settings) as client:
        problems = list(lacking(client, rights(topology)))
    if problems:
        who = f"User:{settings.username}" if settings.username else "this client"
        raise DefinitionError(
            f"{who} lacks rights on {settings.broker}",
            [*problems, f"grant them: `rumbo acls TOPOLOGY --principal {who}` prints how"],
        )


def send_clock(topology: Topology, settings: Settings, at: Instant, partitions: int) -> None:
    """Write a clock record to every partition of the control topic: timers due at or before `at` fire once all is read."""
    producer = KafkaProducer(**settings.connection())
    said = json.dumps({"type": "clock", "at": isoformat(at)}).encode()
    for number in range(partitions):
        producer.send(topology.outputs.control, value=said, partition=number)
    producer.flush()
    producer.close()
