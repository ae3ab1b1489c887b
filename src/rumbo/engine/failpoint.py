"""Named places at which a process can be made to die, for tests. Off, it costs one comparison."""

from __future__ import annotations

import os
import signal
from typing import Final

NAMES: Final = (
    "after_poll", "after_step", "after_produce", "before_end", "end_sent", "after_end", "before_ack", "in_init", "in_recovery",
    "in_revoke",
)  # fmt: skip


class Failpoints:
    """Dies at the n-th passing of one place: `name:n`."""

    def __init__(self, armed: str = "") -> None:
        name, _, number = armed.partition(":")
        self._name, self._left = name, int(number or 1)

    def reached(self, name: str) -> None:
        """Pass a place."""
        if name == self._name:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
