"""The engine against the local runner, bad input on the wire, and ends that are told apart by their exit code."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from rumbo.core.instant import parse_instant
from rumbo.demo.history import history
from rumbo.engine.store import Memory, Store
from rumbo.intake import Record
from rumbo.local import Local
from tests.broker.bench import PARTITIONS, ROOT
from tests.broker.cluster import free_port
from tests.chaos.inputs import packed
from tests.chaos.round import events
from tests.conftest import long
from tests.intake.poison import POISON, is_rejected

pytestmark = pytest.mark.broker


def partition_of(key: bytes) -> int:
    """Where the Java client would put it."""
    from benchmarks.generate import murmur2

    return murmur2(key) % PARTITIONS


@pytest.mark.parametrize(("households", "many"), [(300, 3_700), *long((800, 10_000))])
def test_the_engine_decides_what_simulate_decides(world, bootstrap, tmp_path, households, many):
    """The same set of decision ids for the same history, with timers due on a silent topic and a clock record at the end.

    An eighth or a third of the households, for time's sake: all of them are what `make demo` decides.
    """
    bench, end = world("grocery"), "2018-01-02T00:00:00Z"
    events = list(history(households))
    bench.produce((partition_of(each.household.encode()), each.household.encode(), each.value) for each in events)
    local, expected = Local(bench.topology), set()
    for number, each in enumerate(events):
        expected |= {decision.id for decision in local.send(Record(bench.source, 0, number, -1, None, each.value))}
    expected |= {decision.id for decision in local.until(parse_instant(end))}
    bench.clock(end)
    worker = bench.worker()
    stop = parse_instant(end) / 1_000_000
    worker.until(
        lambda: worker.owns() and (worker.metric("rumbo_partition_clock_seconds") or 0) >= PARTITIONS * stop, 120
    )
    assert worker.end() == 0
    written = [decision["id"] for decision in bench.decisions()]
    assert len(written) == len(set(written))
    assert set(written) == expected
    assert len(expected) > many


def test_late_events_are_put_in_their_place_as_simulate_does(world, bootstrap, tmp_path):
    """Days late, and the worker is killed in between: every decision and every withdrawal once, and the pasts come back from the changelog."""
    bench = world("grocery", edit=lambda text: text + "\nlate: {policy: refold, events: 40, within: 60d}\n")
    events = [each for each in history() if each.household.endswith("38")]
    chance = random.Random(3)
    arrived = sorted(
        enumerate(events), key=lambda each: each[0] + (chance.randrange(400) if chance.random() < 0.1 else 0)
    )
    records = [(partition_of(each.household.encode()), each.household.encode(), each.value) for _, each in arrived]
    locals_ = [Local(bench.topology) for _ in range(PARTITIONS)]
    end = "2018-01-02T00:00:00Z"
    expected = Counter()
    for number, (place, key, value) in enumerate(records):
        expected.update(each.id for each in locals_[place].send(Record(bench.source, place, number, -1, key, value)))
    for local in locals_:
        expected.update(each.id for each in local.until(parse_instant(end)))
    worker = bench.worker()
    bench.produce(records[: len(records) // 2])
    worker.until(lambda: worker.owns() and (worker.metric("rumbo_events_processed_total") or 0) > len(records) // 4, 60)
    worker.kill()
    shutil.rmtree(worker.state)
    worker = bench.worker()
    bench.produce(records[len(records) // 2 :])
    bench.clock(end)
    stop = parse_instant(end) / 1_000_000
    worker.until(
        lambda: worker.owns() and (worker.metric("rumbo_partition_clock_seconds") or 0) >= PARTITIONS * stop, 120
    )
    assert (worker.metric("rumbo_events_late_total") or 0) > 0
    assert worker.end() == 0
    written = bench.decisions()
    assert Counter(each["id"] for each in written) == expected
    assert max(expected.values()) == 1
    assert sum(1 for each in written if each["type"] == "io.rumbo.decision.retracted.v1") > 20


def test_poison_lands_in_the_dead_letters_and_its_neighbours_are_processed(world, bootstrap, tmp_path):
    """Every row of the poison set, first in its partition and between good records: nothing crash-loops, nothing is lost."""
    bench = world("benchmark", edit=lambda text: text + "\ndlq: {limit: 1}\n")
    good = (
        b'{"type":"track","event":"Signed Up","messageId":"m-%d","userId":"good-%d","timestamp":"2026-01-01T00:00:00Z"}'
    )
    rows, number = [], 0
    for each in POISON:
        if each.value is not None and len(each.value) > 900_000:
            continue  # the broker itself refuses it: the producer is told
        rows.append((number % PARTITIONS, b"k", each.value))
        number += 1
        rows.append((number % PARTITIONS, f"good-{number}".encode(), good % (number, number)))
    bench.produce(rows)
    worker = bench.worker()
    worker.until(lambda: worker.owns() and worker.metric("rumbo_events_received_total") == len(rows))
    worker.until(lambda: worker.metric("rumbo_consumer_lag_records", topic=bench.source) == 0)
    assert worker.end() == 0
    welcomed = {each["subject"] for each in bench.decisions() if each["data"].get("trigger") == "welcome"}
    assert {f"good-{n}" for n in range(1, number + 1)} <= welcomed
    letters = bench.read(f"{bench.source}.dlq")
    expected = [each for each in POISON if is_rejected(each) and len(each.value or b"") <= 900_000]
    assert len(letters) == len(expected)
    reasons = {dict(letter.headers)["dlq.reason"].decode() for letter in letters}
    assert reasons == {each.verdict for each in expected}
    for letter in letters:
        headers = dict(letter.headers)
        assert headers["dlq.topic"].decode() == bench.source
        assert int(headers["dlq.offset"]) >= 0


def test_batches_of_every_codec_are_read(world, bootstrap, tmp_path):
    """Whatever the producer packs with: the decisions of the same records."""
    bench, records = world("benchmark"), []
    some = events(3)
    for codec in ("gzip", "lz4", "snappy", "zstd"):
        part = [next(some) for _ in range(40)]
        asyncio.run(packed(bootstrap, bench.source, codec, part))
        records += [each._replace(value=each.value.replace(b'"m-', b'"%s-' % codec.encode())) for each in part]
    local = Local(bench.topology)
    expected = {
        decision.id
        for each in records
        for decision in local.send(Record(bench.source, each.partition, 0, each.time_ms, each.key, each.value))
    }
    worker = bench.worker()
    worker.until(lambda: worker.owns() and worker.metric("rumbo_events_received_total") == len(records))
    assert worker.end() == 0
    assert {each["id"] for each in bench.decisions()} == expected
    assert len(expected) > 20


def test_too_many_rejects_stop_the_worker(world, bootstrap, tmp_path):
    """A bad deploy must not empty a topic into the dead letters."""
    bench = world("benchmark")
    bench.produce((0, b"k", b"{broken") for _ in range(1_500))
    worker = bench.worker()
    assert worker.wait() == 70
    assert "rejected" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "rumbo.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ},
    )


def test_no_broker_is_one_sentence_and_69(tmp_path):
    """Nobody needs a stack trace to learn that Kafka is away."""
    done = run(
        "run",
        "topologies/benchmark",
        "--broker",
        f"127.0.0.1:{free_port()}",
        "--state-dir",
        str(tmp_path),
        "--web-port",
        "0",
    )
    assert done.returncode == 69
    assert "no Kafka at" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_topics_are_all_named_and_78(world, bootstrap, tmp_path):
    """Every topic that is missing, at once, with the cure."""
    done = run("run", "topologies/saas", "--broker", bootstrap, "--state-dir", str(tmp_path), "--web-port", "0")
    assert done.returncode == 78
    assert done.stderr.count("does not exist") >= 2
    assert "--create" in done.stderr


def test_two_workers_do_not_share_a_state_directory(world, bootstrap, tmp_path):
    """The second says so and stops; the first goes on."""
    bench = world("benchmark")
    one = bench.worker("same", RUMBO__INSTANCE="a")
    one.until(one.owns)
    two = bench.worker("same", RUMBO__INSTANCE="b")
    assert two.wait() == 70
    assert "in use by another worker" in two.log.read_text()


@pytest.mark.parametrize(
    ("row", "says"),
    [((b"mowner", b"another/profiles/0/4"), "holds the state of another"), ((b"mformat", bytes([0, 0, 9, 9])), "a newer version of Rumbo wrote it")],
    ids=["of another app", "of a newer version"],
)  # fmt: skip
def test_a_state_that_is_not_ours_ends_the_worker_with_a_sentence(world, bootstrap, tmp_path, row, says):
    """It does not wait for ever, and the state stays as it was."""
    bench = world("benchmark")
    one = bench.worker("one")
    one.until(one.owns)
    assert one.end() == 0
    folder = one.state / bench.topology.name / "profiles-2"
    store = Store.open(folder, f"{bench.topology.name}/profiles/2/{PARTITIONS}", Memory(8))
    store.write([row], [], store.changelog_next)
    store.close()
    two = bench.worker("one")
    assert two.wait() == 70
    assert says in two.log.read_text()
    assert "Traceback" not in two.log.read_text()
    assert folder.exists()
    assert not list(folder.parent.glob("*corrupt*"))


def test_topics_are_created_once_and_differences_shown(world, bootstrap, tmp_path):
    """`rumbo topics --create` then `--diff`: nothing is left to do, and a second time nothing is made."""
    bench = world("saas")
    folder = str(bench.topology_folder)
    assert run("topics", folder, "--diff", "--broker", bootstrap).returncode == 0
    again = run("topics", folder, "--create", "--broker", bootstrap)
    assert again.returncode == 0
    assert "0 topics created" in again.stderr
    listed = [json.loads(line) for line in run("topics", folder, "--json").stdout.splitlines()]
    roles = {"source", "dead letters", "output", "contacts", "progress", "control", "changelog"}
    assert {each["role"] for each in listed} == roles
