"""The promise under seeded faults at every await point, and the faults that the simulator must be able to catch."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from rumbo.core.account import Account
from rumbo.engine.accounts import AccountWorker
from rumbo.engine.partition import PartitionWorker
from rumbo.engine.pasts import Pasts
from tests.simulator import world as world_module
from tests.simulator.mutants import TABLE, caught_by, name_of
from tests.simulator.planted import PLANTED
from tests.simulator.process import FAULTS
from tests.simulator.world import ACCOUNTS, CHAOS_SECONDS, REFOLDS, TURNS, World, play

FEWEST, MOST = 15, 60
POINTS = {
    "agent", "after_poll", "after_step", "after_produce", "before_end", "end_sent", "after_end", "before_ack", "in_init",
    "in_recovery", "in_revoke", "init: request", "init: reply", "produce: request", "produce: reply", "produce: request: lost",
    "produce: reply: lost", "end: request", "end: reply", "end: request: lost", "end: reply: lost", "end: late",
    "changelog: ends", "changelog: fetch", "source: fetch", "offsets", "find_coordinator", "abort: request", "abort: reply",
    "source: fetched twice", "end: markers late", "records", "written", "told",
}  # fmt: skip


def test_nothing_is_lost_and_nothing_twice_whatever_goes_wrong():
    """Outputs, dead letters, the changelog's state and the disk's, against the fold of the core; every point is passed."""
    hits: Counter[str] = Counter()
    for seed in range(MOST):
        if seed >= FEWEST and not POINTS - hits.keys():
            break
        world = play(seed)
        assert world.events >= 50
        assert world.counts["crashes"] > 0
        assert world.counts["rebalances"] > 0
        hits += world.hits
    assert POINTS - hits.keys() == set()


class Restless(World):
    """Nothing is wrong with broker or disk; partitions change hands all the time, also while batches are on their way to them."""

    def join(self, folder=None):
        """One process, which has every partition."""
        if not self.processes:
            super().join(folder)

    async def trouble(self):
        """Rebalances."""
        loop = asyncio.get_running_loop()
        while loop.time() < CHAOS_SECONDS:
            await asyncio.sleep(self.random.uniform(0.05, 1.5))
            self.rebalance()
        self.troubled.set()

    async def _die_once_more(self):
        """Nobody dies."""


def test_where_partitions_only_change_hands_no_worker_ends(monkeypatch):
    """What was handed on and not yet begun when partitions are given back is not begun any more: its producer would go from under it."""
    monkeypatch.setattr(world_module, "World", Restless)
    monkeypatch.setitem(FAULTS, "crash", 0)
    monkeypatch.setitem(FAULTS, "error", 0)
    monkeypatch.setitem(FAULTS, "slow", 0.2)
    for seed in range(24):
        world = play(seed)
        assert world.counts["rebalances"] > 5
        assert (world.said, world.counts["crashes"]) == ([], 0)


def test_a_seed_replays():
    """The same schedule, to the last await."""
    assert play(7).hits == play(7).hits


def test_late_events_are_put_in_their_place_whatever_goes_wrong():
    """What is withdrawn is written once as well, and the pasts are as durable as the profiles."""
    withdrawn = 0
    for seed in range(REFOLDS, 10 * TURNS, TURNS):
        world = play(seed)
        withdrawn += len(world.committed(world.topology.outputs.corrections))
    assert withdrawn > 10


@pytest.mark.parametrize(
    "planted",
    [
        ("rows", lambda rows: lambda self: rows(self)[:-1]),
        ("rows", lambda rows: lambda self: [each for each in rows(self) if not each[0].endswith(b"\0b")]),
        ("_inputs", lambda inputs: lambda self, customer: inputs(self, customer)[1:]),
    ],
    ids=("a row is not written", "the base is not written", "an input is not found"),
)
def test_a_fault_in_a_past_is_caught(planted, monkeypatch):
    """The harness must be able to fail."""
    name, fault = planted
    monkeypatch.setattr(Pasts, name, fault(getattr(Pasts, name)))
    with pytest.raises(AssertionError):
        _play_some()


def _play_some(first=REFOLDS):
    for seed in range(first, 8 * TURNS, TURNS):
        play(seed)


def test_accounts_stand_where_their_contacts_put_them_whatever_goes_wrong():
    """Two stages, each with producers, stores and positions of its own; what one writes within its transactions the other reads once."""
    told = withdrawn = 0
    for seed in range(ACCOUNTS, 10 * TURNS, TURNS):
        world = play(seed)
        told += world.counts["decisions of accounts"]
        withdrawn += len(world.committed(world.topology.outputs.corrections))
    assert told > 500
    assert withdrawn > 10


@pytest.mark.parametrize(
    ("where", "name", "fault"),
    [
        (AccountWorker, "_changed", lambda changed: lambda self: changed(self)[:-1]),
        (AccountWorker, "_read_accounts", lambda _: lambda self, names: self._accounts.update({each: Account(each) for each in names - self._accounts.keys()})),
        (PartitionWorker, "_tell", lambda tell: lambda self, telling, groups: tell(self, telling, {} if self.position.clock % 7 == 0 else groups)),
    ],
    ids=("an account is not written", "an account is not read", "a change is not told"),
)  # fmt: skip
def test_a_fault_in_the_accounts_is_caught(where, name, fault, monkeypatch):
    """The harness must be able to fail."""
    monkeypatch.setattr(where, name, fault(getattr(where, name)))
    with pytest.raises(AssertionError):
        _play_some(ACCOUNTS)


@pytest.mark.parametrize("planted", [PLANTED[0], PLANTED[2], PLANTED[-1]], ids=lambda planted: planted.__name__)
def test_a_planted_fault_is_caught(planted):
    """The harness must be able to fail; `make mutants` plants all of them."""
    assert caught_by(planted, 60) is not None


def test_the_table_of_planted_faults_is_whole():
    """Each is named with the seed that caught it, and none lives."""
    rows = [line.split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| ")][1:]
    assert [row[0].removeprefix("| ") for row in rows] == [name_of(planted) for planted in PLANTED]
    assert all(row[2].isdigit() for row in rows)
