"""`rumbo simulate` and `rumbo diff` over the job's input as a file: events per CPU-second of the whole process, start and reading included.

No broker. What `simulate` decides must equal the reference; `diff` compares the benchmark topology with one that lacks a trigger, and must find
exactly the reference's actions of that trigger gone, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.compare import compare, differs, from_cloudevent
from benchmarks.engines import ROOT, RUMBO, TOPOLOGY
from benchmarks.generate import line_writer
from benchmarks.process import engine_cores, most
from benchmarks.reference import Reference
from benchmarks.topics import Input, expected

COMMANDS = ("simulate", "diff")
LOOK_SECONDS = 0.1
DROPPED = "no_result"
"""The trigger that the new version lacks. No other rule asks about it."""


class Ended(NamedTuple):
    """A process that is over."""

    code: int
    seconds: float
    cpu: float
    mib: float


def history(command: str, events: int) -> dict[str, Any]:
    """One run of a command."""
    with TemporaryDirectory(prefix="bench-history-") as name:
        folder = Path(name)
        file, out = folder / "input.jsonl", folder / "out"
        with file.open("wb") as lines:
            given = expected("benchmark-input", events, None, False, line_writer(lines))
        if command == "simulate":
            rejects = folder / "rejects"
            ended = _run(["simulate", str(TOPOLOGY), "--input", str(file), "--rejects", str(rejects)], out, {0})
            found = _simulated(given.reference, out, rejects)
        else:
            ended = _run(["diff", str(TOPOLOGY), str(_without(DROPPED, folder)), "--input", str(file), "--json", "--sample", "0"], out, {1})
            found = differs(given.reference, json.loads(out.read_bytes()), DROPPED)
    return _row(given, ended, found)


def _row(given: Input, ended: Ended, found: dict[str, int]) -> dict[str, Any]:
    return {
        "events": given.events, "customers": given.customers, "rate": given.events / ended.cpu, "wall_rate": given.events / ended.seconds,
        "rss": ended.mib, "found": found,
    }  # fmt: skip


def _run(arguments: list[str], out: Path, codes: set[int]) -> Ended:
    """Run a command on the engine's core; raises RuntimeError where it ends otherwise than with *codes*."""
    begun = time.monotonic()
    with out.open("wb") as file:
        command = ["taskset", "-c", engine_cores(), str(RUMBO), "-m", "rumbo.cli", *arguments]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL, cwd=ROOT)
        mib, gone = 0.0, 0
        while not gone:
            mib = max(mib, most(process.pid))
            time.sleep(LOOK_SECONDS)
            gone, status, used = os.wait4(process.pid, os.WNOHANG)
    ended = Ended(os.waitstatus_to_exitcode(status), time.monotonic() - begun, used.ru_utime + used.ru_stime, mib)
    process.returncode = ended.code
    if ended.code not in codes:
        raise RuntimeError(f"rumbo {arguments[0]} ended with {ended.code}")
    return ended


def _simulated(reference: Reference, out: Path, rejects: Path) -> dict[str, int]:
    with out.open("rb") as lines:
        written = [each for each in map(from_cloudevent, lines) if each is not None]
    return compare(reference, written, len(rejects.read_bytes().splitlines()))


def _without(trigger: str, folder: Path) -> Path:
    """A copy of the topology that lacks one trigger."""
    made = folder / "new"
    shutil.copytree(TOPOLOGY, made)
    journey = made / "journey.yaml"
    lines = journey.read_text().splitlines(keepends=True)
    journey.write_text("".join(each for each in lines if f"id: {trigger}," not in each))
    return made
