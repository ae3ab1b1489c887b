"""What is said of a history counts only where it is what the reference expects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.compare import differs
from benchmarks.process import most, wait_for
from benchmarks.reference import Output, Reference
from tests.benchmarks.test_report import GOOD, drain, line, session

SAME = {"same": 5, "added": 0, "removed": 0, "moved": 0, "changed": 0}


def reference():
    made = Reference()
    made.outputs = {
        Output("action", "ann", "m1", "gone"),
        Output("action", "bob", "m2", "gone"),
        Output("action", "bob", "m3", "kept"),
    }
    return made


def told(gone=2, **other):
    return {
        "rows": [
            {"rule": "trigger gone", "outcome": "emitted", **SAME, "removed": gone},
            {"rule": "trigger gone", "outcome": "cooldown", **SAME, "removed": 9},
            {"rule": "trigger kept", "outcome": "emitted", **SAME, **other},
        ]
    }


def wrong(found):
    return {name: found[name] for name in ("missing", "extra")}


def test_a_dropped_trigger_takes_its_own_actions_and_nothing_else():
    assert wrong(differs(reference(), told(), "gone")) == {"missing": 0, "extra": 0}


@pytest.mark.parametrize(("removed", "found"), [(1, {"missing": 1, "extra": 0}), (3, {"missing": 0, "extra": 1})])
def test_each_of_its_actions_is_counted_once(removed, found):
    assert wrong(differs(reference(), told(removed), "gone")) == found


@pytest.mark.parametrize("kind", ["added", "removed", "moved", "changed"])
def test_any_other_difference_is_one_too_many(kind):
    assert wrong(differs(reference(), told(**{kind: 1}), "gone")) == {"missing": 0, "extra": 1}


def test_what_the_runner_holds_is_not_what_the_command_needs():
    """A process that was just started has not the memory of the one that started it."""
    held = bytearray(b"x" * 200 * 2**20)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        wait_for(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().endswith(b"input()\0"), 10, "the program")
        assert 0 < most(process.pid) < len(held) / 2**20 < most(os.getpid())
        process.communicate(b"\n")


def test_the_table_leaves_out_what_differs_from_the_reference():
    row = drain("rumbo", 50.0, mode="simulate", wall_rate=40.0)
    assert "| 50 (N = 1) | 40 (N = 1) |" in line(report.text([session("one"), row]), "1,000 (200)")
    page = report.text([session("one"), {**row, "found": {**GOOD, "extra": 2}}])
    assert "does not count" in line(page, "1,000 (200)")
    assert "0 / 2 / 0 / 0 / 0" in line(page, "1,000 (200)")
