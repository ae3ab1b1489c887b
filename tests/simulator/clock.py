"""An event loop whose time is virtual: when nothing is ready, it jumps to the next thing due.

It waits for no socket and no thread, so it asks the system nothing; timers that are due at the same instant run in the order made.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context
from itertools import count
from typing import TypeVarTuple

Given = TypeVarTuple("Given")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at zero."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = count()
        super().__init__()

    def time(self) -> float:
        """Seconds since the beginning."""
        return self.now

    def call_at(
        self, when: float, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's, in an order that is the same in every run."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._due, (when, next(self._numbers), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def _run_once(self) -> None:
        ready, due = self._ready, self._due  # type: ignore[attr-defined]  # asyncio's own queue
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            while due and due[0][2].cancelled():
                heapq.heappop(due)
            if not due:
                raise RuntimeError("everything waits for something that never comes")
            self.now = max(self.now, due[0][0])
        while due and due[0][0] <= self.now:
            timer = heapq.heappop(due)[2]
            if not timer.cancelled():
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()
