"""Both stages of a topology with accounts, on stores and without a broker: cut anywhere, broken off anywhere, partitions in any order of work."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import account as accounts
from rumbo.core.instant import isoformat
from rumbo.core.retraction import net
from rumbo.engine import position
from rumbo.engine.accounts import NOT_A_CHANGE
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.partition import Batch
from rumbo.engine.place import place_of
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
PARTITIONS = 3
FAST = "/dev/shm"  # noqa: S108  a disk that needs no fsync, where the machine has such
SOURCE = "company-input"
FILES = {
    "topology.yaml": f"""\
topology: company
sources: [{{topic: {SOURCE}, key: customer, lateness: 0s}}]
journeys: [journey.yaml]
clock: log
accounts: {{leave: Left, stage: [{{stage: trial, contacts: 2}}], scores: {{interest: sum}}}}
""",
    "journey.yaml": """\
journey: company
version: "1.0"
scores:
  interest: {half_life: 2d, points: [{event: Viewed, points: 10}], bands: [{warm: {enter: 8, leave: 5}}]}
stages:
  - visitor
  - trial: {when: {event: Trial Started}, back_to: {stage: visitor, when: {idle: Viewed, for: 1d}}}
  - customer: {when: {event: Bought}}
unstable: {flips: 20, within: 1d}
""",
}
NAMES = ("Identified", "Identified", "Viewed", "Viewed", "Trial Started", "Bought", "Left")
WHO = ("ana", "ben", "cho", "dov", "eva")


class Broken(Exception):
    """The process is gone."""


@cache
def topology():
    with TemporaryDirectory() as folder:
        for name, text in FILES.items():
            (Path(folder) / name).write_text(text)
        return load(folder)


@cache
def both():
    """The stage that decides and the one that hears, each with its worker."""
    return stages(topology(), Counts(PARTITIONS, 0), Metrics(), Failpoints())


class Log:
    """Committed records by topic and partition; a transaction is whole or not there."""

    def __init__(self, breaks) -> None:
        self.rows, self.breaks = defaultdict(list), iter(breaks)
        self.written: list[str] = []

    async def commit(self, groups):
        groups = list(groups)
        outputs = (topology().outputs.accounts, topology().outputs.corrections)
        self.written += [
            json.loads(value)["id"] for topic, _, rows in groups if topic in outputs for _, value, _ in rows
        ]
        if next(self.breaks, False):
            raise Broken
        for topic, number, rows in groups:
            self.rows[topic, number] += [(key, value) for key, value, _ in rows]
        return Committed({(topic, number): len(self.rows[topic, number]) for topic, number, _ in groups}, {})


class Partition:
    """One partition of a stage: begun again from its store wherever it breaks off."""

    def __init__(self, stage, make, number, log, folder) -> None:
        self._made = make, stage, number, log
        self.store = Store.open(Path(folder) / f"{stage.name}-{number}", f"{stage.name}-{number}", Memory(8))
        self.stage, self.number = stage, number
        self._begin()

    def _begin(self) -> None:
        make, stage, number, log = self._made
        found = position.load(self.store.position())
        for topic in (*stage.lateness, *([stage.control] if stage.control else ())):
            found.sources.setdefault(topic, SourcePosition(next=0, partitions=PARTITIONS))
        self.worker = make(stage, number, self.store, log, found)

    async def take(self, topic, records) -> None:
        """Some records, again and again until they are committed."""
        while left := [each for each in records if each.offset >= self.worker.next_of(topic)]:
            try:
                await self.worker.take(Batch(topic, left[0].offset, left[-1].offset + 1, left, True))
            except Broken:
                self._begin()
        while True:
            try:
                await self.worker.timers()
                break
            except Broken:
                self._begin()


def interactions(chosen):
    """Records in the order of time; each contact's in one partition. At first everybody counts, most of them in one account."""
    at, offsets = BEGIN, Counter()
    begun = [(0, who, 0, "beta" if who == "eva" else "acme", True) for who in WHO]
    for which, who, hours, account, counts in [*begun, *chosen]:
        at += hours * HOUR
        number, name = place_of(who.encode(), PARTITIONS), NAMES[which]
        said = {
            "type": "track", "event": name, "messageId": f"m{number}-{offsets[number]}", "userId": who, "timestamp": isoformat(at),
            "context": {"groupId": account} if account else {},
        } | ({"type": "identify", "traits": {"role": "champion" if counts else "user"}} if name == "Identified" else {})  # fmt: skip
        yield Record(SOURCE, number, offsets[number], at // 1000, who.encode(), json.dumps(said).encode())
        offsets[number] += 1


async def carried(records, sizes, turns, breaks):
    """Work on both stages by turns: so many records of one partition at a time."""
    (deciding, decide), (hearing, hear) = both()
    log, sizes, turns = Log(breaks), iter(sizes), iter(turns)
    waiting = {
        ("source", number): [each for each in records if each.partition == number] for number in range(PARTITIONS)
    }
    with TemporaryDirectory(dir=FAST if os.access(FAST, os.W_OK) else None) as folder:
        customers = [Partition(deciding, decide, number, log, folder) for number in range(PARTITIONS)]
        companies = [Partition(hearing, hear, number, log, folder) for number in range(PARTITIONS)]
        taken = Counter()

        def told(number):
            rows = log.rows[deciding.contacts, number][taken[number] :]
            return [
                Record(deciding.contacts, number, taken[number] + at, -1, key, value)
                for at, (key, value) in enumerate(rows)
            ]

        while True:
            ready = [place for place, left in waiting.items() if left]
            ready += [("contacts", number) for number in range(PARTITIONS) if told(number)]
            if not ready:
                break
            kind, number = ready[next(turns, 0) % len(ready)]
            size = next(sizes, 50)
            if kind == "source":
                some, waiting[kind, number] = waiting[kind, number][:size], waiting[kind, number][size:]
                await customers[number].take(SOURCE, some)
            else:
                some = told(number)[:size]
                taken[number] += len(some)
                await companies[number].take(deciding.contacts, some)
        state = {}
        for each in companies:
            for key, value in each.store.under(b"a"):
                state[key[1:].decode()] = accounts.load(value)
            changelog = {key: value for key, value in log.rows[hearing.changelog, each.number] if key[:1] == b"a"}
            assert changelog == dict(each.store.under(b"a"))
            assert each.worker._changed() == [], "what is committed is not written again"
        for each in (*customers, *companies):
            each.store.close()
    return log, state


one = st.tuples(
    st.integers(0, len(NAMES) - 1), st.sampled_from(WHO), st.sampled_from([0, 1, 5, 30]), st.sampled_from(["", "acme", "beta"]), st.booleans()
)  # fmt: skip


@settings(max_examples=60)
@given(
    chosen=st.lists(one, min_size=1, max_size=30),
    sizes=st.lists(st.integers(1, 8), max_size=40),
    turns=st.lists(st.integers(0, 5), max_size=80),
    breaks=st.lists(st.booleans(), max_size=20),
)
def test_accounts_do_not_depend_on_where_batches_end_or_break_nor_on_which_partition_is_ahead(
    chosen, sizes, turns, breaks
):
    """What stands of the decisions is what the core says record by record; nothing is written twice, and each account stands where it stands there."""
    records = list(interactions(chosen))
    local = Local(topology())
    made = [each for record in records for each in local.send(record)]
    expected = {each.id for each in net(made).values() if each.kind.startswith("account.")}
    log, state = asyncio.run(carried(records, sizes, turns, breaks))
    outputs = topology().outputs
    rows = [
        row
        for (topic, _), found in log.rows.items()
        for row in found
        if topic in (outputs.accounts, outputs.corrections)
    ]
    written = [json.loads(value) for _, value in rows]
    assert max(Counter(each["id"] for each in written).values(), default=1) == 1
    assert all(
        key.decode() == each["data"]["account"] == each["subject"] for (key, _), each in zip(rows, written, strict=True)
    )
    assert stands(written) == expected
    assert {name: each.contacts for name, each in state.items()} == {
        name: each.contacts for name, each in local.accounts.items()
    }
    assert {name: each.marks for name, each in state.items()} == {
        name: each.marks for name, each in local.accounts.items()
    }
    places = [
        (number, key) for (topic, number), found in log.rows.items() for key, _ in found if topic == outputs.accounts
    ]
    assert all(place_of(key, PARTITIONS) == number for number, key in places)


def stands(written):
    """Ids that no retraction withdraws, but such as are withdrawn themselves."""
    withdraws = {each["id"]: each["data"]["retracts"] for each in written if "retracts" in each["data"]}
    void = set(withdraws.values()) & withdraws.keys()
    gone = {what for number, what in withdraws.items() if number not in void}
    return {each["id"] for each in written} - withdraws.keys() - gone


def test_what_somebody_else_wrote_among_the_changes_is_passed_over_and_counted():
    async def play():
        (deciding, _), (hearing, hear) = both()
        with TemporaryDirectory() as folder:
            log = Log([])
            partition = Partition(hearing, hear, 0, log, folder)
            values = (None, b"", b"{}", b"[1]", b'["acme",7]')
            records = [Record(deciding.contacts, 0, at, -1, b"acme", value) for at, value in enumerate(values)]
            await partition.take(deciding.contacts, records)
            assert partition.worker.next_of(deciding.contacts) == len(values)
            assert partition.store.under(b"a") == []
            partition.store.close()
        found = hearing.metrics.registry.get_sample_value(
            "rumbo_events_rejected_total", {"topic": deciding.contacts, "reason": NOT_A_CHANGE}
        )
        assert found == len(values)

    asyncio.run(play())


def test_a_topology_without_accounts_has_no_second_stage_and_needs_no_topic_for_it():
    from msgspec.structs import replace

    from rumbo.engine.broker import needed

    without = replace(topology(), accounts=None)
    assert [stage.name for stage, _ in stages(without, Counts(1, 0), Metrics(), Failpoints())] == ["profiles"]
    more = {each.name for each in needed(topology(), 3)} - {each.name for each in needed(without, 3)}
    assert more == {"rumbo.accounts.v1", "company-contacts", "company-accounts-changelog"}
