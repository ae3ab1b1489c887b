"""Two watchdogs: whether the event loop still turns, and for how long a partition has had something to read and committed nothing.

The first is a thread, as a loop that stands still cannot say so. Neither knows what is done; they are told when something was.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog

EXIT: Final = 70
log = structlog.get_logger("rumbo.engine")


class Patience:
    """Since when each partition waits. A quiet one does not wait, however long ago it committed something."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def waited(self, number: int, *, lagging: bool, committed_at: float, now: float) -> float:
        """Seconds for which a partition has had something to read with no commit."""
        if not lagging:
            self._since.pop(number, None)
            return 0.0
        return now - max(self._since.setdefault(number, now), committed_at)

    def forget(self) -> None:
        """The partitions were given back."""
        self._since.clear()


class Heartbeat:
    """Ends the process where nobody has called `beat` for so many seconds."""

    def __init__(self, patience: float, end: Callable[[int], None] = os._exit) -> None:
        self._patience, self._end = patience, end
        self._beaten = monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        self._thread.join()

    def beat(self) -> None:
        """The loop has turned."""
        self._beaten = monotonic()

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._patience / 4)):
            still = monotonic() - self._beaten
            if still > self._patience:
                log.critical(
                    "the event loop stands still: ending the process; the position is kept", seconds=round(still, 1)
                )
                self._end(EXIT)
                return
