"""The fault catalogue on a real Kafka of one and of three nodes, round after round, each judged by the oracle; a run goes on where one broke off.

    python -m tests.chaos                     every fault up to its number (at this commit of src/)
    python -m tests.chaos --fault F3 --n 5    one of them
    python -m tests.chaos --fault F3 --try    one round, nothing is kept

A round begins when the machine has processor time to give (Linux tells). Rows go to rows.jsonl; RESULTS.md, docs/reliability.md and the README's table are written from them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests import evidence
from tests.broker.cluster import Cluster
from tests.chaos import report
from tests.chaos.catalogue import SCENARIOS, Scenario
from tests.chaos.oracle import Verdict
from tests.chaos.round import Round


@contextmanager
def clusters(folder: Path) -> Iterator[Callable[[Scenario], Cluster]]:
    """Gives a scenario's Kafka, started when first asked for; only one at a time."""
    with ExitStack() as stack:
        running: dict[object, Cluster] = {}

        def of(scenario: Scenario) -> Cluster:
            key = scenario.kafka or scenario.nodes
            if key not in running:
                stack.pop_all().close()
                running.clear()
                place = folder / f"kafka-{time.monotonic_ns()}"
                made = scenario.kafka(place) if scenario.kafka is not None else Cluster(place, scenario.nodes)
                running[key] = stack.enter_context(made)
            return running[key]

        yield of


def play(scenario: Scenario, cluster: Cluster, folder: Path, seed: int) -> dict[str, Any]:
    """One round, as a row."""
    began = time.monotonic()
    run = Round(cluster, folder, seed)
    failed: str | None = None
    verdict = Verdict()
    try:
        verdict = scenario.play(run)
        stall = run.stall()
    except (AssertionError, subprocess.TimeoutExpired) as error:  # a worker that does not end is a finding as well
        failed, stall = str(error)[:900] or traceback.format_exc()[-400:], None
    finally:
        run.stop()
    row = {
        "n": run.faults, **verdict.row(), "restarts": run.restarts, "recoveries": run.recoveries, "stall": stall, "ends": run.ends,
        **run.figures, "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    if run.sentences:
        row["sentences"] = sorted(set(run.sentences))[:5]
    if failed is not None:
        row["failed"] = failed
    elif not verdict.holds:
        row["failed"] = "; ".join(verdict.said)[:900]
    return row


PRESSURE = Path("/proc/pressure/cpu")
BUSY = 60.0
"""Per cent of the last ten seconds in which something waited for a processor."""


def when_there_is_time(until: float) -> None:
    """Wait for a machine that is not taken by others: there workers starve, and rounds end by patience, whatever the fault did."""
    while time.monotonic() < until and PRESSURE.exists():
        pressure = float(PRESSURE.read_text().split("avg10=")[1].split()[0])
        if pressure < BUSY:
            return
        time.sleep(2)  # others are at work


def main() -> int:
    """The exit code: 1 where a round failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", action="append", choices=[each.name for each in SCENARIOS])
    parser.add_argument("--n", type=int, help="single faults (default: the catalogue's number)")
    parser.add_argument("--minutes", type=float, default=100_000)
    parser.add_argument("--seed", type=int, help="of the first round")
    parser.add_argument("--try", dest="trial", action="store_true", help="one round, nothing is kept")
    options = parser.parse_args()
    name, until, failed = evidence.commit(), time.monotonic() + options.minutes * 60, 0
    kept = evidence.is_lasting(name) and not options.trial
    with tempfile.TemporaryDirectory(prefix="chaos-") as made, clusters(Path(made)) as cluster:
        for scenario in SCENARIOS:
            if options.fault and scenario.name not in options.fault:
                continue
            done = 0
            while time.monotonic() < until:
                if kept:
                    when_there_is_time(until)
                mine = [each for each in report.rows() if each["fault"] == scenario.name]
                if kept:
                    done = sum(each["n"] for each in mine if each["commit"] == name)
                if done >= (options.n or scenario.target) or time.monotonic() > until:
                    break
                seed = options.seed if options.seed is not None else 1 + max((each["seed"] for each in mine), default=0)
                folder = Path(made) / f"{scenario.name}-{seed}-{time.monotonic_ns()}"
                folder.mkdir()
                row = {
                    "fault": scenario.name,
                    "commit": name,
                    "seed": seed,
                    **play(scenario, cluster(scenario), folder, seed),
                }
                failed += "failed" in row
                print(row if options.trial or "failed" in row else said(row), flush=True)
                if not kept:
                    break
                report.keep(row)
                if failed > 3:
                    return 1
    return 1 if failed else 0


def said(row: dict[str, Any]) -> str:
    """A round in a line."""
    return f"{row['fault']} seed {row['seed']}: {row['n']} faults, {row['records']} records, {row['decisions']} decisions: all as it must be"


if __name__ == "__main__":
    sys.exit(main())
