"""Two workers with names are restarted one by one under traffic: the others' partitions go on, and nothing counts twice or not at all."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from itertools import islice, pairwise

import pytest
from kafka import KafkaProducer

from benchmarks.generate import generate
from tests.broker.bench import PARTITIONS, positions

pytestmark = [pytest.mark.broker, pytest.mark.long]
STATED = {"whole": 2.0, "others": 3.0, "own": 20.0}
"""Seconds that docs/operating.md states: with no commit anywhere; of a partition whose worker is left alone; of one whose worker restarts."""
EVENTS, BURST = 30_000, 20
PAUSE = 0.05
"""Seconds between bursts."""


class Traffic:
    """Records for every partition, steadily, until it is told to stop."""

    def __init__(self, bench):
        self._bench, self._over, self.sent = bench, threading.Event(), 0
        self._thread = threading.Thread(target=self._produce)

    def _produce(self):
        producer = KafkaProducer(**self._bench.settings.connection(), linger_ms=5)
        for bunch in batched(generate(EVENTS, seed=17), BURST):
            for each in bunch:
                producer.send(self._bench.source, key=each.key, value=each.value, partition=each.partition)
            self.sent += len(bunch)
            if self._over.wait(PAUSE):
                break
        producer.close()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def batched(records, size):
    """A few at a time."""
    records = iter(records)
    while bunch := list(islice(records, size)):
        yield bunch


def stalls(bench, begin, end):
    """The longest time without a commit between two instants (ms): of each partition, and of all together. By the broker's append times."""
    commits = defaultdict(list)
    for record in bench.read(bench.topology.outputs.progress):
        if begin <= record.timestamp <= end:
            commits[record.partition].append(record.timestamp)
    own = {
        number: max(after - before for before, after in pairwise([begin, *sorted(times), end])) / 1000
        for number, times in commits.items()
    }
    whole = sorted(each for times in commits.values() for each in times)
    return own, max(after - before for before, after in pairwise([begin, *whole, end])) / 1000


def latest(bench):
    """The append time of the last commit."""
    return max(record.timestamp for record in bench.read(bench.topology.outputs.progress))


def test_a_rolling_restart_stops_nobody_else(world):
    """Restarted within its session, a worker gets its partitions back; the other one's go on meanwhile."""
    bench = world("benchmark")
    named = {"RUMBO__SESSION_TIMEOUT": "30", "RUMBO__REBALANCE_TIMEOUT": "30"}
    one, two = bench.worker("one", **named), bench.worker("two", **named)
    for worker in (one, two):
        worker.until(lambda worker=worker: worker.owns(PARTITIONS // 2))
    with Traffic(bench) as traffic:
        for worker in (one, two):
            worker.until(lambda worker=worker: (worker.metric("rumbo_events_processed_total") or 0) > 0)
        found = {}
        for name in ("one", "two"):
            old = next(each for each in reversed(bench.workers) if each.name == name)
            begin = latest(bench)
            assert old.end() == 0
            new = bench.worker(name, **named)
            new.until(lambda new=new: new.owns(PARTITIONS // 2))
            back = latest(bench)
            new.until(lambda back=back: len(stalls(bench, back, latest(bench))[0]) == PARTITIONS)
            found[name] = stalls(bench, begin, latest(bench))
    for own, whole in found.values():
        still = sorted(own.values())
        print(f"longest without a commit: all together {whole:.2f} s, each partition {still}")
        assert whole < STATED["whole"]
        assert max(still[: PARTITIONS // 2]) < STATED["others"]
        assert max(still) < STATED["own"]
    workers = bench.workers[-2:]
    for worker in workers:
        worker.until(lambda: positions(bench) == traffic.sent)
    assert max(Counter(each["id"] for each in bench.decisions()).values()) == 1
    assert [each.end() for each in workers] == [0, 0]
