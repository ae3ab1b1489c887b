"""Runs the job on every engine, on one real Kafka, and writes the tables.

    python -m benchmarks.runner short|full [--engines rumbo,quix,…] [--events 400000] [--rounds 3] [--fresh]
    python -m benchmarks.runner report          write RESULTS.md again from the rows

Broker and loader on core 0, the engine on core 1. Each run is a row in rows.jsonl as soon as it is over, and RESULTS.md is written
from the rows; a plan that was interrupted goes on where it stopped when it is started again on the same commit. It needs
benchmarks/.venv (`make bench` makes it) and never imports Rumbo.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import modes, report
from benchmarks.engines import ENGINES
from benchmarks.process import use_core_0
from benchmarks.topics import Input, Kafka
from tests.broker.cluster import Cluster

HERE = Path(__file__).parent
ROWS = HERE / "rows.jsonl"


class Step(NamedTuple):
    """One thing to measure."""

    mode: str
    engine: str
    events: int
    round: int
    skewed: bool = False

    @property
    def customers(self) -> str:
        """The distribution's name."""
        return "skewed" if self.skewed else "uniform"


def plan(form: str, engines: list[str], events: int, rounds: int) -> list[Step]:
    """The steps in order: a discarded round on a tenth, then there and back, so that a drift of the machine cancels out."""
    made = [Step("discarded", each, 20_000, 0) for each in engines]
    for skewed in (False, True) if form == "full" else (False,):
        for number in range(1, rounds + 1):
            for each in engines if number % 2 else reversed(engines):
                made.append(Step("drain", each, max(int(events * ENGINES[each].share), 1), number, skewed))
    return made


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
        engine, given = ENGINES[step.engine], self.given(step.events, skewed=step.skewed)
        row = {"session": self.session["id"], **step._asdict(), "customers_are": step.customers, **modes.drain(self.kafka, engine, given)}
        say(f"{step.mode} {step.round} {engine.name:<22} {row['rate']:>9,.0f} events/CPU s ({row['rate_half']:,.0f})  {row['rss']:5.0f} MiB  {row['found']}")
        return row


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
    wanted = {"form": form, "plan": len(steps), **report.machine()}
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
    done = {tuple(each.get(field) for field in Step._fields) for each in rows() if each.get("session") == this["id"]}
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder, Cluster(Path(folder), heap="1g") as cluster:
        bench = Bench(Kafka(cluster.bootstrap), this)
        for step in steps:
            if tuple(step) not in done:
                keep(bench.measure(step))
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
    parser.add_argument("--fresh", action="store_true", help="begin a new session even where one could go on")
    options = parser.parse_args()
    if options.form == "report":
        report.write(list(rows()))
        return
    use_core_0()
    rounds = options.rounds or (3 if options.form == "short" else 6)
    run(options.form, plan(options.form, options.engines.split(","), options.events, rounds), fresh=options.fresh)


if __name__ == "__main__":
    sys.exit(main())
