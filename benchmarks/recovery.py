"""How long a worker takes until it answers: started on nothing, on its own directory after kill -9, and on an empty one."""

from __future__ import annotations

import shutil
import time
from typing import Any

from benchmarks.engines import Engine, Run
from benchmarks.modes import follow, fresh, start
from benchmarks.open_loop import primed
from benchmarks.process import Worker
from benchmarks.topics import Kafka

SESSION_MS = 6_000


def recovery(kafka: Kafka, engine: Engine, events: int, customers: int | None) -> dict[str, Any]:
    """Seconds from the start of the process to the first outputs of all partitions: started new, killed, and wiped; and per million profiles."""
    mark = f"{time.time_ns()}"
    own, empty = f"recovery-{mark}", f"empty-{mark}"  # the probes must not be in the input of others
    kafka.create([empty, f"{empty}.dlq", f"{own}.dlq"])
    given = kafka.load(own, events, customers=customers)
    with fresh(kafka, engine, given._replace(topic=empty), session_ms=SESSION_MS, commit_ms=100) as run:
        new = _answer(kafka, engine, run, empty)
    with fresh(kafka, engine, given, session_ms=SESSION_MS, commit_ms=100) as run:
        worker = start(engine, run)
        try:
            follow(engine, run, given, [worker])
            time.sleep(2)  # the last commit
        finally:
            worker.kill()
        _gone(run)
        warm = _answer(kafka, engine, run, own)
        for each in run.folder.glob("state-*"):
            shutil.rmtree(each)
        wiped = _answer(kafka, engine, run, own)
    return {
        "events": events, "customers": given.customers, "start_new": new, "start_warm": warm, "start_wiped": wiped,
        "per_million": (wiped - new) / given.customers * 1e6, "found": {},
    }  # fmt: skip


def _answer(kafka: Kafka, engine: Engine, run: Run, topic: str) -> float:
    """Start a worker, ask each partition for an output, and stop it by kill -9."""
    begun = time.time()
    worker: Worker = start(engine, run)
    try:
        return primed(kafka, run, engine, topic) - begun
    finally:
        worker.kill()
        _gone(run)


def _gone(run: Run) -> None:
    """Until the group has given up the member that was killed: its session is not what is measured."""
    time.sleep(SESSION_MS / 1000 + 1.5)


