"""What must be true at the end of a schedule: everything that is committed equals the fold of the core over the committed input."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from rumbo.core import profile as profiles
from rumbo.core.instant import parse_instant
from rumbo.core.profile import DUE_BYTES
from rumbo.intake import Record
from rumbo.local import Local
from tests.simulator.process import PARTITIONS, SOURCE, STAGE, TOPOLOGY

if TYPE_CHECKING:
    from tests.simulator.world import World

END = "2026-03-01T00:00:00Z"


def end_of_time() -> int:
    """The instant of the last clock record."""
    return int(parse_instant(END))


def check(world: World) -> None:
    """The oracle: outputs, dead letters, the state that the changelog alone gives, the state on disk, no open transaction."""
    expected: Counter[str] = Counter()
    want: dict[bytes, Any] = {}
    rejected = 0
    for number in range(PARTITIONS):
        local = Local(world.topology)
        for row in world.cluster.logs[SOURCE, number].read(0, 10_000, committed=True)[0]:
            record = Record(SOURCE, number, row.offset, row.timestamp, row.key, row.value)
            expected.update(decision.id for decision in local.send(record))
        expected.update(decision.id for decision in local.until(end_of_time()))
        want |= {
            name.encode(): profiles.load(profiles.stored(each)[DUE_BYTES:]) for name, each in local.profiles.items()
        }
        rejected += sum(count for name, count in local.counts.items() if name.startswith("rejected."))
    written = Counter(
        json.loads(row.value)["id"] for topic in TOPOLOGY.outputs.decisions for row in world.committed(topic)
    )
    assert not expected - written, f"lost {len(expected - written)}"
    assert not written.keys() - expected.keys(), f"phantom {len(written.keys() - expected.keys())}"
    assert written == expected, "twice"
    everything = {
        json.loads(row.value)["id"] for topic in TOPOLOGY.outputs.decisions for row in world.uncommitted(topic)
    }
    assert not everything - expected.keys(), (
        f"aborted, and not what the input gives: {len(everything - expected.keys())}"
    )
    assert len(world.committed(f"{SOURCE}.dlq")) == rejected, "dead letters"
    changelog = {
        row.key[1:]: profiles.load(row.value[DUE_BYTES:])
        for row in world.committed(STAGE.changelog)
        if row.key[:1] == b"p"
    }
    assert changelog == want, "the changelog's state"
    disk = {
        name: profiles.load(value[DUE_BYTES:])
        for process in world.processes
        for worker in process.carrier.workers.values()
        for name, value in worker.store.profiles()
    }
    assert disk == want, "the disk's state"
    assert pasts_on_disk(world) == pasts_in_changelog(world), "the pasts on disk"
    assert all(log.stable == log.end for log in world.cluster.logs.values()), "a transaction hangs"
    assert not world.counts["read twice"], "records were stepped twice, and only the memory of ids hid it"
    assert not world.counts["told early"], "the group was told more than is committed"
    world.counts["decisions"] = len(expected)


def pasts_on_disk(world: World) -> dict[bytes, bytes]:
    """Every row that late events are put in their place by."""
    workers = [worker for process in world.processes for worker in process.carrier.workers.values()]
    return {key: value for worker in workers for key, value in worker.store.under(b"r")}


def pasts_in_changelog(world: World) -> dict[bytes, bytes]:
    """The same, as the changelog alone gives them: a past for each profile, where they are kept."""
    last = {row.key: row.value for row in world.committed(STAGE.changelog)}
    heads = {key[1:].split(b"\0")[0] for key, value in last.items() if key[:1] == b"r" and value is not None}
    profiles_kept = {key[1:] for key in last if key[:1] == b"p"}
    assert heads == (profiles_kept if world.topology.late.policy == "refold" else set()), "pasts"
    return {key: value for key, value in last.items() if key[:1] == b"r" and value is not None}
