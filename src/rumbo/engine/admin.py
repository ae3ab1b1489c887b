"""Making topics and writing clock records: what `rumbo topics`, the demo and the tests ask of a broker. By kafka-python, blocking."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from rumbo.config import Settings
from rumbo.core.instant import Instant, isoformat
from rumbo.engine.broker import Needed, base_of, needed, raw_of
from rumbo.errors import BrokerError
from rumbo.topology import Topology


class Difference(msgspec.Struct, frozen=True):
    """One topic as it is against as it should be."""

    topic: str
    role: str
    problem: str


@contextmanager
def admin(settings: Settings) -> Iterator[Any]:
    """An admin client, given back at the end. Raises BrokerError where there is no broker."""
    try:
        client = KafkaAdminClient(**settings.connection())
    except (KafkaError, OSError) as error:
        raise BrokerError(
            f"no Kafka at {settings.broker} ({error}); is it running, and is RUMBO__BROKER right?"
        ) from None
    try:
        yield client
    finally:
        client.close()


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


def send_clock(topology: Topology, settings: Settings, at: Instant, partitions: int) -> None:
    """Write a clock record to every partition of the control topic: timers due at or before `at` fire once all is read."""
    producer = KafkaProducer(**settings.connection())
    said = json.dumps({"type": "clock", "at": isoformat(at)}).encode()
    for number in range(partitions):
        producer.send(topology.outputs.control, value=said, partition=number)
    producer.flush()
    producer.close()
