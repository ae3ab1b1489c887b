"""What has just happened in this worker: how many interactions, and the last decisions, for those who look on.

A ring, so a slow reader misses some and is told how many; it never makes the worker wait. It does not outlive the process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from rumbo.core.decision import Decision

KEPT: Final = 500
"""Decisions of each sort (actions and their suppressions; all the others) that are kept."""
ACTIONS: Final = frozenset({"action.requested", "action.suppressed"})


class Live:
    """One worker's last decisions, once committed."""

    def __init__(self) -> None:
        self.interactions = self.decisions = self.actions = 0
        """Counts since the worker began."""
        self._last: deque[Decision] = deque(maxlen=KEPT)
        self._waiting: set[asyncio.Event] = set()

    def committed(self, interactions: int, decisions: int, actions: Sequence[Decision]) -> None:
        """One transaction was committed: how much came of how much, and the decisions of `ACTIONS`."""
        self.interactions += interactions
        self.decisions += decisions
        if actions:
            self.actions += len(actions)
            self._last.extend(actions)
            for each in self._waiting:
                each.set()

    def since(self, seen: int) -> tuple[list[Decision], int]:
        """The actions after the first `seen`, as far as they are kept, and how many are not any more."""
        new = self.actions - seen
        kept = min(new, len(self._last))
        return list(islice(self._last, len(self._last) - kept, None)), new - kept

    async def more(self, seen: int, seconds: float) -> bool:
        """Wait until there are more actions than `seen`; False when that took too long."""
        if self.actions > seen:
            return True
        waiting = asyncio.Event()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(seconds):
                await waiting.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiting)
        return True

    @property
    def listeners(self) -> int:
        """How many wait now."""
        return len(self._waiting)
