"""Runs the job on each engine, on one real Kafka, and writes the table: events per CPU-second of the worker, and ratios.

    python -m benchmarks.runner [--events 400000] [--faust-events 60000] [--pairs 3] [--skewed]

Broker and loader on core 0, the engine on core 1. Drain: the topic is loaded before; from a fresh group and an empty state to
all input consumed and all output in its topics. The CPU of starting up (imports) counts, for every engine. A run whose
outputs differ from the reference is not a result. Engines alternate (A B B A), and ratios are of neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from benchmarks.compare import compare, from_cloudevent
from benchmarks.generate import PARTITIONS, generate
from benchmarks.reference import Output, Reference
from rumbo.config import settings
from rumbo.engine.admin import create_topics
from rumbo.topology import load
from tests.broker.cluster import Cluster

ROOT = Path(__file__).parents[1]


class Result(NamedTuple):
    """One run. CPU is user and system seconds of the worker's process; RSS in MiB at the end."""

    engine: str
    events: int
    cpu: float
    wall: float
    rss: float
    found: dict[str, int]

    @property
    def rate(self) -> float:
        """Events per CPU-second."""
        return self.events / self.cpu


class Input(NamedTuple):
    """A loaded topic and what must come of it."""

    topic: str
    events: int
    reference: Reference


def prepare(boot: str, events: int, *, skewed: bool) -> Input:
    """Load the job's input into a topic of its own."""
    topic = f"input-{events}-{'skewed' if skewed else 'uniform'}"
    admin = KafkaAdminClient(bootstrap_servers=boot)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=boot, linger_ms=20, batch_size=200_000)
    reference = Reference()
    for each in generate(events, skewed=skewed):
        producer.send(topic, key=each.key, value=each.value, partition=each.partition)
        reference.feed(each.value)
    producer.flush()
    producer.close()
    return Input(topic, events, reference)


def read(boot: str, topic: str) -> list[bytes]:
    """Everything in a topic, read committed."""
    consumer = KafkaConsumer(bootstrap_servers=boot, isolation_level="read_committed", enable_auto_commit=False)
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    for place in places:
        consumer.seek(place, 0)
    found = []
    while any(consumer.position(place) < ends[place] for place in places):
        found += [record.value for records in consumer.poll(500, max_records=20_000).values() for record in records]
    consumer.close()
    return found


def consumed(boot: str, group: str, topic: str) -> bool:
    """Whether the group has told that it has read all of the topic."""
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=boot, group_id=group, enable_auto_commit=False)
    ends = consumer.end_offsets(places)
    told = [consumer.committed(place) or 0 for place in places]
    consumer.close()
    return all(at >= ends[place] for at, place in zip(told, places, strict=True))


def usage(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """CPU seconds and MiB of a running process."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = Path(f"/proc/{process.pid}/status").read_text()
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), rss / 1024


def drain(name: str, boot: str, given: Input, command: list[str], group: str, outputs: Callable[[], tuple[list[Output], int]], **env: str) -> Result:
    """Run an engine until it has read all; its figures, and its outputs against the reference."""
    begun = time.monotonic()
    process = subprocess.Popen(["taskset", "-c", "1", *command], cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not consumed(boot, group, given.topic):
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}")
            time.sleep(0.3)
        cpu, rss = usage(process)
        wall = time.monotonic() - begun
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    written, dead = outputs()
    found = compare(given.reference, written, dead)
    return Result(name, given.events, cpu, wall, rss, found)


def rumbo(boot: str, given: Input) -> Result:
    """Rumbo: the benchmark topology, everything switched on."""
    run, folder = f"b{uuid.uuid4().hex[:6]}", Path(tempfile.mkdtemp(prefix="bench-"))
    shutil.copytree(ROOT / "topologies" / "benchmark", folder / "t")
    text = (folder / "t" / "topology.yaml").read_text().replace("topology: benchmark", f"topology: {run}").replace("benchmark-input", given.topic)
    names = ("transitions", "scores", "actions", "suppressed", "corrections", "progress", "control", "events")
    (folder / "t" / "topology.yaml").write_text(f"{text}\noutputs: {{{', '.join(f'{each}: {run}.{each}' for each in names)}}}\n")
    create_topics(load(folder / "t"), settings({}, broker=boot), partitions=PARTITIONS, replicas=1)
    begin = len(read(boot, f"{given.topic}.dlq"))

    def outputs() -> tuple[list[Output], int]:
        values = [value for each in ("scores", "transitions", "actions") for value in read(boot, f"{run}.{each}")]
        return [each for each in map(from_cloudevent, values) if each], len(read(boot, f"{given.topic}.dlq")) - begin

    command = [sys.executable, "-m", "rumbo.cli", "run", str(folder / "t"), "--broker", boot, "--state-dir", str(folder / "s"), "--web-port", "0"]
    try:
        return drain("Rumbo", boot, given, command, run, outputs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def plain_faust(boot: str, given: Input) -> Result:
    """Plain Faust."""
    run, folder = f"f{uuid.uuid4().hex[:6]}", Path(tempfile.mkdtemp(prefix="bench-"))
    admin = KafkaAdminClient(bootstrap_servers=boot)
    admin.create_topics([NewTopic(f"{run}.{each}", PARTITIONS, 1) for each in ("scores", "transitions", "actions", "dlq")])
    admin.close()

    def outputs() -> tuple[list[Output], int]:
        made = []
        for topic, kind in (("scores", "score"), ("transitions", "stage"), ("actions", "action")):
            for value in read(boot, f"{run}.{topic}"):
                said = json.loads(value)
                made.append(Output(kind, said["customer"], said["message"], said["what"], said.get("score")))
        return made, len(read(boot, f"{run}.dlq"))

    command = [sys.executable, "-m", "benchmarks.plain_faust", "worker", "--without-web"]
    try:
        return drain("plain Faust", boot, given, command, run, outputs, BROKER=boot, RUN=run, STATE=str(folder), INPUT=given.topic)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def interval(ratios: list[float]) -> tuple[float, float]:
    """A bootstrap 95 % interval of the median."""
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(2_000))
    return medians[50], medians[1949]


def main() -> None:
    """Run, print, write RESULTS.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--faust-events", type=int, default=60_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--skewed", action="store_true")
    options = parser.parse_args()
    os.sched_setaffinity(0, {0})  # the broker and the loader
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder, Cluster(Path(folder), heap="1g") as cluster:
        boot = cluster.bootstrap
        large, small = (prepare(boot, count, skewed=options.skewed) for count in (options.events, options.faust_events))
        create_dlq(boot, large.topic)
        results, ratios = [], []
        for pair in range(options.pairs):
            order = [lambda: rumbo(boot, large), lambda: plain_faust(boot, small)]
            both = [run() for run in (order if pair % 2 == 0 else reversed(order))]
            for each in both:
                print(f"{each.engine:<12} {each.rate:>9,.0f} events/CPU s  {each.events / each.wall:>9,.0f}/s  {each.rss:5.0f} MiB  {each.found}", flush=True)
            results += both
            by_name = {each.engine: each for each in both}
            ratios.append(by_name["Rumbo"].rate / by_name["plain Faust"].rate)
    write(results, ratios, skewed=options.skewed)


def create_dlq(boot: str, topic: str) -> None:
    """Rumbo's dead letters, before its first run counts them."""
    admin = KafkaAdminClient(bootstrap_servers=boot)
    admin.create_topics([NewTopic(f"{topic}.dlq", PARTITIONS, 1)])
    admin.close()


def write(results: list[Result], ratios: list[float], *, skewed: bool) -> None:
    """The table, with the machine and the versions beside it."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT).stdout.strip()
    lines = [
        "# Results", "", "Written by `make bench` (`benchmarks/runner.py` says how). Absolute figures hold for one machine and hour; ratios travel.", "",
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"faust-streaming {version('faust-streaming')}, aiokafka {version('aiokafka')}, Kafka 4.1.1, commit {commit}, "
        f"{'skewed' if skewed else 'uniform'} customers, one per five events.", "",
        "| engine | guarantee | events | events per CPU-second (median, min to max, N) | MiB | missing / extra / twice / wrong scores |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, guarantee in (("Rumbo", "exactly once"), ("plain Faust", "at least once, with holes")):
        found = [each for each in results if each.engine == name]
        rates = [each.rate for each in found]
        wrong = " / ".join(str(max(each.found[key] for each in found)) for key in ("missing", "extra", "twice", "scores_off"))
        lines.append(
            f"| {name} | {guarantee} | {found[0].events:,} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}, {len(rates)}) "
            f"| {max(each.rss for each in found):,.0f} | {wrong} |"
        )
    low, high = interval(ratios)
    lines += ["", f"Rumbo / plain Faust: **{statistics.median(ratios):.1f}** (95 % of bootstrapped medians: {low:.1f} to {high:.1f}, N = {len(ratios)} pairs)", ""]
    text = "\n".join(lines)
    (Path(__file__).parent / "RESULTS.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
