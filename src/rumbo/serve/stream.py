"""The actions as they happen, of all workers, as server-sent events: one CloudEvent an event, once it is committed.

A ring behind, so nobody who listens slowly holds a worker up: they are told how many they missed. It keeps nothing itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from aiohttp import web

from rumbo.observe.guard import ProblemError, streams
from rumbo.output import Encoder
from rumbo.serve.peers import HOPS, Peers
from rumbo.serve.state import State

BEFORE: Final = 20
"""Actions from before that a new listener is told first, by each worker."""
LISTENERS: Final = 64
QUIET_SECONDS: Final = 10.0
QUEUED: Final = 200
AGAIN_SECONDS: Final = 3.0
_STILL: Final = b": still here\n\n"


class Stream:
    """The listeners of one worker."""

    def __init__(self, state: State, peers: Peers) -> None:
        self._state, self._peers = state, peers
        self._value = Encoder(state.topology.outputs).value
        self._listeners: set[asyncio.Task[object] | None] = set()

    def close(self) -> None:
        """Everybody is sent home: a worker that stops waits for nobody."""
        for each in self._listeners:
            if each is not None:
                each.cancel()

    @streams
    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Tell one listener until they leave."""
        if len(self._listeners) >= LISTENERS:
            raise ProblemError(503, "Not now", f"{LISTENERS} others listen already", retry_after=10)
        task = asyncio.current_task()
        self._listeners.add(task)
        try:
            return await self._tell(request)
        finally:
            self._listeners.discard(task)

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await answer.prepare(request)
        await answer.write(_STILL)
        queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUED)
        tellers = [asyncio.ensure_future(_fill(queue, self._own()))]
        if not request.headers.get(HOPS):
            tellers += [asyncio.ensure_future(_fill(queue, self._others(url))) for url in self._state.peers()]
        try:
            while True:
                await answer.write(await queue.get())
        except (ConnectionResetError, asyncio.CancelledError):
            return answer
        finally:
            for each in tellers:
                each.cancel()
            await asyncio.gather(*tellers, return_exceptions=True)

    async def _own(self) -> AsyncGenerator[bytes, None]:
        live = self._state.live
        seen = max(live.actions - BEFORE, 0)
        while True:
            if not await live.more(seen, QUIET_SECONDS):
                yield _STILL
                continue
            decisions, missed = live.since(seen)
            seen = live.actions
            if missed:
                yield f"event: missed\ndata: {missed}\n\n".encode()
            for each in decisions:
                yield b"event: action\ndata: " + self._value(each) + b"\n\n"

    async def _others(self, url: str) -> AsyncGenerator[bytes, None]:
        """What another worker tells; when it leaves, it is asked again."""
        while True:
            async for event in self._peers.listen(url, "/v1/stream"):
                yield event
            await asyncio.sleep(AGAIN_SECONDS)


async def _fill(queue: asyncio.Queue[bytes], events: AsyncGenerator[bytes, None]) -> None:
    """Hand events on; it waits where the listener is slow, and the ring behind counts what is missed."""
    async with contextlib.aclosing(events) as open_events:
        async for each in open_events:
            await queue.put(each)
