"""Faust's tables with our recovery: the table declares the changelog and its assignment, our stores hold the state.

Faust's own recovery reads a record at a time and swallows errors; here an assignment fences, recovers and checks in
`carrier`, and a failure stops the process.
"""

from __future__ import annotations

from asyncio import CancelledError, current_task
from typing import TYPE_CHECKING, Any, ClassVar

from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from mode import Service

if TYPE_CHECKING:
    from rumbo.engine.carrier import Carrier


class BatchRecovery(Recovery):
    """Recovery by the carriers, outside the assignment callback (no heartbeats run there)."""

    carriers: ClassVar[tuple[Carrier, ...]]

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):
                return
            self.signal_recovery_start.clear()
            generation = self._generation_id
            try:
                for carrier in self.carriers:
                    await carrier.revoke()
                    changelog = carrier.stage.changelog
                    await carrier.assign(
                        [tp.partition for tp in self.active_tps if tp.topic == changelog],
                        [tp.partition for tp in self.standby_tps if tp.topic == changelog],
                    )
                if self.app.consumer_generation_id != generation:
                    continue  # another rebalance has begun: its own assignment follows
                await self._resume_streams(generation_id=generation)
            except RebalanceAgain:
                continue  # the signal for the next assignment is set already
            except ServiceStopped:
                return
            except (Exception, CancelledError) as error:
                task = current_task()
                if task is not None and task.cancelling():
                    raise
                if self.app.consumer_generation_id == generation and not self.should_stop:
                    self.carriers[0].fail(error)
                    return


class BatchTables(TableManager):
    """The table manager that recovers so."""

    _recovery: Any = None

    @property
    def recovery(self) -> Any:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = BatchRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
