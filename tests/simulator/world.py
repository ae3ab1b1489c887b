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
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import structlog
from aiokafka.structs import TopicPartition

from benchmarks.generate import murmur2
from rumbo.config import settings
from rumbo.core import profile as profiles
from rumbo.core.profile import DUE_BYTES
from rumbo.engine import carrier as carrier_module
from rumbo.engine import partition as partition_module
from rumbo.engine import recovery as recovery_module
from rumbo.engine import transaction as transaction_module
from rumbo.engine.carrier import Carrier
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.feed import Place
from rumbo.engine.stages import Counts, stages
from rumbo.engine.store import Store
from rumbo.engine.transport import BatchConsumer, BatchThread
from rumbo.intake import Record
from rumbo.local import Local
from rumbo.observe.metrics import Metrics
from rumbo.topology import load
from tests.simulator.broker import EPOCH_MS, ChangelogConsumer, Cluster, Producer, SourceConsumer
from tests.simulator.clock import VirtualLoop

PARTITIONS = 2
CHAOS_SECONDS = 12.0
END_SECONDS = 400.0
END = "2026-03-01T00:00:00Z"
FAULTS = {"crash": 0.004, "error": 0.006, "slow": 0.05}
TOPOLOGY = load(Path(__file__).parent / "topology")
SOURCE = TOPOLOGY.sources[0].topic
SHARED = Metrics()
[(STAGE, _)] = stages(TOPOLOGY, Counts(PARTITIONS, 0), SHARED, Failpoints())


class Died(BaseException):
    """The process is gone, here and now."""


class Points(Failpoints):
    """The engine's named places, at each of which a process may die."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def reached(self, name: str) -> None:
        """Perhaps die."""
        self._process.passed(name)


class Process:
    """One worker process: the engine's own parts on one disk."""

    def __init__(self, world: World, name: str, folder: Path) -> None:
        self.world, self.name, self.folder = world, name, folder
        self.cluster, self.random = world.cluster, world.random
        self.dead = self.frozen = False
        self.thawed = asyncio.Event()
        self.tasks: list[asyncio.Task[Any]] = []
        self.stores: list[Store] = []
        self.wanted: tuple[int, list[int]] = (0, [])
        self.news = asyncio.Event()
        given = settings(
            {},
            broker="127.0.0.1:1",
            state_dir=folder,
            session_timeout=6,
            rebalance_timeout=4,
            max_batch=40,
            cache_mib=8,
        )
        self.carrier = Carrier(STAGE._replace(failpoints=Points(self)), given, self, self.failed)
        self.carrier._connection = {"process": self}
        opened = self.carrier._open

        def keep(number: int) -> Store:
            self.stores.append(opened(number))
            return self.stores[-1]

        self.carrier._open = keep
        self.source = SourceConsumer(self)
        self.consumer = self._transport()

    def _transport(self) -> Any:
        consumer, thread = object.__new__(BatchConsumer), object.__new__(BatchThread)
        values = {
            "flow_active": False, "can_resume_flow": asyncio.Event(), "_thread": thread, "carriers": (self.carrier,),
            "callback": self._hand_over, "app": SimpleNamespace(consumer_generation_id=1), "_stopped": asyncio.Event(),
            "wait": lambda event: event.wait(),
        }  # fmt: skip
        consumer.__dict__.update(values)
        thread.__dict__.update(
            consumer=consumer,
            _ensure_consumer=lambda: self.source,
            call_thread=lambda function, *given: function(*given),
        )
        return consumer

    async def _hand_over(self, message: Any) -> None:
        await self.net("agent")
        self.carrier.submit(message.number, message.batch, message.epoch)

    # What goes wrong --------------------------------------------------------------------------------------------------

    def chance(self, point: str) -> bool:
        """Whether the rare thing happens here."""
        self.world.hits[point] += 1
        return self.world.faults and self.random.random() < FAULTS["error"]

    def passed(self, point: str) -> None:
        """Pass a place where a process may die."""
        self.world.hits[point] += 1
        if self.world.faults and self.random.random() < FAULTS["crash"]:
            self.crash()
            raise Died

    async def net(self, point: str, errors: tuple[type[Exception], ...] = ()) -> None:
        """An await on the network: it takes a while, and much may come between."""
        if self.dead:
            raise asyncio.CancelledError
        self.passed(point)
        await asyncio.sleep(
            self.random.uniform(0.01, 1.0) if self.world.faults and self.random.random() < FAULTS["slow"] else 0.0005
        )
        while self.frozen:
            await self.thawed.wait()
        if self.dead:
            raise asyncio.CancelledError
        if errors and self.chance(point + ": lost"):
            raise self.random.choice(errors)

    def crash(self) -> None:
        """kill -9: what is on disk stays, nothing else happens any more."""
        if self.dead:
            return
        self.dead = True
        self.world.counts["crashes"] += 1
        for store in self.stores:
            store.close()
        for task in [*self.tasks, *self.carrier._tasks.values()]:
            task.cancel()
        self.world.gone(self)

    def failed(self, error: BaseException) -> None:
        """The engine asks to stop the process."""
        if isinstance(error, Died) or self.dead:
            return
        self.world.said.append(f"{self.name}: {error!r}")
        self.crash()

    # What the engine asks -----------------------------------------------------------------------------------------------

    async def offsets(self, places: Any) -> dict[Place, tuple[int, int]]:
        """As the broker answers."""
        await self.net("offsets")
        return {place: (0, self.cluster.logs[tuple(place)].stable) for place in places}

    async def records(self, places: Any) -> dict[Place, tuple[int, int]]:
        """Not asked for here: topics are not made again."""
        _ = places
        return {}

    async def told(self, group: str) -> set[Place]:
        """No courtesy is kept."""
        _ = group
        return set()

    # The group ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Join, and fetch."""
        fetcher = SimpleNamespace(_stopped=asyncio.Event())
        self.tasks = [asyncio.ensure_future(self._member()), asyncio.ensure_future(self._drain(fetcher))]

    async def _drain(self, fetcher: Any) -> None:
        try:
            await BatchConsumer._drain(self.consumer, fetcher, self.carrier)
        except Exception as error:  # noqa: BLE001  as the transport's: whatever it is, the process ends
            self.failed(error)

    async def _member(self) -> None:
        done = 0
        while True:
            await self.news.wait()
            self.news.clear()
            generation, numbers = self.wanted
            if generation == done:
                continue
            try:
                self.consumer.flow_active = False
                self.consumer.can_resume_flow.clear()
                await self.carrier.revoke()
                topics = (SOURCE, TOPOLOGY.outputs.control)
                self.source.assigned([TopicPartition(topic, number) for number in numbers for topic in topics])
                await self.carrier.assign(numbers)
                if self.wanted[0] != generation:
                    continue
                await BatchConsumer.seek_to_committed(self.consumer)
                self.consumer.flow_active = True
                self.consumer.can_resume_flow.set()
                done = generation
            except Exception as error:  # noqa: BLE001  as the recovery service
                if self.wanted[0] == generation:
                    self.failed(error)
                    return


class World:
    """One seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random, self.folder = random.Random(seed), folder
        self.cluster = Cluster(asyncio.get_running_loop().time)
        self.hits: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.said: list[str] = []
        self.faults, self.generation, self.made = True, 0, 0
        self.processes: list[Process] = []
        self.events = 0

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
        """Interactions of a few customers, in order; markers and aborted records between them."""
        at, cluster, chance = EPOCH_MS, self.cluster, self.random
        for number in range(chance.randrange(60, 140)):
            customer = f"c{chance.randrange(8)}"
            at += chance.choice((1_000, 60_000, 3_600_000, 20_000_000))
            event = {
                "type": "track", "event": chance.choice(("Viewed", "Viewed", "Bought")), "messageId": f"m{number}",
                "userId": customer, "timestamp": at,
            }  # fmt: skip
            value = b"{broken" if chance.random() < 0.02 else json.dumps(event).encode()
            partition = murmur2(customer.encode()) % PARTITIONS
            row = cluster.row(SOURCE, partition, customer.encode(), value)
            if chance.random() < 0.2:
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
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.3)

    async def trouble(self) -> None:
        """Crashes, freezes, rebalances and compaction, while there is time."""
        loop = asyncio.get_running_loop()
        while loop.time() < CHAOS_SECONDS:
            await asyncio.sleep(self.random.uniform(0.05, 1.2))
            what = self.random.choice(("crash", "freeze", "rebalance", "compact", "join"))
            victim = self.random.choice(self.processes) if self.processes else None
            if what == "crash" and victim is not None:
                victim.crash()
            elif what == "freeze" and victim is not None and not victim.frozen:
                await self.freeze(victim)
            elif what == "rebalance":
                self.rebalance()
            elif what == "join" and len(self.processes) < 3:
                self.join()
            else:
                for (topic, _), log in self.cluster.logs.items():
                    if topic == STAGE.changelog:
                        log.compact()

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
        self.faults = False
        self.rebalance()
        said = json.dumps({"type": "clock", "at": END}).encode()
        for number in range(PARTITIONS):
            control = TOPOLOGY.outputs.control
            self.cluster.logs[control, number].append(self.cluster.row(control, number, None, said), 0)
        loop = asyncio.get_running_loop()
        while not self.settled():
            assert loop.time() < END_SECONDS, f"it never came to rest: {self.said[-3:]}; {self.standing()}"
            await asyncio.sleep(0.2)
        self.check()
        for process in list(self.processes):
            process.dead = True
            for task in [*process.tasks, *process.carrier._tasks.values()]:
                task.cancel()
            for store in process.stores:
                store.close()
        await asyncio.sleep(0)

    def settled(self) -> bool:
        """Every partition is owned, read to its end, and its clock has come to the end."""
        owned = {
            n: w
            for process in self.processes
            for n, w in process.carrier.workers.items()
            if process.carrier.recovered.is_set()
        }
        end = profiles_end()
        return len(owned) == PARTITIONS and all(
            worker.position.clock >= end
            and not process_busy(self, number)
            and worker.position.sources[SOURCE].next >= self.cluster.logs[SOURCE, number].stable
            for number, worker in owned.items()
        )

    def standing(self) -> str:
        """Where everyone is, for one who has to find out."""
        return "; ".join(
            f"{process.name} wants {process.wanted}, has {sorted(process.carrier.workers)}, flow {process.consumer.flow_active}, "
            f"busy {sorted(process.carrier.feed._busy)}, asking {process.carrier.feed.asking}, tasks done {[t.done() for t in process.tasks]}, "
            f"fetching {[(tp.topic, tp.partition, s.position, s.has_valid_position) for tp, s in process.source._states.items()]}, waiting {list(process.carrier.feed._waiting)}, "
            f"at {[(n, w.position.clock, {k: v.next for k, v in w.position.sources.items()}, w.position.sources[SOURCE].next, self.cluster.logs[SOURCE, n].stable) for n, w in process.carrier.workers.items()]}"
            for process in self.processes
        )

    def check(self) -> None:
        """The oracle: outputs, dead letters, the state that the changelog alone gives, the state on disk, no open transaction."""
        expected: Counter[str] = Counter()
        want: dict[bytes, Any] = {}
        rejected = 0
        for number in range(PARTITIONS):
            local = Local(TOPOLOGY)
            for row in self.cluster.logs[SOURCE, number].read(0, 10_000, committed=True)[0]:
                record = Record(SOURCE, number, row.offset, row.timestamp, row.key, row.value)
                expected.update(decision.id for decision in local.send(record))
            expected.update(decision.id for decision in local.until(profiles_end()))
            want |= {
                name.encode(): profiles.load(profiles.stored(each)[DUE_BYTES:]) for name, each in local.profiles.items()
            }
            rejected += sum(count for name, count in local.counts.items() if name.startswith("rejected."))
        written = Counter(
            json.loads(row.value)["id"] for topic in TOPOLOGY.outputs.decisions for row in self.committed(topic)
        )
        assert not expected - written, f"lost {len(expected - written)}"
        assert not written.keys() - expected.keys(), f"phantom {len(written.keys() - expected.keys())}"
        assert written == expected, "twice"
        assert len(self.committed(f"{SOURCE}.dlq")) == rejected, "dead letters"
        changelog = {
            row.key[1:]: profiles.load(row.value[DUE_BYTES:])
            for row in self.committed(STAGE.changelog)
            if row.key[:1] == b"p"
        }
        assert changelog == want, "the changelog's state"
        disk = {
            name: profiles.load(value[DUE_BYTES:])
            for process in self.processes
            for worker in process.carrier.workers.values()
            for name, value in worker.store.profiles()
        }
        assert disk == want, "the disk's state"
        assert all(log.stable == log.end for log in self.cluster.logs.values()), "a transaction hangs"
        self.counts["decisions"] = len(expected)

    def committed(self, topic: str) -> list[Any]:
        """What a reader of committed data sees."""
        return [
            row for n in range(PARTITIONS) for row in self.cluster.logs[topic, n].read(0, 100_000, committed=True)[0]
        ]


def profiles_end() -> int:
    """The instant of the last clock record."""
    from rumbo.core.instant import parse_instant

    return int(parse_instant(END))


def process_busy(world: World, number: int) -> bool:
    """Whether the owner is in the middle of something."""
    return any(
        number in process.carrier.workers and not task.done()
        for process in world.processes
        for place, task in process.carrier._tasks.items()
        if place == number
    )


def play(seed: int) -> World:
    """Run one seed. Raises AssertionError where the promise is broken."""
    folder = Path(tempfile.mkdtemp(prefix="simulated-"))
    loop = VirtualLoop()
    logging.disable(logging.CRITICAL)
    said = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    made: list[World] = []

    async def whole() -> None:
        made.append(World(seed, folder))
        await made[0].run()

    def now() -> float:
        return loop.time()

    try:
        loop.set_exception_handler(lambda *_: None)
        with (
            patch.object(transaction_module.aiokafka, "AIOKafkaProducer", Producer),
            patch.object(recovery_module.aiokafka, "AIOKafkaConsumer", ChangelogConsumer),
            patch.object(partition_module, "monotonic", now),
            patch.object(partition_module, "time", lambda: EPOCH_MS / 1000 + now()),
            patch.object(carrier_module, "monotonic", now),
        ):
            loop.run_until_complete(whole())
    finally:
        with suppress(BaseException):
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        logging.disable(logging.NOTSET)
        structlog.configure(**said)
        shutil.rmtree(folder, ignore_errors=True)
    return made[0]
