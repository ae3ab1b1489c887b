"""Decisions into a file outside of Kafka, while a worker makes them and the reader is killed: on a real Kafka."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time

import pytest

from benchmarks.generate import generate

pytestmark = pytest.mark.broker


def sink(bench, path, *options):
    """The command, as its user starts it."""
    command = [sys.executable, "-m", "rumbo.cli", "sink", str(bench.folder / "topology"), "--into", str(path), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"RUMBO__BROKER": bench.bootstrap})  # fmt: skip


def count(path):
    """How many decisions are in the file; 0 while there is none."""
    if not path.exists():
        return 0
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT count(*) FROM decisions").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        database.close()


def test_every_decision_is_in_the_file_once_although_the_reader_was_killed(world, bootstrap, tmp_path):
    bench, path = world("benchmark"), tmp_path / "decisions.sqlite"
    worker = bench.worker()
    worker.until(worker.owns)
    reader = sink(bench, path)
    bench.produce((each.partition, each.key, each.value) for each in generate(3_000, seed=5))
    until = time.monotonic() + 60
    while not count(path):
        assert reader.poll() is None, reader.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.05)  # polling another process
    reader.kill()
    reader.communicate()
    worker.until(lambda: (worker.metric("rumbo_events_received_total") or 0) >= 3_000)
    worker.until(lambda: worker.metric("rumbo_consumer_lag_records", topic=bench.source) == 0)
    assert worker.end() == 0
    ended = sink(bench, path, "--once")
    said = ended.communicate(timeout=60)[1]
    assert (ended.returncode, "new decisions" in said) == (0, True), said
    wanted = sorted(each["id"] for each in bench.decisions())
    database = sqlite3.connect(path)
    assert [each[0] for each in database.execute("SELECT id FROM decisions ORDER BY id")] == wanted
    database.close()
    again = sink(bench, path, "--once")
    assert "0 new decisions, 0 read again" in again.communicate(timeout=60)[1]
