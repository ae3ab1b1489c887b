"""A topology on a real Kafka for one test: topics of its own, a worker as a process, readers that know nothing of Rumbo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from rumbo.config import Settings, settings
from rumbo.core.instant import parse_instant
from rumbo.engine.admin import create_topics, send_clock
from rumbo.topology import Topology, load
from tests.broker.cluster import die_with_parent, free_port

PARTITIONS = 4
ROOT = Path(__file__).parents[2]


class Bench:
    """One test's world. Names are unique, so tests share a broker without meeting."""

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        template: str,
        *,
        edit=lambda text: text,
        journey: str | None = None,
        replicas: int = 1,
        known: Settings | None = None,
        mark: str = "",
        create: bool = True,
    ) -> None:
        self.bootstrap, self.folder = bootstrap, folder
        self.mark = mark or uuid.uuid4().hex[:8]
        self.topology_folder = folder / "topology"
        self.topology_folder.mkdir()
        for path in (ROOT / "topologies" / template).glob("*.yaml"):
            text = path.read_text()
            if path.name == "topology.yaml":
                text = edit(self._own(text, template))
            elif journey is not None:  # the template's examples would not fit it
                text = journey if path.name == "journey.yaml" else ""
            if text:
                (self.topology_folder / path.name).write_text(text)
        self.topology: Topology = load(self.topology_folder)
        self.settings = known or settings(
            {}, broker=bootstrap, insecure=True
        )  # brokers may have addresses of their own
        if create:
            create_topics(self.topology, self.settings, partitions=PARTITIONS, replicas=replicas)
        self.source = self.topology.sources[0].topic
        self.workers: list[Worker] = []
        self.door = ""
        """Bootstrap servers of the workers started from now on, where they are others."""
        self.patience = 30.0
        """Seconds for reading a topic."""
        self.under: Sequence[str] = ()
        """The command that runs each worker started from now on, and `inside`, where its port is reached: a network namespace."""
        self.inside: Callable[[], AbstractContextManager[object]] = nullcontext

    def _own(self, text: str, template: str) -> str:
        names = (
            "transitions",
            "scores",
            "actions",
            "suppressed",
            "corrections",
            "progress",
            "control",
            "events",
            *(["accounts"] if "\naccounts:" in text else []),  # an older version does not know them
        )
        outputs = ", ".join(f"{name}: {self.mark}.{name}" for name in names)
        text = text.replace(f"topology: {template}", f"topology: {template}-{self.mark}")
        for topic in ("benchmark-input", "product-events", "grocery-events"):
            text = text.replace(topic, f"{self.mark}.{topic}")
        return f"{text}\noutputs: {{{outputs}}}\n"

    def produce(self, records: Iterable[tuple[int, bytes | None, bytes | None]]) -> None:
        """Write (partition, key, value) to the source topic."""
        producer = KafkaProducer(**self.settings.connection(), linger_ms=5, batch_size=200_000)
        for partition, key, value in records:
            producer.send(self.source, key=key, value=value, partition=partition)
        producer.flush()
        producer.close()

    def clock(self, instant: str) -> None:
        """Write a clock record to every partition."""
        send_clock(self.topology, self.settings, parse_instant(instant), PARTITIONS)

    def worker(self, name: str = "one", **environment: str | None) -> Worker:
        """Start a worker with a state directory of its own; a setting that is None is not set."""
        made = Worker(self, name, environment)
        self.workers.append(made)
        return made

    def read(self, topic: str, *, committed: bool = True) -> list:
        """Every record of a topic, partition by partition, read by kafka-python."""
        isolation = "read_committed" if committed else "read_uncommitted"
        consumer = KafkaConsumer(
            **self.settings.connection(), isolation_level=isolation, enable_auto_commit=False, auto_offset_reset="none"
        )
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, 0)
        found = []
        until = time.monotonic() + self.patience
        while any(consumer.position(place) < ends[place] for place in places):
            assert time.monotonic() < until, f"{topic}: a transaction hangs, or the broker does"
            found += [record for records in consumer.poll(200, max_records=10_000).values() for record in records]
        consumer.close()
        return found

    def decisions(self, *, committed: bool = True) -> list[dict]:
        """Every decision written, as JSON."""
        topics = self.topology.outputs.decisions
        return [json.loads(record.value) for topic in topics for record in self.read(topic, committed=committed)]

    def stop(self) -> None:
        """End every worker."""
        for worker in self.workers:
            worker.end()


class Worker:
    """A worker process, and what it says of itself."""

    def __init__(self, bench: Bench, name: str, environment: Mapping[str, str | None]) -> None:
        self.name, self.state, self.port = name, bench.folder / f"state-{name}", free_port()
        self.log = bench.folder / f"{name}-{len(bench.workers)}.log"
        self._bench = bench
        self.inside = bench.inside
        settings_ = {
            "RUMBO__SESSION_TIMEOUT": "6",
            "RUMBO__REBALANCE_TIMEOUT": "10",
            "RUMBO__INSTANCE": name,
            **environment,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *bench.under, sys.executable, "-m", "rumbo.cli", "run", str(bench.topology_folder), "--broker", bench.door or bench.bootstrap,
                    "--state-dir", str(self.state), "--web-port", str(self.port),
                ],
                stdout=log, stderr=log, cwd=ROOT, preexec_fn=die_with_parent,  # noqa: PLW1509  workers are started from one thread
                env={**os.environ, **{key: value for key, value in settings_.items() if value is not None}},
            )  # fmt: skip

    def metric(self, name: str, **labels: str) -> float | None:
        """The sum of a metric over its series that have these labels; None while the worker does not answer."""
        try:
            with self.inside(), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = [
            line
            for line in lines
            if line.startswith((f"{name} ", f"{name}{{")) and all(each in line for each in wanted)
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found) if found else 0.0

    def until(self, condition, seconds: float = 60) -> None:
        """Wait until a condition holds; fails with the worker's log when it ends or time is over."""
        until = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"exit {self.process.poll()}:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)  # polling another process, not waiting for a guess

    def owns(self, count: int = PARTITIONS) -> bool:
        """Whether so many partitions are assigned and recovered."""
        return self.metric("rumbo_partitions_assigned") == count

    def kill(self) -> None:
        """As a crash would."""
        self.process.kill()
        self.process.wait()

    def wait(self, seconds: float = 60) -> int:
        """The exit code, when it has ended by itself."""
        return self.process.wait(seconds)

    def end(self, seconds: float = 15) -> int:
        """SIGTERM and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def positions(bench: Bench) -> int:
    """How many source records have been taken, by the last position record of each partition in the changelog."""
    from rumbo.engine import position
    from rumbo.engine.broker import changelog_of
    from rumbo.engine.store import POSITION_KEY

    last = {
        record.partition: record.value
        for record in bench.read(changelog_of(bench.topology))
        if record.key == POSITION_KEY
    }
    return sum(position.load(value).sources[bench.source].next for value in last.values())
