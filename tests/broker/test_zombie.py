"""A worker that was frozen past its session and wakes: it finds itself fenced, writes nothing, and takes its place in the group again."""

from __future__ import annotations

import signal

import pytest

from benchmarks.generate import generate
from tests.broker.bench import Bench
from tests.broker.test_exactly_once import assert_same, fold

pytestmark = pytest.mark.broker
EVENTS = 2_000


def test_a_woken_zombie_writes_nothing_and_works_on(bootstrap, tmp_path):
    """Records come before, while it sleeps and after it woke; every one counts once, and both workers end in order."""
    bench = Bench(bootstrap, tmp_path, "benchmark")
    try:
        records = list(generate(EVENTS, seed=51))
        parts = [records[at : at + EVENTS // 4] for at in range(0, EVENTS, EVENTS // 4)]

        def write(part):
            bench.produce((each.partition, each.key, each.value) for each in part)

        write(parts[0])
        one, two = bench.worker("one", RUMBO__MAX_BATCH="50"), bench.worker("two", RUMBO__MAX_BATCH="50")
        two.until(lambda: two.owns(2) and one.owns(2))
        one.process.send_signal(signal.SIGSTOP)
        write(parts[1])
        two.until(lambda: two.owns(4))
        write(parts[2])
        one.process.send_signal(signal.SIGCONT)
        write(parts[3])
        two.until(lambda: two.owns(2) and one.owns(2))
        two.until(lambda: done_by_both(bench, one, two))
        assert (one.end(), two.end()) == (0, 0)
        merged = merge(tmp_path, one, two)
        assert_same(bench, fold(bench, records), merged)
    finally:
        bench.stop()


def done_by_both(bench, one, two):
    """Together they have read everything."""
    from tests.broker.bench import positions

    return positions(bench) == EVENTS and one.owns(2) and two.owns(2)


def merge(folder, one, two):
    """The stores of the last owners, side by side: a store that was given away is older, and its partition's new owner has the truth."""
    import shutil

    from rumbo.engine.store import Memory, Store

    both = folder / "both"
    for worker in (one, two):
        for store in worker.state.glob("*/profiles-*"):
            target = both / store.parent.name / store.name
            if not target.exists() or newer(store, target, Store, Memory):
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(store, target)
    return both


def newer(one, other, store, memory):
    """Whether the first has seen more of its changelog."""
    found = []
    for folder in (one, other):
        number = folder.name.rsplit("-", 1)[1]
        owner = f"{folder.parent.name}/profiles/{number}/4"
        opened = store.open(folder, owner, memory(8))
        found.append(opened.changelog_next)
        opened.close()
    return found[0] > found[1]
