"""A worker: a Faust app whose unit is the micro-batch of one partition, run until it is told to stop or something is not known.

Exit codes: 0 stopped in order; 69 the broker is away; 70 something that must stop the process; 78 the topology cannot run.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, Final

import faust
import structlog
from aiokafka.errors import KafkaError
from mode import CrashingSupervisor
from yarl import URL

from rumbo.config import Settings
from rumbo.engine import selfcheck
from rumbo.engine.admin import check_rights
from rumbo.engine.assignor import AddressedAssignor
from rumbo.engine.broker import Broker, check_topics, check_unchanged, raw_of
from rumbo.engine.carrier import Carrier
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.heartbeat import Heartbeat
from rumbo.engine.lock import owned
from rumbo.engine.readings import health, readings
from rumbo.engine.stages import Counts, stages
from rumbo.engine.tables import BatchRecovery, BatchTables
from rumbo.engine.transport import BatchConsumer, BatchSchema, BatchTransport
from rumbo.engine.window import Window
from rumbo.errors import BrokerError, DefinitionError, InternalError, RumboError
from rumbo.observe.logs import describe, place
from rumbo.observe.metrics import Metrics
from rumbo.observe.web import Web
from rumbo.serve.api import Api
from rumbo.topology import Topology

WATCH_SECONDS: Final = 1.0
UPSTREAM_SECONDS: Final = 1.0
TOPICS_SECONDS: Final = 5.0
WORK_SECONDS: Final = 5.0
"""Of the time to stop, what is under way may take so long to finish; then it is left to the successor's fence."""
STOP_SECONDS: Final = 7.0
END_SECONDS: Final = 9.0
"""So long after it was told to stop the process ends, whatever still runs in it: who told it counts to ten."""
LAST_SECONDS: Final = 1.0
"""So long a thread that somebody left running may keep the process after its last word."""
GC_SECONDS: Final = 10.0
"""A batch makes many containers and no cycles: they are not walked while it is stepped, but now and then between two steps."""

log = structlog.get_logger("rumbo")


class Worker:
    """One worker process of one topology."""

    def __init__(self, topology: Topology, settings: Settings) -> None:
        self.topology, self.settings, self.metrics = topology, settings, Metrics()
        self.metrics.runs(topology.name, topology.fingerprint)
        self._failure: RumboError | None = None
        self._over = asyncio.Event()
        self._heartbeat = Heartbeat(settings.stall_seconds)
        self._counts: dict[str, int | None] = {}
        self.url = settings.url()

    async def run(self) -> int:
        """Run until stopped; the exit code."""
        selfcheck.check()
        broker = Broker(self.settings.connection())
        await broker.start()
        web = Web(self.settings, self.metrics.registry)
        api: Api | None = None
        try:
            carriers = await self._carriers(broker)
            window = Window(carriers, self.url)
            api = Api(window, self.settings)
            self.metrics.read_from(partial(readings, carriers))
            self._listen()
            await web.start(partial(health, carriers), api.routes())
            app = self._app(carriers)
            window.shares = app.assignor.shares
            await self._until_over(app, carriers, broker)
        finally:
            if api is not None:
                await api.close()
            await web.stop()
            await broker.stop()
        return self._answer()

    async def _carriers(self, broker: Broker) -> tuple[Carrier, ...]:
        """A carrier a stage, the deciding one first."""
        await asyncio.to_thread(check_rights, self.topology, self.settings)
        count, raw = await check_topics(broker, self.topology), raw_of(self.topology)
        self._counts = await broker.partitions([source.topic for source in self.topology.sources])
        counts = Counts(count, self._counts[raw[0]] or 0 if raw else 0)
        found = stages(self.topology, counts, self.metrics, Failpoints(self.settings.failpoint))
        return tuple(Carrier(stage, self.settings, broker, self._fail, make) for stage, make in found)

    def _fail(self, error: BaseException) -> None:
        """Something went wrong that must stop the process."""
        if self._failure is None:
            if not isinstance(error, RumboError):
                log.error("unexpected: this is a mistake of ours", exc_info=error)
                error = InternalError(
                    f"unexpected: {describe(error)} at {place(error)}; nothing is lost: what was not committed is read again"
                )
            self._failure = error
        self._over.set()

    def _listen(self) -> None:
        """From here on a signal ends the worker in order; before, it has begun nothing, and a signal ends the process."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._over.set)

    async def _until_over(self, app: Any, carriers: tuple[Carrier, ...], broker: Broker) -> None:
        if not await self._start(app):
            await self._stop(app, carriers)
            return
        gc.collect()
        gc.freeze()  # what was loaded to start is never garbage
        gc.disable()
        self._heartbeat.start()
        watches = [
            asyncio.ensure_future(service)
            for service in (
                self._watch(app, carriers),
                self._look_at_topics(broker),
                self._look_upstream(carriers, broker),
            )
        ]
        try:
            await self._over.wait()
        finally:
            self._heartbeat.stop()
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            await self._stop(app, carriers)

    async def _start(self, app: Any) -> bool:
        """Start Faust, which waits for the first assignment; whether nothing went wrong before that was taken."""
        starting, over = asyncio.ensure_future(app.start()), asyncio.ensure_future(self._over.wait())
        await asyncio.wait([starting, over], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if starting.done():
            starting.result()
            return True
        starting.cancel()
        await asyncio.wait([starting], timeout=1)
        return False

    async def _look_upstream(self, carriers: tuple[Carrier, ...], broker: Broker) -> None:
        """While raw topics hold records that were not re-keyed, no clock of the deciding stage may overtake them."""
        raw, deciding = raw_of(self.topology), carriers[0]
        if not raw:
            return

        async def behind() -> bool:
            try:
                return await broker.group_is_behind(self.topology.name, raw)
            except (KafkaError, BrokerError) as error:
                log.debug("not known whether raw topics are read to their end", reason=repr(error))
                return True

        deciding.upstream, deciding.upstream_behind = behind, True
        while True:
            deciding.upstream_behind = await behind()
            await asyncio.sleep(UPSTREAM_SECONDS)

    async def _look_at_topics(self, broker: Broker) -> None:
        """A source that is deleted, or given partitions, under a running worker."""
        while True:
            await asyncio.sleep(TOPICS_SECONDS)
            try:
                await check_unchanged(broker, self.topology, self._counts)
            except DefinitionError as error:
                self._fail(error)
            except (KafkaError, BrokerError) as error:
                log.debug("topics not looked at", reason=repr(error))

    async def _watch(self, app: Any, carriers: tuple[Carrier, ...]) -> None:
        """A service of Faust that crashed, or no progress: neither ends the process by itself."""
        collected = monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._heartbeat.beat()
            if monotonic() - collected > GC_SECONDS:
                gc.collect()
                collected = monotonic()
            if app.crashed:
                why = app.crash_reason
                said = f"{describe(why)} at {place(why)}" if why is not None else "without a reason"
                self._fail(InternalError(f"Faust stopped: {said}"))
            for carrier in carriers:
                why = carrier.stalled()
                if why is not None:
                    self._fail(InternalError(why))

    async def _stop(self, app: Any, carriers: tuple[Carrier, ...]) -> None:
        """Finish what is under way, leave the group; within ten seconds, whatever happens."""
        _after(END_SECONDS, self._cut_off)  # Faust may swallow a cancellation, or wait for its thread in the loop
        try:
            async with asyncio.timeout(STOP_SECONDS):
                app.consumer.stop_flow()
                ends = await asyncio.gather(
                    *(carrier.revoke(WORK_SECONDS) for carrier in carriers), return_exceptions=True
                )
                await app.stop()
            for error in filter(None, ends):
                log.debug("rough end", reason=repr(error))
        except TimeoutError:
            log.warning("did not stop in order in time", seconds=STOP_SECONDS)
        except Exception as error:  # noqa: BLE001  nothing is lost by a rough end: all that counts is committed
            log.debug("rough end", reason=repr(error))

    def _cut_off(self) -> None:
        """End the process here and now, with a last word."""
        why = self._failure
        log.critical(
            "did not end in time: ending the process; the position is kept",
            reason=str(why) if why is not None else "told to stop",
        )
        os._exit(why.exit_code if why is not None else 0)

    def _answer(self) -> int:
        if self._failure is not None:
            raise self._failure
        return 0

    def _app(self, carriers: tuple[Carrier, ...]) -> Any:
        settings, topology = self.settings, self.topology
        BatchConsumer.carriers = BatchRecovery.carriers = carriers
        faust_dir = settings.state_dir / topology.name / "faust"
        faust_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        urls = [URL(f"kafka://{each.strip()}") for each in settings.broker.split(",")]
        app = faust.App(
            topology.name,
            broker=urls,
            broker_credentials=_credentials(settings),
            store="memory://",
            datadir=str(faust_dir),
            agent_supervisor=CrashingSupervisor,
            TableManager=BatchTables,
            PartitionAssignor=AddressedAssignor,
            canonical_url=self.url,
            broker_session_timeout=settings.session_timeout,
            broker_rebalance_timeout=settings.rebalance_timeout,
            broker_heartbeat_interval=max(settings.session_timeout / 10, 0.3),
            broker_commit_interval=1.0,
            consumer_auto_offset_reset="none",
            consumer_max_fetch_size=4 * 1024 * 1024,
            consumer_group_instance_id=settings.instance,
            table_standby_replicas=settings.standbys,
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_partitions=carriers[0].stage.partitions,
            stream_buffer_maxsize=16,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            web_enabled=False,
            cython_optimizations=False,
        )
        app.transport = BatchTransport(urls, app, loop=asyncio.get_running_loop())
        for carrier in carriers:
            _declare(app, carrier)
        app.finalize()
        return app


def _declare(app: Any, carrier: Carrier) -> None:
    """A stage in Faust's words: a table (for its changelog and its assignment) and an agent (which hands batches to the carrier)."""
    stage = carrier.stage
    topics = [*stage.lateness, *([stage.control] if stage.control else ())]
    app.Table(stage.name, key_type=bytes, value_type=bytes, partitions=stage.partitions)

    async def carry(stream: Any) -> None:
        stream.enable_acks = False
        async for event in stream.events():
            message = event.message
            carrier.submit(message.number, message.batch, message.epoch)
            event.ack()

    app.agent(app.topic(*topics, schema=BatchSchema()), name=stage.name)(carry)


def _credentials(settings: Settings) -> Any:
    """Faust's own words for how to connect."""
    made = settings.connection()
    if settings.security in {"sasl_ssl", "sasl_plaintext"}:
        return faust.SASLCredentials(
            username=made["sasl_plain_username"],
            password=made["sasl_plain_password"],
            mechanism=settings.sasl_mechanism,
            ssl_context=made.get("ssl_context"),
        )
    return faust.SSLCredentials(context=made["ssl_context"]) if settings.security == "ssl" else None


def quiet_libraries() -> None:
    """Libraries speak through our log, and only when something is wrong."""
    for name in ("faust", "mode", "aiokafka", "kafka", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def run(topology: Topology, settings: Settings) -> int:
    """Run a worker to its end; the exit code. Raises RumboError with one sentence."""
    quiet_libraries()
    with contextlib.suppress(ImportError):  # not on every platform
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # for the fetching thread's loop too
    code = InternalError.exit_code
    try:
        code = asyncio.run(_main(topology, settings))
    except RumboError as error:
        code = error.exit_code
        raise
    finally:
        # a thread may still run, as Faust's fetching thread may after a rough end: Python would wait for it for ever
        _after(LAST_SECONDS, partial(os._exit, code))
    return code


def _after(seconds: float, end: Callable[[], None]) -> None:
    """Call *end* in so many seconds, whatever else still runs, unless the process has ended by then."""
    last = threading.Timer(seconds, end)
    last.daemon = True
    last.start()


async def _main(topology: Topology, settings: Settings) -> int:
    with owned(settings.state_dir / topology.name):
        return await Worker(topology, settings).run()
