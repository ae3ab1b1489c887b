"""A worker: a Faust app whose unit is the micro-batch of one partition, run until it is told to stop or something is not known.

Exit codes: 0 stopped in order; 69 the broker is away; 70 something that must stop the process; 78 the topology cannot run.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from typing import Any, Final

import faust
import structlog
from mode import CrashingSupervisor
from yarl import URL

from rumbo.config import Settings
from rumbo.engine import selfcheck
from rumbo.engine.broker import Broker, changelog_of, check_topics
from rumbo.engine.carrier import Carrier, is_fence, reason
from rumbo.engine.failpoint import Failpoints
from rumbo.engine.partition import Stage
from rumbo.engine.tables import BatchRecovery, BatchTables
from rumbo.engine.transport import BatchConsumer, BatchSchema, BatchTransport
from rumbo.errors import DefinitionError, InternalError, RumboError
from rumbo.intake import reader
from rumbo.observe.metrics import Metrics
from rumbo.observe.web import Web
from rumbo.output import Encoder
from rumbo.topology import Topology

WATCH_SECONDS: Final = 1.0
STOP_SECONDS: Final = 8.0
GC_THRESHOLDS: Final = (200_000, 20, 50)
"""A batch makes many containers and no cycles: the default (700) would walk them hundreds of times each."""
COLLECT: Final = (200_000, 20, 100)
"""When Python looks for cycles: a batch makes some hundred thousand objects and drops them all, without any."""

log = structlog.get_logger("rumbo")


class Worker:
    """One worker process of one topology."""

    def __init__(self, topology: Topology, settings: Settings) -> None:
        unkeyed = [source.topic for source in topology.sources if not source.keyed]
        if unkeyed:
            raise DefinitionError(
                topology.name, [f"source {topic} has `key: any`; this version reads only topics that are keyed by customer" for topic in unkeyed]
            )
        self.topology, self.settings, self.metrics = topology, settings, Metrics()
        self._failure: BaseException | None = None
        self._over = asyncio.Event()

    async def run(self) -> int:
        """Run until stopped; the exit code."""
        selfcheck.check()
        broker = Broker(self.settings.connection())
        await broker.start()
        web = Web(self.settings, self.metrics.registry)
        try:
            partitions = await check_topics(broker, self.topology)
            carrier = self._carrier(broker, partitions)
            await web.start(carrier.recovered.is_set, carrier.stalled)
            app = self._app(carrier, partitions)
            await self._until_over(app, carrier)
        finally:
            await web.stop()
            await broker.stop()
        return self._answer()

    def _carrier(self, broker: Broker, partitions: int) -> Carrier:
        topology = self.topology
        stage = Stage(
            topology=topology,
            program=topology.program(),
            encoder=Encoder(topology.outputs, topology.mode),
            readers={source.topic: reader(source.reading) for source in topology.sources},
            lateness={source.topic: source.lateness for source in topology.sources},
            partitions=partitions,
            changelog=changelog_of(topology),
            metrics=self.metrics,
            failpoints=Failpoints(self.settings.failpoint),
        )
        return Carrier(stage, self.settings, broker.offsets, self._fail)

    def _fail(self, error: BaseException) -> None:
        """Something went wrong that must stop the process."""
        if self._failure is None:
            self._failure = error
        self._over.set()

    async def _until_over(self, app: Any, carrier: Carrier) -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._over.set)
        await app.start()
        gc.collect()
        gc.freeze()  # what was loaded to start is never garbage
        gc.set_threshold(*GC_THRESHOLDS)
        gc.set_threshold(*COLLECT)
        watch = asyncio.ensure_future(self._watch(app, carrier))
        try:
            await self._over.wait()
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            await self._stop(app, carrier)

    async def _watch(self, app: Any, carrier: Carrier) -> None:
        """A service of Faust that crashed, or no progress: neither ends the process by itself."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if app.crashed:
                self._fail(InternalError(f"Faust stopped: {app.crash_reason!r}"))
            why = carrier.stalled()
            if why is not None:
                self._fail(InternalError(why))

    async def _stop(self, app: Any, carrier: Carrier) -> None:
        """Finish what is under way, leave the group; within ten seconds, whatever happens."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                app.consumer.stop_flow()
                await carrier.revoke()
                await app.stop()
        except TimeoutError:
            log.warning("did not stop in order in time", seconds=STOP_SECONDS)
        except Exception as error:  # noqa: BLE001  nothing is lost by a rough end: all that counts is committed
            log.debug("rough end", reason=repr(error))

    def _answer(self) -> int:
        error = self._failure
        if error is None:
            return 0
        if isinstance(error, RumboError):
            raise error
        if is_fence(error):
            raise InternalError(reason(error))
        raise InternalError(f"unexpected: {error!r}") from error

    def _app(self, carrier: Carrier, partitions: int) -> Any:
        settings, topology = self.settings, self.topology
        BatchConsumer.carrier = BatchRecovery.carrier = carrier
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
            topic_partitions=partitions,
            stream_buffer_maxsize=16,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            web_enabled=False,
            cython_optimizations=False,
        )
        app.transport = BatchTransport(urls, app, loop=asyncio.get_running_loop())
        topics = [*(source.topic for source in topology.sources), topology.outputs.control]
        app.Table("profiles", key_type=bytes, value_type=bytes, partitions=partitions)

        async def profiles(stream: Any) -> None:
            stream.enable_acks = False
            async for event in stream.events():
                message = event.message
                carrier.submit(message.number, message.batch, message.epoch)
                event.ack()

        app.agent(app.topic(*topics, schema=BatchSchema()), name="profiles")(profiles)
        app.finalize()
        return app


def _credentials(settings: Settings) -> Any:
    """Faust's own words for how to connect."""
    made = settings.connection()
    if settings.security == "sasl_ssl" or settings.security == "sasl_plaintext":
        return faust.SASLCredentials(
            username=made["sasl_plain_username"],
            password=made["sasl_plain_password"],
            mechanism=settings.sasl_mechanism,
            ssl_context=made.get("ssl_context"),
        )
    return faust.SSLCredentials(context=made["ssl_context"]) if settings.security == "ssl" else None


def quiet_libraries() -> None:
    """Libraries speak through our log, and only when something is wrong."""
    for name in ("faust", "mode", "aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def run(topology: Topology, settings: Settings) -> int:
    """Run a worker to its end; the exit code. Raises RumboError with one sentence."""
    quiet_libraries()
    with contextlib.suppress(ImportError):  # not on every platform
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # for the fetching thread's loop too
    return asyncio.run(_main(topology, settings))


async def _main(topology: Topology, settings: Settings) -> int:
    return await Worker(topology, settings).run()
