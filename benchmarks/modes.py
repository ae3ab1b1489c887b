"""What is measured, one function a mode: each runs one engine once and gives a row of figures, with its outputs held against the reference."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.compare import compare
from benchmarks.engines import Engine, Run
from benchmarks.process import Worker
from benchmarks.topics import Input, Kafka

LOOK_SECONDS = 0.1
LIMIT_SECONDS = 900
WRONG = ("missing", "extra", "twice", "scores_off", "dead_letters_off")


@contextmanager
def fresh(kafka: Kafka, engine: Engine, given: Input, **options: int) -> Iterator[Run]:
    """A run with a group, topics and a folder of its own, all gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{engine.key}-"))
    run = Run(kafka, f"b{uuid.uuid4().hex[:8]}", folder, given.topic, **options)
    try:
        engine.prepare(run)
        yield run
    finally:
        kafka.forget(run.name)
        kafka.delete(run.name)
        shutil.rmtree(folder, ignore_errors=True)


def start(engine: Engine, run: Run, number: int = 0, workers: int = 1) -> Worker:
    """Start one worker of the engine."""
    command, env = engine.start(run, number)
    return Worker(command, env, run.folder / f"worker-{number}.log", workers)


def consumed(engine: Engine, run: Run, given: Input, written: int) -> int:
    """How many records the engine has consumed: by its group's offsets, or by what it has written."""
    if engine.tells:
        return run.kafka.committed(run.name, given.topic)
    return figures.consumed_by(given.curve, written) * given.events // 100


def follow(engine: Engine, run: Run, given: Input, workers: list[Worker]) -> list[figures.Sample]:
    """Look at the workers until everything is consumed."""
    begun, made = time.monotonic(), []
    topics = [*run.outputs, *([] if engine.key == "rumbo" else [run.dead])]
    while not made or made[-1].consumed < given.events:
        for worker in workers:
            worker.check()
        if time.monotonic() - begun > LIMIT_SECONDS:
            raise TimeoutError(f"{engine.name} had consumed {made[-1].consumed} of {given.events} after {LIMIT_SECONDS} s:\n{workers[0].tail()}")
        wall, before = time.monotonic() - begun, _cpu(workers)
        written = run.kafka.ends(topics) if not engine.tells or not made or not made[-1].written else made[-1].written
        made.append(figures.Sample(wall, before, consumed(engine, run, given, written), written, _cpu(workers)))
        time.sleep(LOOK_SECONDS)
    return made


def _cpu(workers: list[Worker]) -> float:
    return sum(each.cpu() for each in workers)


def check(engine: Engine, run: Run, given: Input) -> dict[str, int]:
    """The outputs against the reference."""
    written, dead = engine.read(run)
    return compare(given.reference, written, dead)


def drain(kafka: Kafka, engine: Engine, given: Input, *, workers: int = 1, state: bool = False, **options: int) -> dict[str, Any]:
    """The topic is loaded; a fresh group, an empty state: until all is consumed and written. What it left is looked at where *state* is asked for."""
    with fresh(kafka, engine, given, **options) as run:
        running: list[Worker] = []
        try:
            running += [start(engine, run, number, workers) for number in range(workers)]
            samples = follow(engine, run, given, running)
            now, most = (sum(each) for each in zip(*(worker.memory() for worker in running), strict=True))
        finally:
            for worker in running:
                worker.stop()
        told = figures.drain(samples, given.events)
        return {
            **told._asdict(), **(_state(run, given) if state else {}), "rss": now, "rss_max": most, "events": given.events, "customers": given.customers,
            "found": check(engine, run, given),
        }  # fmt: skip


def _state(run: Run, given: Input) -> dict[str, float]:
    """What a run left: bytes on disk, and what is in its changelog (records, and the bytes of the last value of each key)."""
    stores = sum(each.stat().st_size for each in run.folder.glob("state-*/**/*") if each.is_file())
    topics = [each for each in run.kafka.names() if run.name in each and "changelog" in each]
    records, last = 0, {}
    for message in run.kafka.read(topics):
        records += 1
        last[message.topic(), message.key()] = len(message.key() or b"") + len(message.value() or b"")
    return {
        "store_bytes": stores / given.customers, "changelog_bytes": sum(last.values()) / given.customers, "changelog_records": records / given.events,
    }  # fmt: skip
