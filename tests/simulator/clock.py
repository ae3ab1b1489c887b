"""An event loop whose time is virtual: when nothing is ready, it jumps to the next thing due."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Selector(selectors.DefaultSelector):
    loop: Any = None

    def select(self, timeout: float | None = None) -> list[Any]:
        """What is ready now; else time passes at once."""
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("everything waits for something that never comes")
        if not found and timeout:
            self.loop.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at zero."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Seconds since the beginning."""
        return self.now
