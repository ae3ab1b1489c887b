"""Runs the job on every engine, on one real Kafka, and writes the tables.

    python -m benchmarks.runner short|full [--engines rumbo,quix,…] [--modes drain,…] [--events 400000] [--rounds 3] [--fresh]
    python -m benchmarks.runner report          write RESULTS.md again from the rows

Broker and loader on core 0, the engine on core 1. Each run is a row in rows.jsonl as soon as it is over, and RESULTS.md is written
from the rows; a plan that was interrupted goes on where it stopped when it is started again on the same commit. It needs
benchmarks/.venv (`make bench` makes it) and never imports Rumbo.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import KafkaException

from benchmarks import modes, report
from benchmarks.engines import ENGINES, Engine
from benchmarks.history import COMMANDS, history
from benchmarks.open_loop import open_loop
from benchmarks.process import use_core_0
from benchmarks.recovery import recovery
from benchmarks.topics import Input, Kafka
from benchmarks.view import view
from tests.broker.cluster import Cluster

HERE = Path(__file__).parent
ROWS = HERE / "rows.jsonl"


class Step(NamedTuple):
    """One thing to measure. What `option` says depends on the mode: a rate (or a share of the own drain rate, below 1), triggers, workers."""

    mode: str
    engine: str
    events: int
    round: int
    skewed: bool = False
    customers: int | None = None
    option: float | None = None


MAIN = ("faust", "quix", "rumbo", "streams_eos")
ASIDE = ("quix_tuned", "bytewax", "streams_alo", "bound")
DURABLE = ("rumbo", "streams_eos", "quix")
COMMON_RATE = 1_000
VIEW_SECONDS = 40


def short(engines: list[str], events: int, rounds: int) -> list[Step]:
    """Some minutes: the engines that the targets name in every round, the others once; two rates; one round of skewed customers."""
    made = [Step("discarded", each, 20_000, 0) for each in engines if each in MAIN]
    for number in range(1, rounds + 1):
        these = [each for each in engines if each in MAIN or number == 2 or rounds == 1]
        made += _there_and_back("drain", these, events, number)
    made += [Step("open loop", each, 20, 1, option=share) for share in (COMMON_RATE, 0.5) for each in ("rumbo", "streams_eos") if each in engines]
    made += [Step("view", "rumbo", events, 1, option=0.5), *_histories(events, 1)] if "rumbo" in engines else []
    return made + _there_and_back("drain", [each for each in engines if each in DURABLE], events, 1, skewed=True)


def full(engines: list[str], events: int, rounds: int) -> list[Step]:
    """Everything, what matters most first."""
    durable = [each for each in DURABLE if each in engines]
    few = range(1, min(rounds, 3) + 1)
    made = [Step("discarded", each, 20_000, 0) for each in engines]
    for skewed in (False, True):
        for number in range(1, rounds + 1):
            made += _there_and_back("drain", engines, events, number, skewed=skewed)
    made += [Step("open loop", each, 60, 1, option=share) for share in (COMMON_RATE, 0.3, 0.5, 0.6, 0.8) for each in durable]
    made += [Step("view", "rumbo", events, number, option=0.5) for number in few] if "rumbo" in engines else []
    for number in few:
        made += _there_and_back("long drain", [each for each in ("rumbo", "streams_eos") if each in engines], events * 4, number)
    if "rumbo" in engines:
        made += [Step("triggers", "rumbo", events // 2, number, option=count) for number in few for count in (10, 100, 1000)]
        made += [each for number in few for each in _histories(events, number)]
    made += [Step("recovery", each, events * 2, number, customers=events) for number in few for each in durable]
    made += [Step("memory", each, people * 2, 1, customers=people) for people in (events // 4, events * 5 // 2) for each in durable]
    made += [Step("workers", each, events, number, option=count) for number in few for each in durable if each != "quix" for count in (1, 2, 4)]
    return made


def _histories(events: int, number: int) -> list[Step]:
    """What reads a history with no broker."""
    return [Step(each, "rumbo", events, number) for each in COMMANDS]


def _there_and_back(mode: str, engines: list[str], events: int, number: int, *, skewed: bool = False) -> list[Step]:
    """A B C in one round, C B A in the next, so that a drift of the machine cancels out."""
    order = engines if number % 2 else engines[::-1]
    return [Step(mode, each, max(int(events * ENGINES[each].share), 1), number, skewed) for each in order]


class Bench:
    """The broker, the inputs that are loaded, the rows that are written."""

    def __init__(self, kafka: Kafka, session: dict[str, Any]) -> None:
        self.kafka, self.session = kafka, session
        self._inputs: dict[str, Input] = {}

    def given(self, events: int, *, skewed: bool, customers: int | None = None) -> Input:
        """An input, loaded when it is first asked for."""
        topic = f"input-{events}-{customers or events // 5}-{'skewed' if skewed else 'uniform'}"
        if topic not in self._inputs:
            begun = time.monotonic()
            self._inputs[topic] = self.kafka.load(topic, events, customers=customers, skewed=skewed)
            self.kafka.create([f"{topic}.dlq"])
            say(f"loaded {topic} in {time.monotonic() - begun:.0f} s")
        return self._inputs[topic]

    def measure(self, step: Step) -> dict[str, Any]:
        """One step's row."""
        engine = ENGINES[step.engine]
        row = {"session": self.session["id"], "step": list(step), "at": time.time(), **step._asdict(), **self._figures(step, engine)}
        told = {key: row[key] for key in ("rate", "rate_half", "rss", "p50", "p99", "max", "held", "start_new", "start_warm", "start_wiped", "per_million") if key in row}
        told |= {f"view {share}": row["views"]["all"][share] for share in ("p50", "p99")} if "views" in row else {}
        figures = "  ".join(f"{key} {value:,.1f}" for key, value in told.items())
        say(f"{step.mode} {step.round} {engine.name} {step.option or ''}: {figures}  {'outputs equal' if report.counts(row) else row['found']}")
        return row

    def _figures(self, step: Step, engine: Engine) -> dict[str, Any]:
        if step.mode == "open loop":
            rate = float(step.option or COMMON_RATE)
            return open_loop(self.kafka, engine, rate if rate > 1 else rate * self._own_rate(step.engine), step.events)
        if step.mode == "view":
            return view(self.kafka, engine, self.given(step.events, skewed=False), float(step.option or 0.5), VIEW_SECONDS)
        if step.mode in COMMANDS:
            return history(step.mode, step.events)
        if step.mode == "recovery":
            return recovery(self.kafka, engine, step.events, step.customers)
        given = self.given(step.events, skewed=step.skewed, customers=step.customers)
        if step.mode == "triggers":
            return modes.drain(self.kafka, engine, given, triggers=int(step.option or 10))
        workers = int(step.option or 1) if step.mode == "workers" else 1
        return modes.drain(self.kafka, engine, given, workers=workers, state=step.mode == "memory")

    def attempt(self, step: Step) -> None:
        """Measure and keep; an engine that fails is said and kept as that, and the others go on."""
        try:
            keep(self.measure(step))
        except (RuntimeError, TimeoutError, ValueError, KafkaException) as problem:
            say(f"{step.mode} {step.round} {ENGINES[step.engine].name} FAILED: {problem}")
            keep({"session": self.session["id"], **step._asdict(), "mode": f"failed {step.mode}", "problem": str(problem)[-500:]})

    def _own_rate(self, engine: str) -> float:
        """Events per second of the wall that the engine drained at in this session."""
        own = [each["wall_rate"] for each in rows() if each.get("session") == self.session["id"] and each["mode"] == "drain" and each["engine"] == engine and not each["skewed"]]
        return statistics.median(own)


def say(text: str) -> None:
    """A line of progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def rows() -> Iterator[dict[str, Any]]:
    """Everything that was measured."""
    if ROWS.exists():
        for line in ROWS.read_text().splitlines():
            yield json.loads(line)


def keep(row: dict[str, Any]) -> None:
    """Write a row at once: an interruption loses nothing that was measured."""
    with ROWS.open("a") as file:
        file.write(json.dumps(row) + "\n")


def session(form: str, steps: list[Step], *, fresh: bool) -> dict[str, Any]:
    """The session that these steps belong to: one on the same commit with the same plan goes on, unless it is complete or a new one is asked for."""
    wanted = {"form": form, "plan": zlib.crc32(json.dumps(steps).encode()), **report.machine()}
    known = list(rows())
    for each in reversed(known):
        if each.get("mode") == "session":
            same = {key: each[key] for key in wanted if key in each} == wanted
            over = any(one.get("mode") == "complete" and one["session"] == each["id"] for one in known)
            if same and not over and not fresh:
                say(f"going on with session {each['id']}")
                return each
            break
    made = {"mode": "session", "id": time.strftime("%Y%m%dT%H%M%S"), **wanted}
    keep(made)
    return made


def run(form: str, steps: list[Step], *, fresh: bool) -> None:
    """Measure what is not measured yet, and write the tables after each step."""
    this = session(form, steps, fresh=fresh)
    done = {tuple(each["step"]) for each in rows() if each.get("session") == this["id"] and "step" in each}
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder, Cluster(Path(folder), heap="1g") as cluster:
        bench = Bench(Kafka(cluster.bootstrap), this)
        for step in steps:
            if tuple(step) not in done:
                bench.attempt(step)
                report.write(list(rows()))
    keep({"mode": "complete", "session": this["id"]})
    report.write(list(rows()))


def main() -> None:
    """Read the command, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("form", choices=("short", "full", "report"))
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--modes", help="only these, of: discarded, drain, open loop, view, long drain, triggers, simulate, diff, recovery, memory, workers")
    parser.add_argument("--fresh", action="store_true", help="begin a new session even where one could go on")
    options = parser.parse_args()
    if options.form == "report":
        report.write(list(rows()))
        return
    use_core_0()
    engines = [each for each in ENGINES if each in options.engines.split(",")]
    plan = short if options.form == "short" else full
    steps = plan(engines, options.events, options.rounds or (3 if plan is short else 6))
    run(options.form, [each for each in steps if each.mode in options.modes.split(",")] if options.modes else steps, fresh=options.fresh)


if __name__ == "__main__":
    sys.exit(main())
