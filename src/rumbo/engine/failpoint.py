"""Named places at which a process can be made to die, or to stand still, for tests. Off, it costs one comparison."""

from __future__ import annotations

import os
import signal
import time
from typing import Final

NAMES: Final = (
    "after_poll", "after_step", "after_produce", "before_end", "end_sent", "after_end", "before_ack", "in_init", "in_recovery",
    "in_revoke",
)  # fmt: skip


class Failpoints:
    """Dies at the n-th passing of one place: `name:n`. With `name:n:seconds` its event loop stands still there for so long, once."""

    def __init__(self, armed: str = "") -> None:
        name, number, seconds = (*armed.split(":"), "", "")[:3]
        self._name, self._left, self._seconds = name, int(number or 1), float(seconds or 0)

    def reached(self, name: str) -> None:
        """Pass a place."""
        if name == self._name:
            self._left -= 1
            if self._left <= 0:
                self._fail()

    def _fail(self) -> None:
        if not self._seconds:
            os.kill(os.getpid(), signal.SIGKILL)
        self._name = ""
        time.sleep(self._seconds)
