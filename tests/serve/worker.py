"""A worker without Kafka: the real partitions, stores, notes and API of a topology; only the producer is a list that answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from rumbo.config import settings
from rumbo.core.instant import isoformat, parse_instant
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.partition import Batch
from rumbo.engine.place import place_of
from rumbo.engine.position import Position, SourcePosition
from rumbo.engine.stages import Counts, stages
from rumbo.engine.store import Memory, Store
from rumbo.engine.transaction import Committed
from rumbo.engine.window import Window
from rumbo.intake import Record
from rumbo.observe.guard import application
from rumbo.observe.metrics import Metrics
from rumbo.observe.server import Runner
from rumbo.serve.api import Api
from rumbo.topology import load

PARTITIONS = 4
START = parse_instant("2026-01-01T00:00:00Z")
DAY = 86_400_000_000


class Producer:
    """Takes everything and numbers it."""

    def __init__(self):
        self.ends, self.written = Counter(), []

    async def commit(self, everything):
        for topic, partition, rows in everything:
            self.ends[topic, partition] += len(rows)
            self.written += [(topic, key, value) for key, value, _ in rows]
        return Committed({(topic, number): self.ends[topic, number] for topic, number, _ in everything}, {})


class Owned:
    """What a carrier is to a window: partitions that are owned, or not (yet)."""

    def __init__(self, stage, workers):
        self.stage, self.workers, self.recovered = stage, workers, asyncio.Event()
        self.recovered.set()

    def lag(self):
        return 0


class Worker:
    """One topology, all partitions in this process, each with a store of its own."""

    def __init__(self, folder: Path, topology="topologies/grocery", edit=lambda made: made, owned=range(PARTITIONS)):
        self.topology = edit(load(topology))
        self.folder, self.memory, self._numbers = folder, Memory(8), tuple(owned)
        self.offsets, self.told = Counter(), Counter()
        self.open()

    def open(self):
        """Begin, or begin again on the same stores."""
        (self.stage, make), *others = stages(self.topology, Counts(PARTITIONS, 0), Metrics(), Failpoints(""))
        source = self.topology.sources[0].topic
        self.workers, self.producer = {}, Producer()
        for number in self._numbers:
            store = Store.open(self.folder / f"profiles-{number}", f"test/{number}", self.memory)
            found = Position(
                sources={
                    source: SourcePosition(self.offsets[number], PARTITIONS),
                    "control": SourcePosition(0, PARTITIONS),
                }
            )
            self.workers[number] = make(self.stage, number, store, self.producer, found)
            self.workers[number].caught_up = dict.fromkeys(self.workers[number].caught_up, True)
        self.carrier = Owned(self.stage, self.workers)
        self.hearing = [self._accounts(*each) for each in others]
        self.window = Window((self.carrier, *self.hearing), "http://127.0.0.1:1")

    def _accounts(self, stage, make):
        """The stage of accounts, where the topology has any."""
        workers = {}
        for number in self._numbers:
            store = Store.open(self.folder / f"accounts-{number}", f"test/accounts/{number}", self.memory)
            found = Position(sources={self.stage.contacts: SourcePosition(self.told[number], PARTITIONS)})
            workers[number] = make(stage, number, store, self.producer, found)
        return Owned(stage, workers)

    async def _pass_on(self):
        """Take what contacts have told their accounts."""
        topic, at = self.stage.contacts, Counter()
        told = [(key, value) for name, key, value in self.producer.written if topic and name == topic]
        for key, value in told:
            number = place_of(key, PARTITIONS)
            if at[number] == self.told[number]:
                self.told[number] += 1
                record = Record(topic, number, at[number], -1, key, value)
                await self.hearing[0].workers[number].take(Batch(topic, at[number], at[number] + 1, [record], True))
            at[number] += 1

    def close(self):
        for carrier in (self.carrier, *self.hearing):
            for worker in carrier.workers.values():
                worker.store.close()

    async def hear(self, *events):
        """Step interactions: (customer, name, day, properties, traits, account)."""
        batches = {}
        for number, (customer, name, day, *rest) in enumerate(events):
            place = place_of(customer.encode(), PARTITIONS)
            said = {
                "type": "track", "event": name, "userId": customer, "messageId": f"{customer}-{name}-{day}-{number}",
                "timestamp": isoformat(START + round(day * DAY)), "properties": rest[0] if rest else {},
            } | ({"type": "identify", "traits": rest[1]} if rest[1:] else {}) | ({"context": {"groupId": rest[2]}} if rest[2:] else {})  # fmt: skip
            at = self.offsets[place]
            self.offsets[place] += 1
            source = self.topology.sources[0].topic
            batches.setdefault(place, []).append(
                Record(source, place, at, -1, customer.encode(), msgspec.json.encode(said))
            )
        for place, records in batches.items():
            first = records[0].offset
            await self.workers[place].take(Batch(records[0].topic, first, first + len(records), records, True))
        await self._pass_on()

    async def until(self, day):
        """Let the clock of every partition reach a day."""
        for worker in self.workers.values():
            worker.position.clock = START + round(day * DAY)
            await worker.timers()
        await self._pass_on()

    def knows(self, shares):
        """Tell it who has what: URL -> partitions. Its own URL is the one it is served under."""
        self.window.shares = lambda: {url: {self.stage.changelog: numbers} for url, numbers in shares.items()}

    @asynccontextmanager
    async def served(self, more=(), **given):
        """The API on a free port: a client session to it."""
        known = settings({}, **given)
        self.api = api = Api(self.window, known)
        app = application(known)
        app.add_routes(api.routes())
        app.add_routes(more)
        runner = Runner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = self.window._url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        try:
            async with aiohttp.ClientSession(self.url) as session:
                yield session
        finally:
            await api.close()
            lines = [each.transport for each in runner.server.connections]
            await runner.cleanup()
            for each in lines:  # one whose peer reads no more would wait for it, and outlive the loop
                if each is not None:
                    each.abort()
            await asyncio.sleep(0)  # they are closed in the loop's next turn


def run(what):
    """One coroutine, on a loop of its own."""
    return asyncio.run(what)
