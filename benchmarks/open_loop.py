"""Latency at a fixed rate: from the instant that an input was to be sent, to the instant that a `read_committed` reader has the output."""

from __future__ import annotations

import pickle
import random
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.compare import compare
from benchmarks.engines import PEERS, ROOT, RUMBO, Engine, Run
from benchmarks.generate import PARTITIONS, START_MS, _event, murmur2
from benchmarks.modes import fresh, start
from benchmarks.process import Worker, wait_for
from benchmarks.topics import Input, Kafka

WARM = 0.25
"""The first quarter is not counted: start-up, caches, the JVM's compiler."""
OURS = ("viewer",)
"""Helpers that need a library which the peers have not (an HTTP client), and nothing of Rumbo."""
DEFAULT_COMMIT_MS = 100
"""What Kafka Streams commits by with exactly once unless told otherwise: the drain's second would be its latency."""


def open_loop(
    kafka: Kafka, engine: Engine, rate: float, seconds: float, more: Iterable[Callable[[Run], tuple[str, ...]]] = (), **options: int
) -> dict[str, Any]:
    """One engine at one rate; the topic is empty before. *more*: other helpers that begin with the loader, as their commands."""
    events = int(rate * seconds) // 100 * 100
    topic = f"open-{engine.key}-{time.time_ns()}"
    kafka.create([topic, f"{topic}.dlq"])
    given = kafka.expect(topic, events)
    with fresh(kafka, engine, given, commit_ms=DEFAULT_COMMIT_MS, **options) as run:
        file = run.folder / "found"
        began = [_helper("loader", kafka.boot, topic, str(events), str(rate)), *(_helper(*each(run)) for each in more)]
        helpers = [*began, _helper("reader", kafka.boot, str(file), *run.outputs)]
        worker = start(engine, run)
        try:
            for each in helpers:
                _said(each, "ready")
            primed(kafka, run, engine, topic)
            lags, begin, cpu = _at_rate(engine, run, given, worker, began, rate)
        finally:
            worker.stop()
            for each in helpers:
                each.terminate()
            for each in helpers:
                each.wait(30)
        told = _figures(engine, given, run, file, begin, rate)
        return {"rate": rate, "events": events, "held": not figures.grows(lags, rate), "cpu_share": cpu, **told}


def primed(kafka: Kafka, run: Run, engine: Engine, topic: str) -> float:
    """Send a record of a new customer to each partition, and give the instant when the outputs of all are there."""
    who: dict[int, str] = {}
    tails = kafka.tails(run.outputs)
    for number in range(10_000):
        name = f"p{number:03d}{time.time_ns() % 1_000_000_000}"
        who.setdefault(murmur2(name.encode()) % PARTITIONS, name)
        if len(who) == PARTITIONS:
            break
    kafka.send(topic, [(partition, name, _signed_up(name)) for partition, name in who.items()])
    return _await(kafka.watch(tails), engine, set(who.values()))


def _signed_up(who: str) -> bytes:
    """A record that brings the `welcome` of a customer who is new."""
    return _event(random.Random(0), "Signed Up", time.time_ns() % 10_000_000_000, who, START_MS)


def _await(outputs: Iterator[tuple[str, bytes | None]], engine: Engine, missing: set[str], seconds: float = 300) -> float:
    until = time.monotonic() + seconds
    for topic, value in outputs:
        if value is not None:
            found = engine.parse(topic, value)
            missing.discard(found.customer if found else "")
        if not missing:
            return time.time()
        if time.monotonic() > until:
            raise TimeoutError(f"{engine.name}: no output for {missing} after {seconds:.0f} s")
    raise AssertionError("a watch does not end")


def _at_rate(engine: Engine, run: Run, given: Input, worker: Worker, began: list[subprocess.Popen[str]], rate: float) -> tuple[list[tuple[float, int]], float, float]:
    """Let the loader (and who begins with it) go, and look at the lag each half second: the lags, when it began, the share of a core."""
    begin = time.time() + 0.5
    for each in began:
        assert each.stdin is not None
        each.stdin.write(f"{begin}\n")
        each.stdin.flush()
    time.sleep(max(begin - time.time(), 0))
    lags, cpu = [], worker.cpu()
    until = begin + given.events / rate
    while time.time() < until:
        time.sleep(0.5)
        worker.check()
        done = run.kafka.committed(run.name, given.topic) - PARTITIONS if engine.tells else 0
        behind = min(int((time.time() - begin) * rate), given.events) - done
        if time.time() > begin + WARM * (until - begin):
            lags.append((time.time() - begin, behind))
    share = (worker.cpu() - cpu) / (time.time() - begin)
    for each in began:
        _said(each, "sent")
    if engine.tells:
        wait_for(lambda: run.kafka.committed(run.name, given.topic) >= given.events + PARTITIONS, 120, f"the end of {engine.name}'s lag", 0.2)
    time.sleep(1.5)  # for the reader
    return (lags if engine.tells else [(each, 0) for each in range(3)]), begin, share


def _figures(engine: Engine, given: Input, run: Run, file: Path, begin: float, rate: float) -> dict[str, Any]:
    found, latencies = [], []
    for at, topic, value in pickle.loads(file.read_bytes()):
        output = engine.parse(topic, value)
        if output is None or output.customer.startswith("p"):
            continue
        found.append(output)
        number = int(output.message.removeprefix("m-"))
        if number >= WARM * given.events:
            latencies.append((at - begin - number / rate) * 1000)
    latencies.sort()
    if not latencies or latencies[0] < 0:
        raise RuntimeError(f"{engine.name}: {len(latencies)} outputs, the first {latencies[:1]} ms after its input was due")
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    told = {name: figures.percentile(latencies, share) for name, share in shares.items()}
    return {**told, "outputs": len(latencies), "found": compare(given.reference, found, engine.dead(run))}


def _helper(name: str, *arguments: str) -> subprocess.Popen[str]:
    command = [str(RUMBO if name in OURS else PEERS), "-m", f"benchmarks.{name}", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def _said(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line != word:
        raise RuntimeError(f"{process.args!r} said {line!r} instead of {word!r}")
