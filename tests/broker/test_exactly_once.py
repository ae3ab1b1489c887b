"""Every interaction counts exactly once, in the state and in the outputs: whatever kills the worker, and wherever."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from benchmarks.generate import generate
from rumbo.core import profile as profiles
from rumbo.core.profile import DUE_BYTES
from rumbo.engine.broker import changelog_of
from rumbo.engine.failpoint import NAMES
from rumbo.engine.store import Memory, Store
from rumbo.intake import Record
from rumbo.local import Local
from tests.broker.bench import PARTITIONS, Bench, positions

pytestmark = pytest.mark.broker
EVENTS = 3_000


@dataclass
class Expected:
    """The fold of the pure core over the same records."""

    ids: set[str] = field(default_factory=set)
    local: Local | None = None
    rejected: int = 0


def fold(bench, records):
    """What must come out."""
    local, found, offsets = Local(bench.topology), Expected(), Counter()
    for each in records:
        record = Record(bench.source, each.partition, offsets[each.partition], each.time_ms, each.key, each.value)
        offsets[each.partition] += 1
        found.ids |= {decision.id for decision in local.send(record)}
    found.local = local
    found.rejected = sum(count for name, count in local.counts.items() if name.startswith("rejected."))
    return found


def assert_same(bench, expected, state):
    """Outputs (read committed), dead letters, the state on disk, and the state that the changelog alone gives."""
    written = Counter(decision["id"] for decision in bench.decisions())
    assert expected.ids - written.keys() == set(), "lost"
    assert written.keys() - expected.ids == set(), "phantom"
    assert {key: count for key, count in written.items() if count > 1} == {}, "twice"
    assert len(bench.read(f"{bench.source}.dlq")) == expected.rejected
    repeats = {decision["id"] for decision in bench.decisions(committed=False)}
    assert repeats <= expected.ids, "what an aborted transaction wrote has an id that the input gives"
    want = {name.encode(): profiles.stored(each) for name, each in expected.local.profiles.items()}
    from_changelog = {
        record.key[1:]: record.value for record in bench.read(changelog_of(bench.topology)) if record.key[:1] == b"p"
    }
    assert normal(from_changelog) == normal(want)
    on_disk = {}
    for folder in state.glob("*/profiles-*"):
        if "corrupt" in folder.name:
            continue
        number = folder.name.rsplit("-", 1)[1]
        store = Store.open(folder, f"{bench.topology.name}/profiles/{number}/{PARTITIONS}", Memory(8))
        on_disk |= dict(store.profiles())
        store.close()
    assert normal(on_disk) == normal(want)


def normal(values):
    """Profiles as values: the order of keys within one says nothing."""
    return {name: profiles.load(value[DUE_BYTES:]) for name, value in values.items()}


@pytest.fixture
def bench(bootstrap, tmp_path):
    made = Bench(bootstrap, tmp_path, "benchmark")
    yield made
    made.stop()


def done(bench, worker, total):
    """Everything was read and committed."""
    return (
        worker.owns()
        and worker.metric("rumbo_consumer_lag_records", topic=bench.source) == 0
        and positions(bench) == total
    )


def test_without_a_fault(bench):
    """The yardstick: one worker, no fault, and SIGTERM ends it in order within ten seconds."""
    records = list(generate(EVENTS, seed=11))
    bench.produce((each.partition, each.key, each.value) for each in records)
    worker = bench.worker()
    worker.until(lambda: done(bench, worker, EVENTS))
    assert worker.end(10) == 0
    assert_same(bench, fold(bench, records), worker.state)


EMPTY = ("after_produce", "end_sent", "after_end", "in_recovery")
"""Where an empty disk could show what the same disk hides; the simulator dies at every point on both."""
ALWAYS = {("end_sent", False), ("after_end", True), ("in_recovery", False)}
"""The deaths that `make test` has too: the outcome in doubt, all but the disk written, and half of the state back."""


@pytest.mark.parametrize(
    ("name", "wiped"),
    [
        pytest.param(
            name, wiped, id=f"{name}, {disk} disk", marks=[] if (name, wiped) in ALWAYS else [pytest.mark.long]
        )
        for names, wiped, disk in ((NAMES, False, "same"), (EMPTY, True, "empty"))
        for name in names
    ],
)
def test_killed_at_a_named_point(bench, name, wiped):
    """kill -9 at each place of the protocol, then a restart: as if nothing had happened."""
    records = list(generate(EVENTS, seed=12))
    bench.produce((each.partition, each.key, each.value) for each in records[: EVENTS // 2])
    if name in {"in_recovery", "in_revoke"}:  # these need something to recover, or to give back
        first = bench.worker("state", RUMBO__INSTANCE="solo")
        first.until(lambda: first.owns() and first.metric("rumbo_consumer_lag_records", topic=bench.source) == 0)
        first.end()
        number = "1"
    else:
        number = "1" if name == "in_init" else "3"
    same = {"RUMBO__INSTANCE": "solo"}  # a restart within the session waits for nobody
    place = "fresh" if name == "in_recovery" else "state"
    victim = bench.worker(place, RUMBO__FAILPOINT=f"{name}:{number}", RUMBO__MAX_BATCH="200", **same)
    if name == "in_revoke":
        victim.until(victim.owns)
        victim.process.terminate()
    assert victim.wait() == -9, "the failpoint was not reached"
    bench.produce((each.partition, each.key, each.value) for each in records[EVENTS // 2 :])
    successor = bench.worker("empty" if wiped else place, **same)
    successor.until(lambda: done(bench, successor, EVENTS))
    successor.end()
    assert_same(bench, fold(bench, records), successor.state)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_instants(bench, seed):
    """Several kill -9 in a row while records keep coming."""
    chance = random.Random(seed)
    records = list(generate(EVENTS, seed=20 + seed))
    parts = [records[at : at + 600] for at in range(0, EVENTS, 600)]
    for part in parts:
        bench.produce((each.partition, each.key, each.value) for each in part)
        worker = bench.worker("state", RUMBO__MAX_BATCH="50")
        count = chance.randrange(1, 400)
        worker.until(lambda w=worker, n=count: (w.metric("rumbo_events_received_total") or 0) >= n)
        worker.kill()
    last = bench.worker("state")
    last.until(lambda: done(bench, last, EVENTS))
    last.end()
    assert_same(bench, fold(bench, records), last.state)


def test_two_workers_and_a_rebalance(bench):
    """A second worker joins, the first is killed: partitions move, nothing is lost and nothing is written twice."""
    records = list(generate(EVENTS, seed=31))
    third = EVENTS // 3
    bench.produce((each.partition, each.key, each.value) for each in records[:third])
    one = bench.worker("one", RUMBO__MAX_BATCH="50")
    one.until(one.owns)
    two = bench.worker("two", RUMBO__MAX_BATCH="50")
    two.until(lambda: two.owns(2) and one.owns(2))
    bench.produce((each.partition, each.key, each.value) for each in records[third : 2 * third])
    one.kill()
    bench.produce((each.partition, each.key, each.value) for each in records[2 * third :])
    two.until(lambda: done(bench, two, EVENTS))
    two.end()
    assert_same(bench, fold(bench, records), two.state)


@pytest.mark.long
def test_a_standby_has_the_state_before_it_owns_it(bench):
    """With a warm copy of every partition, both workers hold all of the state; and when one dies the other goes on from it."""
    records = list(generate(EVENTS, seed=41))
    half = EVENTS // 2
    one = bench.worker("one", RUMBO__STANDBYS="1")
    one.until(one.owns)
    two = bench.worker("two", RUMBO__STANDBYS="1")
    two.until(lambda: two.owns(2) and one.owns(2))
    bench.produce((each.partition, each.key, each.value) for each in records[:half])
    one.until(lambda: positions(bench) == half)
    two.until(lambda: len(list(two.state.glob("*/profiles-*"))) == PARTITIONS)
    one.kill()
    two.until(two.owns)
    log = two.log.read_text()
    assert "standing by" in log
    assert "given up" not in log
    taken = [json.loads(line)["records"] for line in log.splitlines() if '"recovered"' in line]
    assert sum(taken) < half / 10, "a takeover that reads the changelog anew had no warm copy"
    bench.produce((each.partition, each.key, each.value) for each in records[half:])
    two.until(lambda: done(bench, two, EVENTS))
    two.end()
    assert_same(bench, fold(bench, records), two.state)
