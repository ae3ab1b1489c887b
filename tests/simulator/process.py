"""A worker process of the simulator: the engine's own transport, carrier, partitions, transactions and stores, on one disk.

It may die, freeze, or lose an answer at every await on the network and at every named point; the seed says where.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zlib import crc32

from aiokafka.structs import TopicPartition
from msgspec.structs import replace

from rumbo.config import Settings, settings
from rumbo.core.definition import Accounts, Late, RollUp
from rumbo.core.instant import DAY
from rumbo.engine.accounts import AccountWorker
from rumbo.engine.carrier import Carrier
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.feed import Place
from rumbo.engine.partition import PartitionWorker, Stage
from rumbo.engine.stages import Counts, stages
from rumbo.engine.store import Store
from rumbo.engine.transport import BatchConsumer, BatchThread
from rumbo.observe.metrics import Metrics
from rumbo.topology import Topology, load
from tests.simulator.clients import SourceConsumer

if TYPE_CHECKING:
    from tests.simulator.world import World

PARTITIONS = 2
FAULTS = {"crash": 0.004, "error": 0.006, "slow": 0.05}
TOPOLOGY = load(Path(__file__).parent / "topology")
SOURCE = TOPOLOGY.sources[0].topic
REFOLDING = replace(TOPOLOGY, late=Late("refold", events=6, within=4 * DAY))
"""The same, and late events are put in their place; the reach is short, so that bases move and some come from beyond it."""
WITH_ACCOUNTS = replace(TOPOLOGY, accounts=Accounts("shop", scores=(RollUp("interest", "sum"),)))
"""The same, and customers belong to accounts: a second stage hears what they are now."""


def staged(topology: Topology, partitions: int = PARTITIONS) -> list[tuple[Stage, type[PartitionWorker]]]:
    """The stages of a topology, the deciding one first."""
    return stages(topology, Counts(partitions, 0), Metrics(), Failpoints())


STAGES = staged(TOPOLOGY)


class Died(BaseException):
    """The process is gone, here and now."""


class Points(Failpoints):
    """The engine's named places, at each of which a process may die."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def reached(self, name: str) -> None:
        """Perhaps die."""
        self._process.passed(name)


class Watched:
    """A worker's metrics, which tell what no output does: that the memory of ids dropped a record. Producers repeat nothing here."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self.repeats = metrics, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._metrics, name)

    def processed(self, topic: str, received: int, stepped: int, stats: Counter[str]) -> None:
        """Count, and pass on."""
        self.repeats += stats["duplicate"] + stats["duplicate_conflict"]
        self._metrics.processed(topic, received, stepped, stats)

    def heard(self, topic: str, received: int, taken: int, stats: Counter[str]) -> None:
        """As `processed`, of the changes of contacts."""
        self.repeats += stats["contact_change_again"]
        self._metrics.heard(topic, received, taken, stats)


class _Watched:
    """A partition that tells what was stepped twice, once that is committed: who was fenced meanwhile may step what it likes."""

    def __init__(self, stage: Stage, *given: Any) -> None:
        self.watched = Watched(stage.metrics)
        super().__init__(stage._replace(metrics=self.watched), *given)  # type: ignore[call-arg, arg-type]  # it is asked the same

    async def _commit(self, groups: Any, consumed: Any) -> None:
        await super()._commit(groups, consumed)  # type: ignore[misc]  # the partition's own
        self.stage.failpoints._process.world.counts["read twice"] += self.watched.repeats  # type: ignore[attr-defined]


class WatchedWorker(_Watched, PartitionWorker):
    """Of the stage that decides."""


class WatchedAccounts(_Watched, AccountWorker):
    """Of the stage that hears."""


_WATCHED: dict[type[PartitionWorker], type[PartitionWorker]] = {PartitionWorker: WatchedWorker, AccountWorker: WatchedAccounts}  # fmt: skip


class Process:
    """One worker process: the engine's own parts on one disk."""

    def __init__(self, world: World, name: str, folder: Path) -> None:
        self.world, self.name, self.folder = world, name, folder
        self.cluster, self.random = world.cluster, world.random
        self.dead = self.frozen = False
        self.turn = asyncio.Lock()
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
        self.carriers = tuple(self._carried(stage, make, given) for stage, make in world.stages)
        self.carrier = self.carriers[0]
        self.source = SourceConsumer(self)
        self.consumer = self._transport()

    def _carried(self, stage: Stage, make: type[PartitionWorker], given: Settings) -> Carrier:
        own = stage._replace(failpoints=Points(self), turn=self.turn)
        carrier = Carrier(own, given, self, self.failed, _WATCHED[make])
        carrier._connection = {"process": self}
        opened = carrier._open

        def keep(number: int) -> Store:
            store, seldom = opened(number), self.random.random()
            write = store.write

            def written(*given: Any) -> None:
                write(*given)
                if self.random.random() > seldom:
                    store.flush()

            # what a store keeps back comes to disk now and then, in one process more often than in another; and some rows before others
            carrier._memory.recent = int(seldom * 40_000)
            store.__dict__["write"] = written
            self.stores.append(store)
            return store

        carrier.__dict__["_open"] = keep
        return carrier

    def _transport(self) -> Any:
        consumer, thread = object.__new__(BatchConsumer), object.__new__(BatchThread)
        values = {
            "flow_active": False, "can_resume_flow": asyncio.Event(), "_thread": thread, "carriers": self.carriers,
            "callback": self._hand_over, "app": SimpleNamespace(consumer_generation_id=1), "_stopped": asyncio.Event(),
            "wait": lambda event: event.wait(),
        }  # fmt: skip
        consumer.__dict__.update(values)
        thread.__dict__.update(
            consumer=consumer,
            _ensure_consumer=lambda: self.source,
            call_thread=self._in_the_thread,
        )
        return consumer

    async def _in_the_thread(self, function: Any, *given: Any) -> Any:
        await self.net("source: thread")  # the consumer lives in a thread of its own
        return await function(*given)

    async def _hand_over(self, message: Any) -> None:
        await self.net("agent")
        topic = message.batch.topic
        carrier = next(each for each in self.carriers if topic in each.stage.lateness or topic == each.stage.control)
        carrier.submit(message.number, message.batch, message.epoch)

    # What goes wrong --------------------------------------------------------------------------------------------------

    def chance(self, point: str, often: float | None = None) -> bool:
        """Whether the rare thing happens here."""
        self.world.hits[point] += 1
        return self.world.faults and self.random.random() < (FAULTS["error"] if often is None else often)

    def passed(self, point: str) -> None:
        """Pass a place where a process may die."""
        self.world.hits[point] += 1
        if self.world.faults and self.random.random() < FAULTS["crash"]:
            self.crash()
            raise Died

    async def net(self, point: str, seconds: float = 0.0005, errors: tuple[type[Exception], ...] = ()) -> None:
        """An await on the network: it takes a while, now and then a long one, and much may come between."""
        if self.dead:
            raise asyncio.CancelledError
        self.passed(point)
        await asyncio.sleep(
            self.random.uniform(0.01, 1.0) if self.world.faults and self.random.random() < FAULTS["slow"] else seconds
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
            store.__dict__["flush"] = lambda: None  # what was kept back is gone
            store.close()
        self.cancel()
        self.world.gone(self)

    def cancel(self) -> None:
        """End every task."""
        for task in [*self.tasks, *(task for carrier in self.carriers for task in carrier._tasks.values())]:
            task.cancel()

    def failed(self, error: BaseException) -> None:
        """The engine asks to stop the process."""
        if isinstance(error, Died) or self.dead:
            return
        self.world.said.append(f"{self.name}: {error!r}")
        self.crash()

    def told_early(self) -> None:
        """What the group would be told now, before a commit has its end, must be committed already."""
        for carrier in self.carriers:
            for place, at in carrier.positions().items():
                position = self.world.committed_position(place.partition, carrier.stage.changelog)
                if place.topic in position.sources and at > position.sources[place.topic].next:
                    self.world.counts["told early"] += 1
            self.world.told |= carrier.courtesy().keys()

    # What the engine asks -----------------------------------------------------------------------------------------------

    async def offsets(self, places: Any) -> dict[Place, tuple[int, int]]:
        """As the broker answers."""
        await self.net("offsets")
        logs = {place: self.cluster.logs[tuple(place)] for place in places}
        return {place: (log.begin, log.stable) for place, log in logs.items()}

    async def written(self, places: Any) -> dict[Place, int]:
        """With what no reader of committed data sees yet."""
        await self.net("written")
        return {place: self.cluster.logs[tuple(place)].end for place in places}

    async def records(self, places: Any) -> dict[Place, tuple[int, int]]:
        """(timestamp, CRC-32) of what stands there."""
        await self.net("records")
        rows = {place: self.cluster.logs[tuple(place)].at(offset) for place, offset in places.items()}
        return {place: (row.timestamp, crc32(row.value or b"")) for place, row in rows.items() if row is not None}

    async def told(self, group: str) -> set[Place]:
        """What anybody has told the group."""
        _ = group
        await self.net("told")
        return set(self.world.told)

    # The group ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Join, and fetch."""
        fetcher = SimpleNamespace(_stopped=asyncio.Event())
        drains = [asyncio.ensure_future(self._drain(fetcher, each)) for each in self.carriers]
        self.tasks = [asyncio.ensure_future(self._member()), *drains]

    async def _drain(self, fetcher: Any, carrier: Carrier) -> None:
        try:
            await BatchConsumer._drain(self.consumer, fetcher, carrier)
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
                for carrier in self.carriers:
                    await carrier.revoke()
                topics = [
                    topic for stage, _ in self.world.stages for topic in (*stage.lateness, stage.control) if topic
                ]
                self.source.assigned([TopicPartition(topic, number) for number in numbers for topic in topics])
                for carrier in self.carriers:
                    await carrier.assign(numbers)
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
