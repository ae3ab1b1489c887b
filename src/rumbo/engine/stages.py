"""The stages of a topology: the one that decides; before it, where raw keys are not customers, the one that re-keys; after it the accounts."""

from __future__ import annotations

from asyncio import Lock
from typing import NamedTuple

from rumbo.engine.accounts import AccountWorker
from rumbo.engine.broker import changelog_of, contacts_of, raw_of
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.partition import PartitionWorker, Stage
from rumbo.engine.rekey import RekeyWorker, events_reader
from rumbo.intake import reader
from rumbo.observe.metrics import Metrics
from rumbo.output import Encoder
from rumbo.serve.live import Live
from rumbo.topology import Topology

DECIDING = "profiles"
REKEYING = "intake"
ACCOUNTS = "accounts"


class Counts(NamedTuple):
    """Partitions of the topology, and of its raw topics (0: it has none)."""

    profiles: int
    raw: int


def stages(
    topology: Topology, counts: Counts, metrics: Metrics, failpoints: Failpoints
) -> list[tuple[Stage, type[PartitionWorker]]]:
    """Every stage with the worker of one of its partitions; the deciding one comes first."""
    readers = {source.topic: reader(source.reading) for source in topology.sources}
    lateness = {source.topic: source.lateness for source in topology.sources}
    raw = raw_of(topology)
    read = {topic: each for topic, each in readers.items() if topic not in raw}
    late = {topic: each for topic, each in lateness.items() if topic not in raw}
    if raw:
        events = topology.outputs.events
        read[events] = events_reader({topic: readers[topic] for topic in raw})
        late[events] = max(lateness[topic] for topic in raw)
    deciding = Stage(
        name=DECIDING,
        topology=topology,
        program=topology.program(),
        encoder=Encoder(topology.outputs, topology.mode),
        readers=read,
        lateness=late,
        partitions=counts.profiles,
        changelog=changelog_of(topology, DECIDING),
        control=topology.outputs.control,
        spread=counts.profiles,
        metrics=metrics,
        failpoints=failpoints,
        live=Live(),
        turn=Lock(),
        contacts=contacts_of(topology),
    )
    found: list[tuple[Stage, type[PartitionWorker]]] = [(deciding, PartitionWorker)]
    if deciding.contacts:
        hearing = deciding._replace(
            name=ACCOUNTS,
            readers={},
            lateness={deciding.contacts: 0},
            changelog=changelog_of(topology, ACCOUNTS),
            control=None,
            contacts="",
            accounts=topology.account_machine(),
        )
        found.append((hearing, AccountWorker))
    if not raw:
        return found
    rekeying = deciding._replace(
        name=REKEYING,
        readers={topic: readers[topic] for topic in raw},
        lateness={topic: lateness[topic] for topic in raw},
        partitions=counts.raw,
        changelog=changelog_of(topology, REKEYING),
        control=None,
        contacts="",
    )
    return [*found, (rekeying, RekeyWorker)]
