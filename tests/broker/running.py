"""Workers as processes of their own, and what stands in topics, for broker tests. Reads and writes by kafka-python: another client than the worker's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from rumbo.config import settings
from rumbo.engine.admin import create_topics
from rumbo.topology import Topology
from tests.broker.shop import PARTITIONS, Line


class Process:
    """One worker. Killed at the end of the block, whatever happened."""

    def __init__(self, folder: Path, broker: str, state: Path, **environment: str) -> None:
        self.log = state.with_suffix(f".{time.monotonic_ns()}.log")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        told = {f"RUMBO__{name.upper()}": value for name, value in environment.items()}
        known = {"RUMBO__BROKER": broker, "RUMBO__STATE_DIR": str(state), "RUMBO__WEB_PORT": "0", "RUMBO__SESSION_TIMEOUT": "6"}
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rumbo.cli", "run", str(folder)], stdout=out, stderr=out, env={**os.environ, **known, **told}
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """As a crash would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds: float) -> int:
        """SIGTERM; the exit code. Fails when it takes longer than *seconds*."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def said(self) -> str:
        """What it wrote."""
        return self.log.read_text(errors="replace")


class Topics:
    """The topics of one topology on a broker."""

    def __init__(self, broker: str, topology: Topology) -> None:
        self.broker, self.topology = broker, topology

    def make(self) -> None:
        """Create the source, then everything else."""
        admin = KafkaAdminClient(bootstrap_servers=self.broker)
        try:
            admin.create_topics([NewTopic(source.topic, PARTITIONS, 1) for source in self.topology.sources])
        finally:
            admin.close()
        create_topics(self.topology, settings({}, broker=self.broker), partitions=PARTITIONS, replicas=1)

    def write(self, lines: Iterable[Line], topic: str | None = None) -> None:
        """Append records to the (first) source."""
        producer = KafkaProducer(bootstrap_servers=self.broker, linger_ms=5)
        for line in lines:
            producer.send(topic or self.topology.sources[0].topic, key=line.key, value=line.value, partition=line.partition)
        producer.flush()
        producer.close()

    def say(self, text: dict[str, Any]) -> None:
        """Write a control record to every partition."""
        self.write([Line(number, b"", json.dumps(text).encode()) for number in range(PARTITIONS)], self.topology.outputs.control)

    def read(self, *topics: str) -> list[Any]:
        """Everything committed in these topics, partition by partition, in order; every transaction must have ended."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.broker, group_id=None, isolation_level="read_committed", enable_auto_commit=False
        )
        try:
            places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            found: list[Any] = []
            while any(consumer.position(each) < ends[each] for each in places):
                for records in consumer.poll(timeout_ms=200).values():
                    found += records
            return sorted(found, key=lambda record: (record.topic, record.partition, record.offset))
        finally:
            consumer.close()

    def decisions(self) -> list[str]:
        """The ids of all decisions."""
        return [json.loads(record.value)["id"] for record in self.read(*self.topology.outputs.decisions)]

    def dead_letters(self) -> list[Any]:
        """All dead letters."""
        return self.read(*(source.dead_letters for source in self.topology.sources))

    def input(self) -> list[tuple[int, int, int, bytes, bytes]]:
        """The first source as it stands."""
        return [(each.partition, each.offset, each.timestamp, each.key, each.value) for each in self.read(self.topology.sources[0].topic)]

    def consumed(self) -> dict[int, int]:
        """How far each partition of the first source was read, by its progress records."""
        at: dict[int, int] = {}
        for record in self.read(self.topology.outputs.progress):
            end = json.loads(record.value)["sources"].get(self.topology.sources[0].topic)
            if end is not None:
                at[record.partition] = end[1]
        return at


def until(holds: Callable[[], bool], seconds: float, what: str, *watched: Process) -> None:
    """Wait for something, a while; fail with what the workers said when it does not come or one of them has ended."""
    deadline = time.monotonic() + seconds
    while not holds():
        dead = [each for each in watched if each.process.poll() is not None]
        if dead or time.monotonic() > deadline:
            told = "\n".join(each.said()[-3000:] for each in watched)
            raise AssertionError(f"{what}: {'a worker ended' if dead else f'not within {seconds} s'}\n{told}")
        time.sleep(0.1)
