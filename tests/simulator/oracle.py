"""What must be true at the end of a schedule: everything that is committed equals the fold of the core over the committed input."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from rumbo.core import account as accounts
from rumbo.core import profile as profiles
from rumbo.core.account import RECENT, Account, ContactChange
from rumbo.core.decision import Decision
from rumbo.core.instant import parse_instant
from rumbo.core.profile import DUE_BYTES
from rumbo.engine.broker import contacts_of
from rumbo.engine.store import POSITION_KEY, Store
from rumbo.intake import Record
from rumbo.local import Local
from rumbo.output import Encoder
from tests.engine.test_accounts import stands
from tests.simulator.process import PARTITIONS, SOURCE, TOPOLOGY

if TYPE_CHECKING:
    from tests.simulator.world import World

END = "2026-03-01T00:00:00Z"
FOREVER = 2**62


def end_of_time() -> int:
    """The instant of the last clock record."""
    return int(parse_instant(END))


@dataclass
class Expected:
    """The fold of the core over the committed input."""

    order: dict[tuple[str, int, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    """(topic, partition, customer) -> decision ids as decided."""
    profiles: dict[bytes, Any] = field(default_factory=dict)
    letters: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(partition, offset) of what is rejected."""
    records: dict[int, int] = field(default_factory=dict)
    """Partition -> offset after the last record."""
    changes: list[ContactChange] = field(default_factory=list)
    """What contacts tell their accounts."""
    unaccounted: int = 0
    """Records with no fate, or with two."""


def fold(world: World) -> Expected:
    """Partition by partition."""
    found, encoder = Expected(), Encoder(world.topology.outputs, world.topology.mode)
    for number in range(PARTITIONS):

        def refused(raw: Any, _: object, number: int = number) -> None:
            found.letters[number, raw.offset] += 1

        local = Local(world.topology, rejected=refused)
        if world.topology.accounts is not None:
            local._machine = Listener(found.changes)  # type: ignore[assignment]  # it is asked the same
        rows = world.cluster.logs[SOURCE, number].read(0, 10_000, committed=True)[0]
        decisions = []
        for row in rows:
            decisions += local.send(Record(SOURCE, number, row.offset, row.timestamp, row.key, row.value))
        local.counts.update(local.program.stats)
        found.unaccounted += abs(len(rows) - sum(count for name, count in local.counts.items() if is_fate(name)))
        decisions += local.until(end_of_time())
        for decision in decisions:
            found.order[encoder(decision).topic, number, decision.customer].append(decision.id)
        found.profiles |= {
            name.encode(): profiles.load(profiles.stored(each)[DUE_BYTES:]) for name, each in local.profiles.items()
        }
        found.records[number] = rows[-1].offset + 1 if rows else 0
    return found


class Listener:
    """In the place of the accounts of one partition alone: notes what they are told."""

    def __init__(self, changes: list[ContactChange]) -> None:
        self.stats: Counter[str] = Counter()
        self._changes = changes

    def step(self, _account: Account, change: ContactChange) -> list[Any]:
        """Note it; nothing is decided before the changes of all partitions are known."""
        self._changes.append(change)
        return []


def is_fate(name: str) -> bool:
    """Whether a count is of records that ended so, and no otherwise."""
    return name in {"processed", "skipped"} or name.startswith("rejected.")


def check(world: World) -> None:
    """The oracle: outputs and their order, dead letters, each record taken once, the state in the changelog alone and on disk, no open transaction."""
    expected = fold(world)
    _outputs(world, expected)
    _accounts(world, expected)
    _companies(world, expected)
    _state(world, expected)
    assert all(log.stable == log.end for log in world.cluster.logs.values()), "a transaction hangs"
    assert not world.counts["read twice"], "records were stepped twice, and only the memory of ids hid it"
    assert not world.counts["told early"], "the group was told more than is committed"


def _outputs(world: World, expected: Expected) -> None:
    ids = Counter(each for found in expected.order.values() for each in found)
    order: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    for topic in TOPOLOGY.outputs.decisions:
        for row in world.committed(topic):
            said = json.loads(row.value)
            if "account" in said["data"]:
                continue
            order[topic, row.partition, said["subject"]].append(said["id"])
    written = Counter(each for found in order.values() for each in found)
    assert not ids - written, f"lost {len(ids - written)}"
    assert not written.keys() - ids.keys(), f"phantom {len(written.keys() - ids.keys())}"
    assert written == ids, "twice"
    assert order == expected.order, "decisions of a customer are not in the order in which they were decided"
    said = [json.loads(row.value) for topic in TOPOLOGY.outputs.decisions for row in world.uncommitted(topic)]
    everything = {each["id"] for each in said if "account" not in each["data"]}
    assert not everything - ids.keys(), f"aborted, and not what the input gives: {len(everything - ids.keys())}"
    headers = [dict(row.headers) for row in world.committed(f"{SOURCE}.dlq")]
    letters = Counter((int(each["dlq.partition"]), int(each["dlq.offset"])) for each in headers)
    assert letters == expected.letters, "dead letters"
    world.counts["decisions"] = ids.total()


def _accounts(world: World, expected: Expected) -> None:
    """Each record has one fate and was taken by one transaction: what the progress records took lies end to end, to the position."""
    assert not expected.unaccounted, f"{expected.unaccounted} records have no fate, or two"
    at = dict.fromkeys(range(PARTITIONS), 0)
    for row in world.committed(TOPOLOGY.outputs.progress):
        begin, end = json.loads(row.value)["sources"].get(SOURCE, (at[row.partition], at[row.partition]))
        assert begin == at[row.partition], (
            f"partition {row.partition} was taken to {at[row.partition]}, then from {begin}"
        )
        at[row.partition] = end
    for number, end in at.items():
        position = world.committed_position(number).sources[SOURCE].next
        assert end == position >= expected.records[number], f"partition {number} was taken to {end}, not {position}"


def _companies(world: World, expected: Expected) -> None:
    """Accounts: what contacts told, what stands of what was decided, and where each account stands, in the changelog and on disk."""
    machine = world.topology.account_machine()
    if machine is None:
        return
    hearing = world.stages[1][0]
    told = [row.value for row in world.committed(contacts_of(world.topology))]
    assert Counter(told) == Counter(map(msgspec.json.encode, expected.changes)), "changes of contacts"
    found: dict[str, Account] = {}
    made: list[Decision] = []
    for change in sorted(expected.changes, key=lambda each: each.key):
        made += machine.step(found.setdefault(change.account, Account(change.account)), change)
    assert max(Counter(each.account for each in expected.changes).values()) <= RECENT, (
        "some may be from beyond the reach"
    )
    outputs = world.topology.outputs
    said = [
        json.loads(row.value) for topic in (outputs.accounts, outputs.corrections) for row in world.committed(topic)
    ]
    written = [each for each in said if "account" in each["data"]]
    assert len({each["id"] for each in written}) == len(written), "an account was told of twice"
    assert stands(written) == {each.id for each in made}, "what stands of accounts"
    wanted = {name: (each.contacts, each.marks) for name, each in found.items()}
    rows = {row.key: row.value for row in world.committed(hearing.changelog) if row.key[:1] == b"a"}
    disk = [
        store.under(b"a")
        for process in world.processes
        for store in (worker.store for worker in process.carriers[1].workers.values())
    ]
    for kept in (rows, dict(each for some in disk for each in some)):
        state = {name[1:].decode(): accounts.load(value) for name, value in kept.items()}
        assert {name: (each.contacts, each.marks) for name, each in state.items()} == wanted, "the accounts' state"
    world.counts["decisions of accounts"] = len(written)


def _state(world: World, expected: Expected) -> None:
    changelog = {
        row.key[1:]: profiles.load(row.value[DUE_BYTES:])
        for row in world.committed(world.stage.changelog)
        if row.key[:1] == b"p"
    }
    assert changelog == expected.profiles, "the changelog's state"
    disk: dict[bytes, Any] = {}
    for number, store in stores(world):
        here = dict(store.profiles())
        due = {name: at for name, value in here.items() if (at := int.from_bytes(value[:DUE_BYTES], "big"))}
        assert {name: at for at, name in store.due(FOREVER, 1_000_000)} == due, "the timer index on disk"
        last = world.cluster.logs[world.stage.changelog, number].last(POSITION_KEY, set())
        assert store.position() == last, "the position on disk"
        disk |= {name: profiles.load(value[DUE_BYTES:]) for name, value in here.items()}
    assert disk == expected.profiles, "the disk's state"
    assert pasts_on_disk(world) == pasts_in_changelog(world), "the pasts on disk"


def stores(world: World) -> list[tuple[int, Store]]:
    """Of every partition, its owner's."""
    return [(number, worker.store) for process in world.processes for number, worker in process.carrier.workers.items()]


def pasts_on_disk(world: World) -> dict[bytes, bytes]:
    """Every row that late events are put in their place by."""
    return {key: value for _, store in stores(world) for key, value in store.under(b"r")}


def pasts_in_changelog(world: World) -> dict[bytes, bytes]:
    """The same, as the changelog alone gives them: a past for each profile, where they are kept."""
    last = {row.key: row.value for row in world.committed(world.stage.changelog)}
    heads = {key[1:].split(b"\0")[0] for key, value in last.items() if key[:1] == b"r" and value is not None}
    profiles_kept = {key[1:] for key in last if key[:1] == b"p"}
    assert heads == (profiles_kept if world.topology.late.policy == "refold" else set()), "pasts"
    return {key: value for key, value in last.items() if key[:1] == b"r" and value is not None}
