"""A history through the real engine on the broker in memory, on a day when nothing goes wrong: what tests hold against `simulate`.

Transport, feed, carrier, partition, transaction, store and recovery are the engine's own; the clock is virtual, so nobody waits.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import aiokafka
import msgspec
import structlog

from rumbo.core import profile as profiles
from rumbo.core.decision import Decision
from rumbo.core.instant import Instant, isoformat, parse_instant
from rumbo.core.profile import DUE_BYTES, Profile
from rumbo.engine import carrier as carrier_module
from rumbo.engine import partition as partition_module
from rumbo.engine import position as record
from rumbo.engine import transport as transport_module
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.stages import Counts, stages
from rumbo.engine.store import POSITION_KEY
from rumbo.intake import RawRecord
from rumbo.observe.metrics import Metrics
from rumbo.output.schemas import DATA
from rumbo.topology import Topology
from tests.simulator import process as process_module
from tests.simulator import world as world_module
from tests.simulator.broker import EPOCH_MS
from tests.simulator.clients import ChangelogConsumer, Producer
from tests.simulator.clock import VirtualLoop

_REST = 600.0


class Outcome(NamedTuple):
    """What the engine has written, and the profiles in its changelog."""

    decisions: list[Decision]
    profiles: dict[str, Profile]
    metrics: Metrics


def run(topology: Topology, records: Iterable[RawRecord], until: Instant) -> Outcome:
    """One partition, one worker, records as they were appended; a clock record at the end. Decisions in the order written, topic by topic."""
    topology = msgspec.structs.replace(topology, clock="log")
    metrics, source = Metrics(), topology.sources[0].topic
    made = stages(topology, Counts(1, 0), metrics, Failpoints())
    stage = made[0][0]
    loop, folder, said = VirtualLoop(), Path(tempfile.mkdtemp(prefix="calm-")), structlog.get_config()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found: list[Outcome] = []

    async def whole() -> None:
        world = world_module.World(0, folder, made)
        world.faults = False
        for each in records:
            row = world.cluster.row(
                source, 0, msgspec.json.decode(each.value or b"{}").get("userId", "").encode(), each.value
            )
            world.cluster.logs[source, 0].append(row._replace(timestamp=each.timestamp), 0)
        control = json.dumps({"type": "clock", "at": isoformat(until)}).encode()
        world.cluster.logs[topology.outputs.control, 0].append(
            world.cluster.row(topology.outputs.control, 0, None, control), 0
        )
        world.join()

        def position() -> record.Position | None:
            kept = world.cluster.logs[stage.changelog, 0].last(POSITION_KEY, world.cluster.prepared)
            return record.load(kept) if kept is not None else None

        while (
            (here := position()) is None
            or here.clock < until
            or here.sources[source].next < world.cluster.logs[source, 0].end
            or not world.taken(0)
        ):
            assert loop.time() < _REST, (world.said, here)
            await asyncio.sleep(0.2)
        await asyncio.sleep(1)
        outputs = (*topology.outputs.decisions, topology.outputs.accounts)
        rows = [row for topic in outputs for row in world.committed(topic)]
        kept = {
            row.key[1:].decode(): profiles.load(row.value[DUE_BYTES:])
            for row in world.committed(stage.changelog)
            if row.key[:1] == b"p" and row.value
        }
        found.append(Outcome([_decision(msgspec.json.decode(row.value)) for row in rows], kept, metrics))
        await world.end()

    try:
        loop.set_exception_handler(lambda *_: None)
        with ExitStack() as patches:
            for place, name, value in (
                (aiokafka, "AIOKafkaProducer", Producer), (aiokafka, "AIOKafkaConsumer", ChangelogConsumer),
                (partition_module, "monotonic", loop.time), (partition_module, "time", lambda: EPOCH_MS / 1000 + loop.time()),
                (carrier_module, "monotonic", loop.time), (transport_module, "monotonic", loop.time), (process_module, "SOURCE", source),
                (process_module, "TOPOLOGY", topology), (world_module, "SOURCE", source),
                (world_module, "PARTITIONS", 1),
            ):  # fmt: skip
                patches.enter_context(patch.object(place, name, value))
            loop.run_until_complete(whole())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        logging.disable(logging.NOTSET)
        structlog.configure(**said)
        shutil.rmtree(folder, ignore_errors=True)
    return found[0]


def _decision(event: dict[str, Any]) -> Decision:
    """A CloudEvent as the decision that it was made of."""
    kind = event["type"].removeprefix("io.rumbo.").removesuffix(".v1")
    data = msgspec.convert(event["data"], DATA[kind])
    return Decision(event["id"], kind, event["subject"], parse_instant(event["time"]), data.journey, data)
