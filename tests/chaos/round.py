"""One round of a scenario: a topology of its own under steady traffic, workers that are started again when they end, and the oracle at the end.

A scenario says what goes wrong; everything that is the same for all of them is here. It never judges: that is the oracle's.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from benchmarks.generate import Produced, generate
from rumbo.core.instant import parse_instant
from rumbo.engine import position as record
from rumbo.engine.broker import changelog_of
from rumbo.engine.store import POSITION_KEY
from tests.broker.bench import PARTITIONS, ROOT, Bench, Worker
from tests.broker.cluster import Cluster
from tests.chaos.network import Network
from tests.chaos.oracle import Verdict, ask, judge

END = "2026-01-02T00:00:00Z"
"""A day after the first event: whoever has gone quiet is noticed by then."""
CUSTOMERS, HISTORY = 300, 200_000
LATER = {"status": 503}
RESTARTED = {69, 70}
"""Exit codes after which a supervisor starts a worker again (`docs/operating.md`)."""
JOURNEY = (
    (ROOT / "topologies" / "benchmark" / "journey.yaml").read_text()
    + """\
  - {id: gone_quiet, absence: {of: Page Viewed, for: 20m}, action: {kind: message, template: miss_you}, policy: service}
"""
)


def events(seed: int) -> Iterator[Produced]:
    """The benchmark's job without the producer's repeats, which would hide a record that the engine reads twice."""
    seen: set[bytes] = set()
    for each in generate(HISTORY, customers=CUSTOMERS, seed=seed):
        if each.value not in seen:
            seen.add(each.value)
            yield each


class Traffic:
    """Records that keep coming, at so many a second, until told to stop."""

    def __init__(self, bench: Bench, source: Iterator[Produced], rate: float) -> None:
        self._bench, self.source, self._rate = bench, source, rate
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self.sent = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """No more; what was sent is written, or given up."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        producer = KafkaProducer(
            bootstrap_servers=self._bench.bootstrap, linger_ms=5, acks="all", enable_idempotence=True
        )
        began = time.monotonic()
        while not self._over.wait(0.02):
            wanted = int((time.monotonic() - began) * self._rate)
            for each in (next(self.source) for _ in range(min(wanted - self.sent, 500))):
                producer.send(self._bench.source, key=each.key, value=each.value, partition=each.partition)
                self.sent += 1
            if wanted - self.sent > self._rate:  # the broker was away: no flood afterwards
                began = time.monotonic() - self.sent / self._rate
        try:
            producer.flush(60)
        except KafkaError:
            pass  # what was not written is not in the topic, and the oracle reads the topic
        producer.close()


class Followed:
    """The last committed value of each key of a compacted topic, read on from where the last look ended."""

    def __init__(self, bench: Bench, topic: str) -> None:
        self._bench = bench
        self._places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        self._consumer: KafkaConsumer | None = None
        self._values: dict[tuple[int, bytes], bytes | None] = {}

    def now(self) -> dict[tuple[int, bytes], bytes | None]:
        """As it is now, by partition and key. Raises AssertionError where a transaction hangs, or the broker."""
        until = time.monotonic() + self._bench.patience
        while True:
            try:
                self._read(until)
            except KafkaError:  # it is away: ask anew
                self.close()
                assert time.monotonic() < until
            else:
                return self._values

    def _read(self, until: float) -> None:
        consumer = self._consumer
        if consumer is None:
            consumer = self._consumer = KafkaConsumer(
                bootstrap_servers=self._bench.bootstrap,
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="none",
            )
            consumer.assign(self._places)
            for place in self._places:
                consumer.seek(place, 0)
            self._values = {}
        ends = consumer.end_offsets(self._places)
        while any(consumer.position(place) < ends[place] for place in self._places):
            assert time.monotonic() < until, f"{self._places[0].topic}: a transaction hangs, or the broker does"
            for records in consumer.poll(200, max_records=10_000).values():
                self._values.update({(each.partition, each.key): each.value for each in records})

    def close(self) -> None:
        """Ask no more, or from the beginning."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


class Round:
    """Workers, traffic and faults on one topology."""

    def __init__(
        self, cluster: Cluster, folder: Path, seed: int, *, rate: float = 300, edit: Callable[[str], str] = str
    ) -> None:
        self.cluster, self.folder, self.seed, self.chance = cluster, folder, seed, random.Random(seed)
        self.bench = Bench(
            cluster.bootstrap, folder, "benchmark", journey=JOURNEY, replicas=len(cluster.nodes), edit=edit
        )
        self.traffic = Traffic(self.bench, events(seed), rate)
        self.workers: dict[str, Worker] = {}
        self.changelog = Followed(self.bench, changelog_of(self.bench.topology))
        self.bench.patience = 120  # a broker may be away
        self.away: Network | None = None
        """Where the worker `away` runs."""
        self.door = ""
        """By which bootstrap servers it reaches the brokers, where a proxy stands before them."""
        self._how: dict[str, tuple[str, dict[str, str | None], float]] = {}
        self.faults = self.restarts = 0
        self.recoveries: list[float] = []
        self.ends: list[float] = []
        self.sentences: list[str] = []
        """What workers said as they ended by themselves."""
        self.figures: dict[str, Any] = {}
        """Whatever else a scenario measures."""
        self.repeats = False
        """Whether the scenario produces repeats on purpose."""
        self.expected = ""
        """What a worker may say as it is told to end, for then it has met the fault: a store's damage, a clock that the broker does not take."""

    # Workers ------------------------------------------------------------------------------------------------------------

    def start(self, name: str = "one", disk: str | None = None, **environment: str | None) -> Worker:
        """Start a worker of this name on a disk (its own, where none is named)."""
        settings: dict[str, str | None] = {
            "RUMBO__INSTANCE": name,
            "RUMBO__MAX_BATCH": "50",
            "RUMBO__WEB_RATE": "100000",
            "RUMBO__INSECURE": "true",
            **environment,
        }
        if name == "away" and self.away is not None:
            self.bench.under, self.bench.inside = self.away.under, self.away.inside
        else:
            self.bench.under, self.bench.inside = (), nullcontext
        self.bench.door = self.door if name == "away" else ""
        worker = self.workers[name] = self.bench.worker(disk or name, **settings)
        self._how[name] = disk or name, environment, time.monotonic()
        return worker

    def up(self, name: str = "one", seconds: float = 90) -> None:
        """Wait until a worker has partitions, and note how long it took from its start."""
        self.until(lambda: (self.workers[name].metric("rumbo_partitions_assigned") or 0) > 0, seconds)
        self.recoveries.append(round(time.monotonic() - self._how[name][2], 2))

    def work(self, disk: str | None = None, **environment: str | None) -> None:
        """Start worker `one` and wait until it has partitions and has committed something."""
        self.start("one", disk, **environment)
        self.up()
        self.moves()

    def kill(self, name: str = "one") -> None:
        """kill -9; it is not started again by itself."""
        self.workers.pop(name).kill()
        self.faults += 1

    def end(self, name: str = "one") -> bool:
        """SIGTERM: it must end within ten seconds, once it answers; one that is still starting just ends. Whether it ended in order."""
        worker = self.workers.pop(name)
        worker.until(lambda: worker.metric("rumbo_partitions_assigned") is not None)
        began = time.monotonic()
        code = worker.end(15)
        self.ends.append(round(time.monotonic() - began, 2))
        said = worker.log.read_text()[-500:]
        met = bool(self.expected) and code == 70 and self.expected in said
        assert code == 0 or met, f"SIGTERM: exit {code}: {said}"
        assert self.ends[-1] < 10, f"SIGTERM took {self.ends[-1]} s: {said}"
        return not met

    def tend(self) -> None:
        """Start again what has ended by itself, as a supervisor would. Raises AssertionError for an end that nobody may restart."""
        for name, worker in list(self.workers.items()):
            code = worker.process.poll()
            if code is None:
                continue
            said = worker.log.read_text()[-400:]
            assert code in RESTARTED, f"{name} ended with {code}: {said}"
            self.restarts += 1
            self.sentences.append(said.strip().splitlines()[-1][:300] if said.strip() else "")
            assert self.restarts < 60, f"it ends again and again: {said}"
            disk, environment, _ = self._how[name]
            self.start(name, disk, **{key: value for key, value in environment.items() if key != "RUMBO__FAILPOINT"})

    def until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Wait, tending the workers. Raises AssertionError with what they say."""
        until = time.monotonic() + seconds
        while not condition():
            self.tend()
            if time.monotonic() > until:
                logs = {name: worker.log.read_text()[-700:] for name, worker in self.workers.items()}
                raise AssertionError(f"never came to rest: {self.standing()}; {logs}")
            time.sleep(0.05)  # polling other processes, not waiting for a guess

    def go_on(self, seconds: float) -> None:
        """Let things happen for so long, tending the workers."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            time.sleep(0.05)

    def go_on_without(self, worker: Worker, seconds: float) -> None:
        """Wait so long for an end that may be of any kind; then kill it."""
        self.workers = {name: each for name, each in self.workers.items() if each is not worker}
        try:
            worker.process.wait(seconds)
        except subprocess.TimeoutExpired:
            worker.kill()

    def memory(self, name: str) -> int:
        """Resident memory of a worker in MiB; 0 when it is gone."""
        try:
            lines = Path(f"/proc/{self.workers[name].process.pid}/status").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)

    def uncommitted(self) -> int:
        """Decisions that only a reader of uncommitted data sees: what was aborted, and what is under way."""
        return len(self.bench.decisions(committed=False)) - len(self.bench.decisions())

    def state(self, name: str) -> Path:
        """The state directory of a disk."""
        return self.bench.folder / f"state-{name}"

    def wipe(self, name: str) -> None:
        """An empty disk."""
        shutil.rmtree(self.state(name), ignore_errors=True)

    # Progress -----------------------------------------------------------------------------------------------------------

    def positions(self) -> list[record.Position]:
        """The positions that the changelog holds."""
        changelog = self.changelog.now()
        return [record.load(changelog.get((number, POSITION_KEY))) for number in range(PARTITIONS)]

    def taken(self) -> int:
        """Where the positions stand together: more means that something was committed."""
        return sum(
            source.next
            for each in self.positions()
            for topic, source in each.sources.items()
            if topic == self.bench.source
        )

    def formats(self) -> set[int]:
        """Which formats the positions of the changelog are written in."""
        changelog = self.changelog.now()
        found = [changelog.get((number, POSITION_KEY)) for number in range(PARTITIONS)]
        return {msgspec.msgpack.decode(each)[0] for each in found if each is not None}

    def written(self, *numbers: int) -> int:
        """Where the source's partitions (all, or these) end together, as a reader of committed data sees them."""
        places = [TopicPartition(self.bench.source, number) for number in numbers or range(PARTITIONS)]
        consumer = KafkaConsumer(
            bootstrap_servers=self.bench.bootstrap, isolation_level="read_committed", enable_auto_commit=False
        )
        ends = consumer.end_offsets(places)
        consumer.close()
        return sum(ends.values())

    def moves(self, seconds: float = 60) -> None:
        """Wait until something more is committed than is now."""
        before = self.taken()
        self.until(lambda: self.taken() > before, seconds)

    def standing(self) -> str:
        """For the one who has to find out."""
        source = self.bench.source
        return "; ".join(
            f"{name}: exit {each.process.poll()}, owns {each.metric('rumbo_partitions_assigned')}, lag {each.metric('rumbo_consumer_lag_records', topic=source)}"
            for name, each in self.workers.items()
        )

    def settled(self) -> bool:
        """Every partition has an owner, everything is read and every timer due by the end has fired."""
        owned = [each.metric("rumbo_partitions_assigned") for each in self.workers.values()]
        if None in owned or sum(filter(None, owned)) != PARTITIONS:  # one that answers nothing may have ended
            return False
        if any(each.metric("rumbo_consumer_lag_records") for each in self.workers.values()):
            return False
        consumer = KafkaConsumer(
            bootstrap_servers=self.bench.bootstrap, isolation_level="read_committed", enable_auto_commit=False
        )
        places = [TopicPartition(self.bench.source, number) for number in range(PARTITIONS)]
        ends = consumer.end_offsets(places)
        consumer.close()
        stop = parse_instant(END)
        changelog = self.changelog.now()
        for number, place in enumerate(places):
            position = record.load(changelog.get((number, POSITION_KEY)))
            source = position.sources.get(self.bench.source)
            if source is None or source.next < ends[place] or position.clock < stop:
                return False
        dues = [int.from_bytes(value[:8], "big") for (_, key), value in changelog.items() if key[:1] == b"p" and value]
        return all(due == 0 or due > stop for due in dues)

    # The end ------------------------------------------------------------------------------------------------------------

    def finish(self) -> Verdict:
        """Quiet, a clock record, everything read; what is served is asked for; SIGTERM; the oracle."""
        self.traffic.stop()
        self.bench.clock(END)
        self.until(self.settled, 180)
        names = sorted({key[1:].decode() for _, key in self.changelog.now() if key[:2] == b"pc"})
        served: dict[str, Any] = {}

        def answered() -> bool:
            """Whether every customer was answered for; who is told to come back later (partitions may still move) does."""
            for worker in self.workers.values():  # the first forwards, where it reaches the others
                served.update(ask(worker, [name for name in names if served.get(name, LATER) == LATER]))
            return all(served.get(name, LATER) != LATER for name in names)

        self.until(answered, 60)
        for name in list(self.workers):
            while not self.end(name):
                self.start(name)
                self.up()
        return judge(self.bench, self.bench.folder.glob("state-*"), served, repeats=self.repeats)

    def stall(self) -> float:
        """The longest time, in seconds, in which some partition committed nothing although records came all the time."""
        times: dict[int, list[int]] = {}
        for each in self.bench.read(self.bench.topology.outputs.progress):
            times.setdefault(each.partition, []).append(each.timestamp)
        return max(
            (round((after - before) / 1000, 2) for each in times.values() for before, after in pairwise(sorted(each))),
            default=0.0,
        )

    def stop(self) -> None:
        """End everything, whatever happened."""
        self.traffic.stop()
        self.changelog.close()
        for worker in self.bench.workers:
            if worker.process.poll() is None:
                os.kill(worker.process.pid, signal.SIGCONT)
                worker.kill()
