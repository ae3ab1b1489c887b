"""kill -9 at random instants on a real Kafka, round after round, each round judged by the oracle; rows are appended, and a run goes on.

    python -m tests.chaos --kills 300        (RUMBO_TEST_BROKER, or a broker of its own)

A round: topics of its own, one worker on one disk (or an empty one after a kill), records that keep coming, ten kills.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.generate import generate
from tests.broker.bench import ROOT, Bench
from tests.broker.cluster import Cluster
from tests.broker.test_exactly_once import assert_same, done, fold

ROWS, TABLE = Path(__file__).parent / "rows.jsonl", Path(__file__).parent / "RESULTS.md"
KILLS, EVENTS = 10, 6_000
BATCH_SECONDS = 2.0
"""A kill comes up to so long after the worker has its partitions; or, one time in four, while it takes them."""


def commit() -> str:
    """The last commit that changed the product, so that a run goes on over commits of its own rows; work not committed is said."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return git("log", "-1", "--format=%h", "--", "src") + (
        "-dirty" if git("status", "--porcelain", "--", "src") else ""
    )


def rows() -> list[dict[str, object]]:
    """What earlier runs found."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[str]:
    """The given one, or one of our own."""
    if given := os.environ.get("RUMBO_TEST_BROKER"):
        yield given
        return
    with Cluster(folder) as cluster:
        yield cluster.bootstrap


def play(bootstrap: str, folder: Path, seed: int) -> dict[str, object]:
    """One round. Raises AssertionError where the promise is broken."""
    chance, recoveries = random.Random(seed), []
    bench = Bench(bootstrap, folder, "benchmark")
    try:
        records = list(generate(EVENTS, seed=seed))
        parts = [records[at : at + EVENTS // KILLS] for at in range(0, EVENTS, EVENTS // KILLS)]
        disk = "disk"
        for number, part in enumerate(parts):
            bench.produce((each.partition, each.key, each.value) for each in part)
            started = time.monotonic()
            worker = bench.worker(disk, RUMBO__MAX_BATCH="50", RUMBO__INSTANCE="solo")
            if chance.random() < 0.25:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.process.wait(chance.uniform(0.3, 1.5))
            else:
                worker.until(worker.owns)
                recoveries.append(time.monotonic() - started)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.process.wait(chance.uniform(0, BATCH_SECONDS) ** 2 / BATCH_SECONDS)
            assert worker.process.poll() is None, f"it ended by itself: {worker.log.read_text()[-300:]}"
            worker.kill()
            if chance.random() < 0.3:
                disk = f"disk-{number}"
        last = bench.worker(disk, RUMBO__INSTANCE="solo")
        last.until(lambda: done(bench, last, EVENTS))
        began = time.monotonic()
        assert last.end(10) == 0
        stopped = time.monotonic() - began
        expected = fold(bench, records)
        assert_same(bench, expected, last.state)
    finally:
        bench.stop()
    return {
        "kills": len(parts), "events": EVENTS, "decisions": len(expected.ids), "keys": len(expected.local.profiles),
        "recoveries": [round(each, 2) for each in recoveries], "sigterm": round(stopped, 2),
    }  # fmt: skip


def table(found: list[dict[str, object]]) -> str:
    """The rows by commit."""
    lines = [
        "# kill -9 at random instants, on a real Kafka", "",
        "Written by `make chaos`. Each round: 6,000 events, ten kills, then the oracle: outputs and dead letters read committed, the state on",
        "disk and the state that the changelog alone gives, against the fold of the core. Recovery is from the start of the process to",
        "owning its partitions.", "",
        "| commit | kills | rounds | lost | phantom | twice | state differences | failed rounds | recovery p50 / max |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in dict.fromkeys(str(each["commit"]) for each in found):
        mine = [each for each in found if each["commit"] == name]
        good = [each for each in mine if "failed" not in each]
        times = [time_ for each in good for time_ in each["recoveries"]]  # type: ignore[attr-defined]
        kills = sum(int(str(each["kills"])) for each in good)
        zero = "0" if len(good) == len(mine) else "see rows.jsonl"
        spread = f"{statistics.median(times):.2f} / {max(times):.2f} s" if times else "-"
        lines.append(
            f"| {name} | {kills} | {len(good)} | {zero} | {zero} | {zero} | {zero} | {len(mine) - len(good)} | {spread} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """The exit code: 1 where a round failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=600)
    options = parser.parse_args()
    name, until, failed = commit(), time.monotonic() + options.minutes * 60, 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as made, broker(Path(made) / "kafka") as bootstrap:
        while (
            kills := sum(int(str(each.get("kills", 0))) for each in rows() if each["commit"] == name)
        ) < options.kills:
            if time.monotonic() > until:
                break
            seed = 1_000 + len(rows())
            folder = Path(made) / str(seed)
            folder.mkdir()
            try:
                row = play(bootstrap, folder, seed)
            except AssertionError as error:
                row, failed = {"kills": 0, "failed": str(error)[:500]}, failed + 1
            with ROWS.open("a") as out:
                out.write(json.dumps({"commit": name, "seed": seed, **row}) + "\n")
            TABLE.write_text(table(rows()))
            print(f"seed {seed}: {kills + int(str(row['kills']))} kills, {failed} rounds failed", flush=True)
            if failed > 3:
                break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
