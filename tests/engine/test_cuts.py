"""Where batches end is chance (fetches, crashes, rebalances): what is decided must not depend on it, of records beyond the lateness neither."""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rumbo.core import profile as profiles
from rumbo.core.instant import isoformat
from rumbo.core.profile import DUE_BYTES, stored
from rumbo.engine import partition as engine
from rumbo.engine import position
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.partition import Batch, PartitionWorker
from rumbo.engine.position import SourcePosition
from rumbo.engine.stages import Counts, stages
from rumbo.engine.store import Memory, Store
from rumbo.engine.transaction import Committed
from rumbo.intake import Record
from rumbo.local import Local
from rumbo.observe.metrics import Metrics
from rumbo.topology import load

HOUR = 3_600_000_000
BEGIN = 1_767_225_600_000_000
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
FAST = "/dev/shm"  # noqa: S108  a disk that needs no fsync, where the machine has such
TOPOLOGY = """\
topology: cuts
sources: [{{topic: cuts-input, key: customer, lateness: {lateness}}}]
journeys: [journey.yaml]
start: earliest
clock: {clock}
late: {late}
"""
JOURNEY = """\
journey: shop
version: "1.0"
scores:
  interest:
    half_life: 2d
    points: [{event: Viewed, points: 5}, {event: Bought, points: 10}]
    bands: [{warm: {enter: 8, leave: 5}}]
stages:
  - visitor
  - buyer: {when: {event: Bought}, stuck_after: p90}
policies: {service: {purpose: service, expires_after: 30d}}
triggers:
  - {id: bought, event: Bought, action: {kind: message, template: thanks}, policy: service}
  - {id: gone, absence: {of: Viewed, for: 6h}, action: {kind: message, template: miss_you}, policy: service}
  - {id: cooled, score: {name: interest, left: warm}, action: {kind: message, template: still}, policy: service}
"""


SHOP = ("Viewed", "Viewed", "Bought", "clock", "cohort", "stage")
OUTREACH = (
    "Account Created", "Report Exported", "Product Added", "Cart Viewed", "Order Completed", "Trial Started", "Consent Changed", "Unsubscribed",
    "Report Opened", "clock",
)  # fmt: skip
KINDS = {"shop": SHOP, "outreach": OUTREACH}


class World(NamedTuple):
    """A topology with what its worker's partitions share."""

    journey: str = "shop"
    lateness: str = "0s"
    late: str = "process"
    clock: str = "log"

    def __str__(self) -> str:
        return " ".join(self)


class Broken(Exception):
    """The process is gone."""


class Transactions:
    """In the producer's place: remembers what was written, committed or not, and breaks off where it is told."""

    def __init__(self, breaks):
        self.breaks, self.clock_committed = iter(breaks), 0
        self.written, self.committed = [], []
        self._next = 0

    async def commit(self, groups):
        """One transaction."""
        rows = [(topic, value) for topic, _, rows in groups for _, value, _ in rows]
        decisions = [
            (topic, json.loads(value)) for topic, value in rows if topic in topology(World()).outputs.decisions
        ]
        self.written += decisions
        if next(self.breaks, False):
            raise Broken
        self.committed += decisions
        self._next += len(rows)
        return Committed(defaultdict(lambda: self._next), {})


@cache
def topology(world):
    """The small shop, or the outreach of the examples with its contact rules, flows, holds and caps."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        head = TOPOLOGY.format(lateness=world.lateness, clock=world.clock, late=world.late)
        journey = JOURNEY
        if world.journey == "outreach":
            whole = (TOPOLOGIES / "outreach" / "topology.yaml").read_text()
            head += "zone: Europe/Madrid\n" + whole[whole.index("contact:") :]
            journey = (TOPOLOGIES / "outreach" / "journey.yaml").read_text()
        (folder / "topology.yaml").write_text(head)
        (folder / "journey.yaml").write_text(journey)
        return load(folder)


@cache
def stage(world):
    """What the partitions share."""
    [(made, _)] = stages(topology(world), Counts(1, 0), Metrics(), Failpoints())
    return made


def interaction(offset, customer, name, at):
    """A record of the source."""
    said = {
        "type": "track", "event": name, "messageId": f"m{offset}", "userId": customer, "timestamp": isoformat(at),
        "properties": {"cart_id": f"k{offset % 2}", "status": "granted", "purpose": ("education", "offers", "help")[offset % 3]},
    }  # fmt: skip
    return Record("cuts-input", 0, offset, at // 1000, customer.encode(), json.dumps(said).encode())


def control(offset, kind, at):
    """A record of the control topic."""
    minutes = at // (HOUR // 60)
    said = {
        "clock": {"type": "clock", "at": isoformat(at)},
        "cohort": {"type": "cohort", "journey": "shop", "dwell": {"buyer": f"{1 + minutes % 4 * 10}h"}},
        "stage": {"type": "stage", "customer": "a", "journey": "shop", "stage": ("visitor", "buyer")[minutes % 2], "at": isoformat(at), "id": f"s{offset}"},
    }[kind]  # fmt: skip
    return Record(topology(World()).outputs.control, 0, offset, at // 1000, None, json.dumps(said).encode())


one = st.tuples(st.integers(0, 29), st.sampled_from("abc"), st.integers(-30, 12), st.integers(0, 3))
"""Which kind, of whom, how many hours from where the events stand (mostly back), and minutes (of a cohort: how long it dwells, in tens of hours)."""
CLOCK, COHORT, STAGE = 3, 4, 5
SAID_TWICE = [(COHORT, "a", 0, 0), (CLOCK, "a", 12, 0), (STAGE, "a", -11, 1), (STAGE, "a", -10, 0)]
FIGURE_AFTER_CLOCK = [(COHORT, "a", 0, 0), (2, "a", 0, 0), (CLOCK, "a", 6, 0), (COHORT, "a", 6, 3)]


def records(kinds, chosen):
    """Records in the order in which they are taken, each topic with offsets of its own; a clock record ends them."""
    found, at, offsets = [], BEGIN, {}
    for which, customer, hours, minutes in chosen:
        what = kinds[which % len(kinds)]
        said = at + hours * HOUR + minutes * HOUR // 60
        at = max(at, said)
        topic = "control" if what in {"clock", "cohort", "stage"} else "source"
        offset = offsets[topic] = offsets.get(topic, -1) + 1
        found.append(control(offset, what, said) if topic == "control" else interaction(offset, customer, what, said))
    found.append(control(offsets.get("control", -1) + 1, "clock", at + 400 * 24 * HOUR))
    return found


def cut(taken, ends):
    """The records in runs of one topic, each ended where the topic changes or where it is told."""
    runs, ends = [[]], iter(ends)
    for each in taken:
        if runs[-1] and (runs[-1][-1].topic != each.topic or next(ends, False)):
            runs.append([])
        runs[-1].append(each)
    return [run for run in runs if run]


async def carried(shared, taken, ends, breaks):
    """Take the records in batches, begin again from what is committed wherever it breaks; what was written, and the store's profiles."""
    transactions = Transactions(breaks)
    with TemporaryDirectory(dir=FAST if os.access(FAST, os.W_OK) else None) as folder:
        store = Store.open(Path(folder), "cuts", Memory(8))
        ends = iter(ends)
        while True:
            found = position.load(store.position())
            for topic in (*shared.lateness, shared.control):
                found.sources.setdefault(topic, SourcePosition(next=0, partitions=1))
            worker = PartitionWorker(shared, 0, store, transactions, found)
            left = [each for each in taken if each.offset >= worker.next_of(each.topic)]
            try:
                for run in cut(left, ends):
                    await worker.take(Batch(run[0].topic, run[0].offset, run[-1].offset + 1, run, caught_up=True))
                await worker.timers()
                break
            except Broken:
                continue
        state = {name.decode(): profiles.load(value[DUE_BYTES:]) for name, value in store.profiles()}
        store.close()
    return transactions, state


def in_order(decisions):
    """Ids in order, by topic and customer."""
    found = defaultdict(list)
    for topic, each in decisions:
        found[topic, each["subject"]].append(each["id"])
    return found


def folded(local, shared, record):
    """What the core decides of a record, as it would be written."""
    for made in local.send(record):
        out = shared.encoder(made)
        yield out.topic, json.loads(out.value)


@pytest.mark.parametrize(
    "world",
    [
        World(),
        World(lateness="5h"),
        World(late="refold"),
        World("outreach"),
        World("outreach", lateness="5h", late="refold"),
    ],
    ids=str,
)
@example(chosen=SAID_TWICE, ends=[], breaks=[])
@example(chosen=FIGURE_AFTER_CLOCK, ends=[], breaks=[])
@example(chosen=FIGURE_AFTER_CLOCK, ends=[True] * 9, breaks=[False, False, False, True])
@given(
    chosen=st.lists(one, min_size=1, max_size=25),
    ends=st.lists(st.booleans(), max_size=60),
    breaks=st.lists(st.booleans(), max_size=20),
)
def test_decisions_do_not_depend_on_where_batches_end_or_break(world, chosen, ends, breaks):
    """Each customer's decisions, in order, are those of the core record by record; and no attempt that was aborted wrote any other."""
    taken = records(KINDS[world.journey], chosen)
    local = Local(topology(world))
    expected = in_order(each for record in taken for each in folded(local, stage(world), record))
    transactions, state = asyncio.run(carried(stage(world), taken, ends, breaks))
    assert in_order(transactions.committed) == expected
    assert {each["id"] for _, each in transactions.written} == {each for ids in expected.values() for each in ids}
    assert state == {name: profiles.load(stored(each)[DUE_BYTES:]) for name, each in local.profiles.items()}


def test_what_the_wall_makes_due_is_not_fired_by_a_clock_that_a_crash_takes_back(monkeypatch, tmp_path):
    """The wall moves the clock of a quiet partition: that is committed before anything fires by it, so a record that comes after a crash is late."""
    shared, wall = stage(World(clock="live")), SimpleNamespace(at=BEGIN / 1_000_000)
    monkeypatch.setattr(engine, "time", lambda: wall.at)
    transactions = Transactions([False, False, True])  # the batch, the clock, and what fires by it

    async def play():
        store = Store.open(tmp_path / "store", "cuts", Memory(8))
        found = position.load(None)
        for topic in (*shared.lateness, shared.control):
            found.sources[topic] = SourcePosition(next=0, partitions=1)
        worker = PartitionWorker(shared, 0, store, transactions, found)
        viewed, again = interaction(0, "a", "Viewed", BEGIN), interaction(1, "a", "Viewed", BEGIN + 5 * HOUR)
        await worker.take(Batch("cuts-input", 0, 1, [viewed], caught_up=True))
        worker.caught_up = dict.fromkeys(shared.lateness, True)
        wall.at += 7 * 3600
        worker.broker_time = BEGIN + 7 * HOUR
        with pytest.raises(Broken):
            await worker.idle()
        worker = PartitionWorker(shared, 0, store, transactions, position.load(store.position()))
        await worker.take(Batch("cuts-input", 1, 2, [again], caught_up=True))
        store.close()

    asyncio.run(play())
    written, committed = (
        [each["id"] for _, each in found if each["data"].get("trigger") == "gone"]
        for found in (transactions.written, transactions.committed)
    )
    assert written == committed * 2, "once in the attempt that broke, once for good"
