"""What ties the partitions of one worker together: assignment, recovery, revocation, the watchdog. It knows no Faust.

On assignment, in this order: producers start (each fences its predecessor), the stores recover to the last stable offset,
positions are checked against the broker; then the feed begins. On revocation: finish or abort, then give everything back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, Final

import structlog

from rumbo.config import Settings
from rumbo.core.instant import Instant
from rumbo.core.interaction import Interaction
from rumbo.engine import position as record
from rumbo.engine.admission import Asked, admit
from rumbo.engine.feed import Feed, Gathering, Place
from rumbo.engine.heartbeat import Patience
from rumbo.engine.partition import Batch, PartitionWorker, Stage
from rumbo.engine.recovery import ChangelogReader, StoreAheadError
from rumbo.engine.standby import Standby
from rumbo.engine.store import Memory, Store, put_aside
from rumbo.engine.transaction import FencedError, PartitionProducer
from rumbo.errors import BrokerError

ASSIGN_SECONDS: Final = 60.0
ASK_SECONDS: Final = 0.2
FENCE_WINDOW: Final = 60.0
FENCE_PATIENCE: Final = 10.0
SAME_FENCE: Final = 5.0
FENCES: Final = 3
"""Fences within a minute that stop the process."""
THIN: Final = 250
"""Records of a partition, below which a moment's gathering makes fewer transactions."""


class Carrier:
    """The partitions that this worker owns."""

    def __init__(
        self,
        stage: Stage,
        settings: Settings,
        broker: Asked,
        failed: Callable[[BaseException], None],
        make: type[PartitionWorker] = PartitionWorker,
    ) -> None:
        self._make = make
        self.stage, self.settings, self._broker, self._failed = stage, settings, broker, failed
        self.limit = settings.max_batch
        self.feed = Feed(stage.lateness, stage.control, Gathering(min(self.limit // 4, THIN), settings.max_delay))
        self.upstream: Callable[[], Awaitable[bool]] | None = None
        """Asks whether a stage before this one has more to bring: then what is read here to the end is not all there is."""
        self.upstream_behind = False
        self.workers: dict[int, PartitionWorker] = {}
        self.log = structlog.get_logger("rumbo.engine")
        self.recovered = asyncio.Event()
        self._connection = settings.connection()
        self._memory = Memory(settings.cache_mib)
        self._standby = Standby(self._changelog, self._open)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._told: dict[Place, int] = {}
        self._stable: dict[Place, int] = {}
        self.left: dict[int, int] = {}
        """Changelog offsets that each partition still has to read before work goes on."""
        self._moved_at = monotonic()
        self._freed = asyncio.Event()
        self._fences: deque[float] = deque(maxlen=FENCES)
        self._patience = Patience()

    # Assignment -------------------------------------------------------------------------------------------------------

    async def assign(self, numbers: Iterable[int], standbys: Iterable[int] = ()) -> None:
        """Own these partitions: fence, recover, check, begin; follow the others. Raises InternalError or BrokerError; nothing is half owned."""
        owned = sorted(set(numbers))
        started = monotonic()
        producers: dict[int, PartitionProducer] = {}
        stores: dict[int, Store] = {}
        try:
            await self._take_over(owned, producers, stores)
        except BaseException:
            await asyncio.gather(*(producer.stop() for producer in producers.values()), return_exceptions=True)
            for store in stores.values():
                store.close()
            self.workers.clear()
            raise
        self.feed.begin(owned)
        self._standby.begin(set(standbys) - set(owned))
        self.stage.metrics.assigned(self.stage.name, len(owned))
        self.left = dict.fromkeys(owned, 0)
        self.recovered.set()
        self.log.info("assigned", stage=self.stage.name, partitions=owned, seconds=round(monotonic() - started, 3))

    async def _take_over(
        self, owned: list[int], producers: dict[int, PartitionProducer], stores: dict[int, Store]
    ) -> None:
        """Fill *producers* and *stores* as they open, so that whatever fails can be closed."""
        try:
            async with asyncio.timeout(ASSIGN_SECONDS + 540):  # a large recovery reports its own stalls
                await asyncio.gather(*(self._producer(number, producers) for number in owned))
                self.stage.failpoints.reached("in_init")
                await self._recover(owned, stores)
        except TimeoutError:
            raise BrokerError("the assignment was not taken in time: is the broker up?") from None
        for number in owned:
            found = record.load(stores[number].position())
            self.workers[number] = self._make(self.stage, number, stores[number], producers[number], found)
        await self._check(owned)

    async def _producer(self, number: int, producers: dict[int, PartitionProducer]) -> None:
        compression = self.settings.compression
        made = producers[number] = PartitionProducer(
            self._connection,
            f"{self.stage.topology.name}-{self.stage.name}-{number}",
            compression=None if compression == "none" else compression,
            failpoints=self.stage.failpoints,
        )
        async with asyncio.timeout(ASSIGN_SECONDS):
            await made.start()

    def _open(self, number: int) -> Store:
        owner = f"{self.stage.topology.name}/{self.stage.name}/{number}/{self.stage.partitions}"
        folder = Path(self.settings.state_dir) / self.stage.topology.name / f"{self.stage.name}-{number}"
        return Store.open(folder, owner, self._memory)

    def _changelog(self) -> ChangelogReader:
        return ChangelogReader(self._connection, self.stage.changelog, self.stage.failpoints)

    async def _recover(self, owned: list[int], stores: dict[int, Store]) -> None:
        reader = self._changelog()
        await reader.start()
        try:
            for number in owned:
                stores[number] = self._open(number)
            while True:
                try:
                    started = monotonic()
                    taken = await reader.recover(stores, self._recovering)
                except StoreAheadError as error:
                    stores[error.partition].close()
                    aside = put_aside(stores[error.partition].folder)
                    self.log.warning(
                        "state was ahead of its changelog: put aside, rebuilding",
                        partition=error.partition,
                        aside=str(aside),
                    )
                    stores[error.partition] = self._open(error.partition)
                    continue
                if total := sum(taken.values()):
                    seconds = monotonic() - started
                    self.log.info(
                        "recovered",
                        records=total,
                        seconds=round(seconds, 3),
                        per_second=round(total / max(seconds, 1e-6)),
                    )
                return
        finally:
            await reader.stop()

    def _recovering(self, number: int, left: int) -> None:
        if self.left.get(number) != left:
            self.left[number], self._moved_at = left, monotonic()

    async def _check(self, owned: list[int]) -> None:
        reached = await admit(self.stage, [self.workers[number] for number in owned], self._broker)
        for place, caught_up in reached.items():
            self.feed.offer(place.partition, Batch(place.topic, 0, 0, (), caught_up))

    async def revoke(self, patience: float = inf) -> None:
        """Give everything back: what is under way has so many seconds to finish, and no more than half of what the group grants for it; then it is abandoned to the successor's fence."""
        self.recovered.clear()
        self.feed.end()  # what was handed on and has not begun does not begin any more
        await self._standby.end()
        tasks = [task for task in self._tasks.values() if not task.done()]
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=min(patience, self.settings.rebalance_timeout / 2))
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        if self.workers:
            self.stage.failpoints.reached("in_revoke")
        self.feed.end()  # nor is a fence of what was under way one of the next assignment
        workers, self.workers = self.workers, {}
        self._tasks.clear()
        await asyncio.gather(*(worker.producer.stop() for worker in workers.values()), return_exceptions=True)
        for worker in workers.values():
            worker.store.close()
        self.left, self._stable = {}, {}
        self._patience.forget()
        self.stage.metrics.revoked(self.stage.name)

    # Work -------------------------------------------------------------------------------------------------------------

    def offered(self, place: Place, batch: Batch, stable: int | None) -> None:
        """Something was fetched."""
        if batch.records and len(self.stage.lateness) > 1:
            batch = batch._replace(head=self._head(batch))
        self.feed.offer(place.partition, batch)
        worker = self.workers.get(place.partition)
        if worker is not None and batch.end == batch.begin and place.topic in worker.caught_up:
            worker.caught_up[place.topic] = batch.caught_up
        if stable is not None:
            self._stable[place] = stable

    def _head(self, batch: Batch) -> Instant:
        """The time of the first event, by which several sources take turns; a record that is none counts by its own timestamp."""
        read = self.stage.readers.get(batch.topic)
        found = read(batch.records[0]) if read is not None else None
        return found.at if isinstance(found, Interaction) else int(batch.records[0].timestamp) * 1000

    async def ask_ends(self) -> None:
        """Tell control records that wait where their sources end now; first of all, that nothing more comes from upstream."""
        if self.upstream is not None and await self.upstream():
            await asyncio.sleep(ASK_SECONDS)
            return
        for number in list(self.feed.asking):
            epoch, places = self.feed.epoch, self.feed.sources(number)
            ends = await self._broker.written(places)
            if epoch == self.feed.epoch:
                self.feed.answered(number, ends)

    def submit(self, number: int, batch: Batch, epoch: int) -> None:
        """One batch for one partition; one at a time."""
        worker = self.workers.get(number)
        if epoch == self.feed.epoch and worker is not None:
            self._start(number, worker, worker.take(batch))

    def look_at_clock(self, number: int) -> None:
        """Let a quiet partition see what time it is."""
        worker = self.workers.get(number)
        if worker is not None and not self.upstream_behind and worker.has_to_look():
            self.feed.work(number)
            self._start(number, worker, worker.idle())

    def _start(self, number: int, worker: PartitionWorker, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[number] = task
        task.add_done_callback(lambda done: self._done(number, worker, done))

    def _done(self, number: int, worker: PartitionWorker, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            self.feed.done(number, worker.committed_at, worker.took)
            self._freed.set()
        elif isinstance(error, FencedError) and not self._fenced_too_often():
            self._lost(number, error)
        else:
            self._failed(error)

    async def free(self, seconds: float) -> None:
        """Wait until a partition is free, so many seconds at most."""
        self._freed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._freed.wait()

    def _lost(self, number: int, error: BaseException) -> None:
        """A successor has the partition. The group will say so in a moment, and assign anew; until then it stays at work, for nobody."""
        epoch, patience = self.feed.epoch, self.settings.session_timeout + FENCE_PATIENCE
        self.log.warning("fenced: another worker has the partition; waiting for the group to say so", partition=number)

        def still_ours() -> None:
            if self.feed.epoch == epoch:
                self._failed(error)

        asyncio.get_running_loop().call_later(patience, still_ours)

    def _fenced_too_often(self) -> bool:
        now = monotonic()
        if self._fences and now - self._fences[-1] < SAME_FENCE:
            return False  # the other partitions of the same loss
        self._fences.append(now)
        return len(self._fences) == FENCES and now - self._fences[0] < FENCE_WINDOW

    # What others ask --------------------------------------------------------------------------------------------------

    def positions(self) -> dict[Place, int]:
        """Where to read on: every source of every partition owned, as far as it is committed."""
        return {
            Place(topic, number): at for number, worker in self.workers.items() for topic, at in worker.done.items()
        }

    def courtesy(self) -> dict[Place, int]:
        """Positions that the group has not been told."""
        positions = self.positions()
        changed = {place: at for place, at in positions.items() if self._told.get(place) != at}
        self._told = positions
        return changed

    def lag(self) -> int:
        """Records between what is committed and the stable ends, of all that is owned."""
        return sum(self.behind(place.topic, place.partition) for place in self._stable)

    def behind(self, topic: str, number: int) -> int:
        """Records between what is committed and the stable end, as far as that is known."""
        worker, stable = self.workers.get(number), self._stable.get(Place(topic, number), 0)
        return max(stable - worker.done[topic], 0) if worker is not None and topic in worker.done else 0

    def still(self) -> float:
        """Seconds since recovery last moved; 0 where none is under way."""
        return monotonic() - self._moved_at if any(self.left.values()) else 0.0

    def fail(self, error: BaseException) -> None:
        """Something went wrong that must stop the process."""
        self._failed(error)

    def stalled(self) -> str | None:
        """Why no progress is made although there is something to do; None while all is well."""
        now = monotonic()
        for number, worker in self.workers.items():
            lagging = self.feed.lagging(number)
            waited = self._patience.waited(number, lagging=lagging, committed_at=worker.committed_at, now=now)
            if waited > self.settings.stall_seconds:
                return (
                    f"{self.stage.name}, partition {number}, has something to read and has committed nothing for {waited:.0f} s: the position "
                    "is kept, start again; where it comes again, look whether every broker is up and in sync, and whether one batch takes "
                    f"longer than RUMBO__STALL_SECONDS ({self.settings.stall_seconds:.0f}; a smaller RUMBO__MAX_BATCH is a shorter one)"
                )
        return None
