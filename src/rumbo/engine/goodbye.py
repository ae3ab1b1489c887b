"""Leaving a broker without waiting for its goodbye: over TLS it is given 30 seconds to answer the end of a connection, and Kafka does not always.

Whoever leaves has sent what was to be sent, so nothing hangs on the answer. What is not over yet goes on by itself; it is never cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

GOODBYE_SECONDS: Final = 0.5
_leaving: set[asyncio.Task[Any]] = set()
"""asyncio itself holds a task only weakly."""


async def leave(goodbye: Coroutine[Any, Any, Any]) -> None:
    """Begin to leave; go on when that is done, or after half a second. Raises what it raises until then."""
    task = asyncio.ensure_future(goodbye)
    _leaving.add(task)
    task.add_done_callback(_left)
    await asyncio.wait([task], timeout=GOODBYE_SECONDS)
    if task.done():
        task.result()


def _left(task: asyncio.Task[Any]) -> None:
    """An error after nobody waits any more is no news."""
    _leaving.discard(task)
    if not task.cancelled():
        task.exception()
