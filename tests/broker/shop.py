"""A small shop for broker tests: a topology with stages, a score, triggers and an absence timer; histories; what they must lead to."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka.partitioner import murmur2

from rumbo.core.instant import Instant
from rumbo.intake import Record
from rumbo.local import Local
from rumbo.topology import Topology, load

PARTITIONS = 4
START = 1_767_225_600
"""2026-01-01T00:00:00Z in seconds."""
END: Instant = (START + 40 * 86_400) * 1_000_000
"""Long after every history here, so that every timer is due."""

TOPOLOGY = """\
topology: {name}
sources:
  - {{topic: {topic}, key: customer, lateness: 0s}}
journeys: [journey.yaml]
clock: {clock}
outputs: {{transitions: {name}.transitions, scores: {name}.scores, actions: {name}.actions, suppressed: {name}.suppressed,
  corrections: {name}.corrections, progress: {name}.progress, control: {name}.control, events: {name}.events}}
"""
JOURNEY = """\
journey: shop
version: "1.0"
scores:
  interest:
    half_life: 14d
    points: [{event: Viewed, points: 3}, {event: Bought, points: 20}]
    bands: [{warm: {enter: 10, leave: 6}}, {hot: {enter: 40, leave: 25}}]
stages:
  - visitor
  - looking: {when: {event: Viewed, at_least: 2}}
  - buyer: {when: {event: Bought}}
triggers:
  - {id: thanks, event: Bought, action: {kind: message, template: thanks}}
  - {id: missed, absence: {of: Viewed, for: 3d, since: Viewed}, action: {kind: message, template: missed}}
"""


class Line(NamedTuple):
    """One record to be produced."""

    partition: int
    key: bytes
    value: bytes


def topology(folder: Path, name: str, *, clock: str = "log", extra: str = "") -> Topology:
    """The shop's topology, written to a folder and loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "topology.yaml").write_text(TOPOLOGY.format(name=name, topic=f"{name}.in", clock=clock) + extra)
    (folder / "journey.yaml").write_text(JOURNEY)
    return load(folder)


def history(events: int, *, seed: int, customers: int = 200, poison: float = 0.01, begin: int = 0) -> list[Line]:
    """Events of a few customers over a day, in time order, each with an id of its own; some records are no events at all."""
    dice = random.Random(seed)
    lines: list[Line] = []
    for number in range(begin, begin + events):
        customer = f"c{dice.randrange(customers):04d}"
        key = customer.encode()
        at = START + number * 86_400 // 20_000
        said = {
            "type": "track", "event": dice.choice(("Viewed", "Viewed", "Viewed", "Bought", "Other")), "userId": customer,
            "messageId": f"{seed}-{number}", "timestamp": f"{_iso(at)}.{number % 1000:03d}Z", "properties": {"total": number % 97},
        }  # fmt: skip
        value = json.dumps(said).encode()
        lines.append(Line(place(key), key, value[:40] if dice.random() < poison else value))
    return lines


def place(key: bytes) -> int:
    """The partition of a key, as the Java client chooses it."""
    return int((murmur2(key) & 0x7FFFFFFF) % PARTITIONS)


def _iso(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Expected(NamedTuple):
    """What a history must lead to: decisions by id, and how many rejects."""

    decisions: set[str]
    rejects: int


def expected(shop: Topology, records: Iterable[tuple[int, int, int, bytes, bytes]], *, until: Instant | None) -> Expected:
    """Fold the same core over (partition, offset, timestamp, key, value) as they stand in the source topic."""
    rejected: list[Any] = []
    local = Local(shop, rejected=lambda record, _: rejected.append(record))
    decided: list[str] = []
    topic = shop.sources[0].topic
    for partition, offset, timestamp, key, value in records:
        record = Record(topic=topic, partition=partition, offset=offset, timestamp=timestamp, key=key, value=value)
        decided += [each.id for each in local.send(record)]
    if until is not None:
        decided += [each.id for each in local.until(until)]
    assert len(decided) == len(set(decided)), "the history itself leads to equal ids"
    return Expected(set(decided), len(rejected))


def compare(seen: Sequence[str], wanted: set[str]) -> dict[str, int]:
    """The oracle's figures: all of them must be zero."""
    return {"lost": len(wanted - set(seen)), "phantom": len(set(seen) - wanted), "twice": len(seen) - len(set(seen))}
