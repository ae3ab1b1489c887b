"""Warm copies of partitions that another worker owns: their stores follow the changelog, so that taking over is short.

A copy that cannot be kept is given up with a warning: it costs a longer recovery, never a wrong state. It writes no topic.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog
from aiokafka.errors import KafkaError

from rumbo.engine.recovery import ChangelogReader
from rumbo.engine.store import Store
from rumbo.errors import RumboError

log = structlog.get_logger("rumbo.standby")


class Standby:
    """The warm copies of one stage in this worker."""

    def __init__(self, reader: Callable[[], ChangelogReader], open_store: Callable[[int], Store]) -> None:
        self._reader, self._open = reader, open_store
        self._task: asyncio.Task[None] | None = None

    def begin(self, numbers: Iterable[int]) -> None:
        """Follow these partitions."""
        wanted = sorted(set(numbers))
        if wanted:
            self._task = asyncio.ensure_future(self._follow(wanted))

    async def end(self) -> None:
        """Stop following and close the copies: they may be owned next."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _follow(self, numbers: list[int]) -> None:
        reader, stores = self._reader(), dict[int, Store]()
        try:
            await reader.start()
            for number in numbers:
                stores[number] = self._open(number)
            log.info("standing by", partitions=numbers)
            await reader.follow(stores)
        except (RumboError, KafkaError) as error:
            log.warning(
                "warm copies given up: taking over will need a longer recovery", partitions=numbers, reason=str(error)
            )
        finally:
            await reader.stop()
            for store in stores.values():
                store.close()
