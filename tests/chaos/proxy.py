"""A network between a worker and its brokers that can be slow, cut short, or silent: one TCP proxy a broker, for machines with no netem.

Brokers have one more listener, advertised at the proxy's port: who comes through the proxy stays behind it, everyone else never meets it.
It passes bytes and knows no protocol.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType

from tests.broker.cluster import Cluster, free_port

CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: a close is a reset."""
Chunk = tuple[float, bytes] | None


class _Way:
    """One direction of one connection. What was swallowed of a stream is missing for ever, so nothing of it passes any more."""

    def __init__(self, proxy: Proxy, number: int, kind: str) -> None:
        self._proxy, self._number, self._kind = proxy, number, kind
        self._waiting: asyncio.Queue[Chunk] = asyncio.Queue()
        self._broken = False

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Take what comes."""
        clock = asyncio.get_running_loop().time
        try:
            while data := await reader.read(CHUNK):
                self._broken |= (self._number, self._kind) in self._proxy.silent
                if not self._broken:
                    self._waiting.put_nowait((clock() + self._proxy.delay, data))
        except OSError:
            pass
        if not self._broken:  # the end of a stream that is silent is not heard either
            self._waiting.put_nowait(None)

    async def write(self, writer: asyncio.StreamWriter) -> None:
        """Give it on, each in its time."""
        clock = asyncio.get_running_loop().time
        while (chunk := await self._waiting.get()) is not None:
            due, data = chunk
            await asyncio.sleep(due - clock())
            writer.write(data)
            with suppress(OSError):
                await writer.drain()
        writer.close()


class Proxy:
    """Doors to brokers, one each; what is said of them holds for all who are behind them, at once."""

    def __init__(self, brokers: int) -> None:
        self.ports = [free_port() for _ in range(brokers)]
        self.delay = 0.0
        """Seconds, each way."""
        self.silent: set[tuple[int, str]] = set()
        """(broker, `asks` or `answers`): what of which is swallowed while its connection stays open."""
        self.passed = 0
        """Connections so far."""
        self._shut = False
        self._open: set[asyncio.StreamWriter] = set()
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._targets: Sequence[int] = ()

    def start(self, targets: Sequence[int]) -> None:
        """Pass on to these ports."""
        self._targets = targets
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Nothing passes any more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        mine = asyncio.all_tasks() - {asyncio.current_task()}
        for each in mine:
            each.cancel()
        await asyncio.gather(*mine, return_exceptions=True)
        for server in self._servers:
            server.close()
        for writer in self._open:
            _reset(writer)

    async def _listen(self) -> None:
        for number, port in enumerate(self.ports):
            serve = partial(self._serve, number)
            self._servers.append(await asyncio.start_server(serve, "127.0.0.1", port))

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shut:
            _reset(writer)
            return
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self._targets[number])
        except OSError:
            _reset(writer)  # as where nobody listens
            return
        self.passed += 1
        self._open |= {writer, outer}
        asks, answers = _Way(self, number, "asks"), _Way(self, number, "answers")
        await asyncio.gather(
            asks.read(reader), asks.write(outer), answers.read(inner), answers.write(writer), return_exceptions=True
        )
        self._open -= {writer, outer}

    # What goes wrong --------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Every connection is reset, here and now."""
        done = threading.Event()

        def all_of_them() -> None:
            for each in list(self._open):
                _reset(each)
            done.set()

        self._loop.call_soon_threadsafe(all_of_them)
        done.wait(10)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Every connection is reset, and each new one."""
        self._shut = True
        self.reset()
        try:
            yield
        finally:
            self._shut = False

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Everything takes so much longer, each way."""
        self.delay = seconds
        try:
            yield
        finally:
            self.delay = 0.0

    @contextmanager
    def half_open(self, brokers: Sequence[int], *kinds: str) -> Iterator[None]:
        """Connections to these brokers stay open; what is asked does not arrive, or what is answered, or neither."""
        ways = {(number, kind) for number in brokers for kind in kinds}
        self.silent |= ways
        try:
            yield
        finally:
            self.silent -= ways


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class Doors:
    """A cluster and the proxy before it."""

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        self.proxy = Proxy(nodes)
        self.cluster = Cluster(folder, nodes, doors=self.proxy.ports)

    def __enter__(self) -> Cluster:
        cluster = self.cluster.__enter__()
        self.proxy.start(cluster.behind_doors)
        cluster.network = self.proxy
        return cluster

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip
        self.proxy.stop()
        self.cluster.__exit__(kind, error, trace)
