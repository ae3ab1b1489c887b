"""One seeded schedule: the real engine on the broker in memory, with crashes, freezes, lost and late answers, and rebalances at any await.

    python -m tests.simulator --seeds 1000 [--first 0]        a failing seed is printed and replays alone

Faust is replaced by a group that assigns without waiting for anybody, which is harsher than Kafka's. Transport, feed, carrier,
partition, transaction, store and recovery are the engine's own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiokafka
import structlog

from benchmarks.generate import murmur2
from rumbo.engine import carrier as carrier_module
from rumbo.engine import partition as partition_module
from rumbo.engine import position as record
from rumbo.engine import store as store_module
from rumbo.engine import transport as transport_module
from rumbo.engine.partition import PartitionWorker, Stage
from rumbo.engine.position import Position
from rumbo.engine.store import POSITION_KEY, Memory
from tests.simulator import disks as disks_module
from tests.simulator.broker import EPOCH_MS, Cluster
from tests.simulator.clients import ChangelogConsumer, Producer
from tests.simulator.clock import VirtualLoop
from tests.simulator.oracle import END, check, end_of_time
from tests.simulator.process import PARTITIONS, REFOLDING, SOURCE, STAGES, TOPOLOGY, WITH_ACCOUNTS, Process, staged

Stages = list[tuple[Stage, type[PartitionWorker]]]
REFOLDING_STAGES, STAGES_WITH_ACCOUNTS = staged(REFOLDING), staged(WITH_ACCOUNTS)
CHAOS_SECONDS = 12.0
LAST = 4
"""So many records come when the trouble is over."""
LATE = 0.15
"""So many come minutes to days after others of later times: further than the lateness allows, which is none."""
TURNS, REFOLDS, ACCOUNTS = 4, 3, 1
"""Of four seeds one puts late events in their place, and one has accounts."""
END_SECONDS = 120.0


class World:
    """One seed."""

    def __init__(self, seed: int, folder: Path, stages: Stages | None = None) -> None:
        self.random, self.folder = random.Random(seed), folder
        turn = seed % TURNS
        self.stages = stages or (
            REFOLDING_STAGES if turn == REFOLDS else STAGES_WITH_ACCOUNTS if turn == ACCOUNTS else STAGES
        )
        self.stage = self.stages[0][0]
        self.topology = self.stage.topology
        self.cluster = Cluster(asyncio.get_running_loop().time)
        self.hits: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.said: list[str] = []
        self.faults, self.generation, self.made = True, 0, 0
        self.processes: list[Process] = []
        self.told: set[Any] = set()
        self.events = 0
        self.troubled = asyncio.Event()

    # Members ------------------------------------------------------------------------------------------------------------

    def join(self, folder: Path | None = None) -> None:
        """A process begins, on this disk or an empty one."""
        self.made += 1
        process = Process(self, f"p{self.made}", folder or self.folder / f"disk-{self.made}")
        self.processes.append(process)
        process.start()
        self.rebalance()

    def rebalance(self) -> None:
        """Everyone who answers gets partitions; who is frozen is not asked."""
        self.generation += 1
        self.counts["rebalances"] += 1
        there = [process for process in self.processes if not process.frozen]
        for place, process in enumerate(there):
            process.wanted = self.generation, [n for n in range(PARTITIONS) if n % len(there) == place]
            process.news.set()

    def gone(self, process: Process) -> None:
        """Someone died; a successor comes in a moment, on the same disk or an empty one."""
        self.processes.remove(process)
        folder = process.folder if self.random.random() < 0.7 else None
        asyncio.get_running_loop().call_later(self.random.uniform(0.05, 1.5), self.join, folder)

    # Input --------------------------------------------------------------------------------------------------------------

    async def produce(self) -> None:
        """Interactions of a few customers, some of them late; markers and aborted records between them."""
        at, cluster, chance = EPOCH_MS - 30 * 86_400_000, self.cluster, self.random
        count = chance.randrange(60, 140)
        for number in range(count):
            customer = f"c{chance.randrange(8)}"
            at += chance.choice((1_000, 60_000, 3_600_000, 20_000_000))
            late = chance.choice((60_000, 3_600_000, 30_000_000, 300_000_000)) if chance.random() < LATE else 0
            event = {
                "type": "track", "event": chance.choice(("Viewed", "Viewed", "Bought")), "messageId": f"m{number}",
                "userId": customer, "timestamp": at - late, "context": {"groupId": f"a{(int(customer[1:]) + number // 40) % 3}"},
            }  # fmt: skip
            value = b"{broken" if chance.random() < 0.02 else json.dumps(event).encode()
            partition = murmur2(customer.encode()) % PARTITIONS
            row = cluster.row(SOURCE, partition, customer.encode(), value)
            if (
                number > count - LAST
            ):  # committed and answered, and its markers still to come when the clock record is written
                cluster.produce("shop", cluster.init("shop"), (SOURCE, partition), [row])
                cluster.prepare("shop", chance.uniform(0.1, 0.6))
            elif chance.random() < 0.2:
                epoch = cluster.init("shop")
                cluster.produce("shop", epoch, (SOURCE, partition), [row])
                if chance.random() < 0.5:
                    cluster.end("shop", epoch, commit=False)
                    epoch = cluster.init("shop")
                    cluster.produce("shop", epoch, (SOURCE, partition), [row])
                await asyncio.sleep(chance.random() * 0.05)
                cluster.end("shop", epoch)
            else:
                cluster.logs[SOURCE, partition].append(row, 0)
            self.events += 1
            if number == count - LAST:
                await self.troubled.wait()
            elif chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.3)

    async def trouble(self) -> None:
        """Crashes, freezes, rebalances and compaction, while there is time."""
        loop = asyncio.get_running_loop()
        while loop.time() < CHAOS_SECONDS:
            await asyncio.sleep(self.random.uniform(0.05, 1.2))
            what = self.random.choice(("crash", "freeze", "rebalance", "compact", "join", "retain"))
            victim = self.random.choice(self.processes) if self.processes else None
            if what == "crash" and victim is not None:
                victim.crash()
            elif what == "freeze" and victim is not None and not victim.frozen:
                await self.freeze(victim)
            elif what == "rebalance":
                self.rebalance()
            elif what == "join" and len(self.processes) < 3:
                self.join()
            elif what == "retain":
                self.retain()
            else:
                for (topic, _), log in self.cluster.logs.items():
                    if topic in {stage.changelog for stage, _ in self.stages}:
                        log.compact()
        self.troubled.set()

    def retain(self) -> None:
        """Retention takes from the sources what was read, all of it or some: what a position needs stays."""
        for number in range(PARTITIONS):
            read = self.committed_position(number).sources.get(SOURCE)
            if read is not None:
                log = self.cluster.logs[SOURCE, number]
                log.begin = max(log.begin, self.random.randint(0, read.next))

    async def freeze(self, victim: Process) -> None:
        """A zombie: it hears nothing, its partitions are given away, and it wakes in the middle of what it was doing."""
        self.counts["freezes"] += 1
        victim.frozen = True
        self.rebalance()
        await asyncio.sleep(self.random.uniform(0.05, 3))
        victim.frozen = False
        victim.thawed.set()
        victim.thawed = asyncio.Event()
        await asyncio.sleep(self.random.uniform(0, 0.3))
        if not victim.dead:
            self.rebalance()

    # The end ------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """The whole schedule, then quiet, then the oracle."""
        self.join()
        self.join()
        await asyncio.gather(self.produce(), self.trouble())
        said = json.dumps({"type": "clock", "at": END}).encode()
        for number in range(PARTITIONS):
            control = TOPOLOGY.outputs.control
            self.cluster.logs[control, number].append(self.cluster.row(control, number, None, said), 0)
        await self._die_once_more()
        self.faults = False
        self.rebalance()
        loop = asyncio.get_running_loop()
        while not self.settled():
            assert loop.time() < END_SECONDS, f"it never came to rest: {self.said[-3:]}; {self.standing()}"
            await asyncio.sleep(0.2)
        check(self)
        await self.end()

    async def end(self) -> None:
        """Nobody runs any more, and every folder is given back."""
        for process in list(self.processes):
            process.dead = True
            process.cancel()
            for store in process.stores:
                store.close()
        await asyncio.sleep(0)

    async def _die_once_more(self) -> None:
        """Somewhere between the clock record and what it makes due."""
        await asyncio.sleep(self.random.uniform(0, 1.2))
        for process in list(self.processes):
            if self.random.random() < 0.5:
                process.crash()

    def settled(self) -> bool:
        """Everyone has what the last rebalance gave; and what is committed has come to the end, in every partition."""
        given = all(
            process.wanted[0] == self.generation
            and carrier.recovered.is_set()
            and sorted(carrier.workers) == process.wanted[1]
            and carrier.feed.idle  # one that was fenced stays at work until the group or its own patience ends it
            and not any(worker.has_to_look() for worker in carrier.workers.values())
            for process in self.processes
            for carrier in process.carriers
        )
        owned = sorted(
            number for process in self.processes for carrier in process.carriers for number in carrier.workers
        )
        return (
            given
            and owned == sorted([*range(PARTITIONS)] * len(self.stages))
            and all(self._at_the_end(number) for number in range(PARTITIONS))
            and not any(self.cluster.is_prepared(name) for name in self.cluster.ongoing)
        )

    def _at_the_end(self, number: int) -> bool:
        return self.taken(number) and self.committed_position(number).clock >= end_of_time()

    def taken(self, number: int) -> bool:
        """Whether every stage has taken all that there is for it."""
        return all(
            position.sources[topic].next >= self.cluster.logs[topic, number].end
            for stage, _ in self.stages
            for position in [self.committed_position(number, stage.changelog)]
            for topic in stage.lateness
        )

    def committed_position(self, number: int, changelog: str = "") -> Position:
        """The position that a changelog holds, the deciding stage's where none is named."""
        log = self.cluster.logs[changelog or self.stage.changelog, number]
        return record.load(log.last(POSITION_KEY, self.cluster.prepared))

    def standing(self) -> str:
        """Where everyone is, for one who has to find out."""
        return "; ".join(
            f"{process.name} wants {process.wanted}, has {sorted(process.carrier.workers)}, flow {process.consumer.flow_active}, "
            f"busy {sorted(process.carrier.feed._busy)}, asking {process.carrier.feed.asking}, tasks done {[t.done() for t in process.tasks]}, "
            f"fetching {[(tp.topic, tp.partition, s.position, s.has_valid_position) for tp, s in process.source._states.items()]}, waiting {list(process.carrier.feed._waiting)}, "
            f"at {[(n, w.position.clock, {k: v.next for k, v in w.position.sources.items()}, w.position.sources[SOURCE].next, self.cluster.logs[SOURCE, n].stable) for n, w in process.carrier.workers.items()]}"
            for process in self.processes
        )

    def committed(self, topic: str) -> list[Any]:
        """What a reader of committed data sees."""
        return self._seen(topic, committed=True)

    def uncommitted(self, topic: str) -> list[Any]:
        """What a reader of uncommitted data sees."""
        return self._seen(topic, committed=False)

    def _seen(self, topic: str, *, committed: bool) -> list[Any]:
        logs = [self.cluster.logs[topic, number] for number in range(PARTITIONS)]
        return [row for log in logs for row in log.read(0, 100_000, committed=committed)[0]]


def _one_thread(options: Any) -> Any:
    """RocksDB starts threads to open a store's files; a schedule opens some forty stores of two files each."""

    def made(self: Memory) -> Any:
        found = options(self)
        found.set_max_file_opening_threads(1)
        return found

    return made


def play(seed: int) -> World:
    """Run one seed. Raises AssertionError where the promise is broken."""
    folder = disks_module.folder("simulated-")
    loop = VirtualLoop()
    logging.disable(logging.CRITICAL)
    said = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    made: list[World] = []
    disks = disks_module.Disks(seed)

    async def whole() -> None:
        made.append(World(seed, folder))
        await made[0].run()

    def now() -> float:
        return loop.time()

    try:
        loop.set_exception_handler(lambda *_: None)
        with (
            patch.object(aiokafka, "AIOKafkaProducer", Producer),
            patch.object(aiokafka, "AIOKafkaConsumer", ChangelogConsumer),
            patch.object(partition_module, "monotonic", now),
            patch.object(partition_module, "time", lambda: EPOCH_MS / 1000 + now()),
            patch.object(carrier_module, "monotonic", now),
            patch.object(transport_module, "monotonic", now),
            patch.object(Memory, "options", _one_thread(Memory.options)),
            patch.object(store_module, "Rdict", disks),
        ):
            loop.run_until_complete(whole())
    finally:
        with suppress(BaseException):
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        disks.close()
        logging.disable(logging.NOTSET)
        structlog.configure(**said)
        shutil.rmtree(folder, ignore_errors=True)
    return made[0]
