"""What was committed and is not on disk yet: the last value of each row, and where each customer's next timer has moved.

A row that is written again before it comes to disk is written there once. It knows no disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rumbo.core.profile import DUE_BYTES

Rows = Iterable[tuple[bytes, bytes | None]]
TimerMoves = Iterable[tuple[bytes, bytes, bytes]]
"""(old due, new due, customer): due instants as eight bytes, zeros for none."""
NO_TIMER: Final = bytes(DUE_BYTES)
_NEVER: Final = b"\xff" * DUE_BYTES
_BESIDE: Final = 200
"""About what Python needs beside a row: its key, its place in a dict, the headers of both."""


class Unwritten:
    """Rows and timer moves since all was last brought to disk."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        """None where one is deleted."""
        self._moves: dict[bytes, tuple[bytes, bytes]] = {}
        self._soonest = _NEVER
        self._taken = self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self.rows or self._moves)

    def take(self, rows: Rows, timers: TimerMoves) -> int:
        """Take rows and timer moves; how many more timers wait now."""
        rows, more = list(rows), 0
        self.rows.update(rows)
        self._taken += len(rows)
        self._bytes += sum([len(value) for _, value in rows if value is not None])
        for old, new, customer in timers:
            if old != new:
                more += (new != NO_TIMER) - (old != NO_TIMER)
                self._moves[customer] = self._moves.get(customer, (old,))[0], new
                if new != NO_TIMER:
                    self._soonest = min(self._soonest, new)
        return more

    def moves(self) -> list[tuple[bytes, bytes, bytes]]:
        """From where each timer stands on disk to where it is now."""
        return [(old, new, customer) for customer, (old, new) in self._moves.items()]

    def touches(self, bound: bytes, found: object) -> bool:
        """Whether the timers due before the bound may be others than *found* on disk."""
        return bool(self._moves) and (bool(found) or self._soonest < bound)

    def each(self) -> int:
        """About the bytes that a row takes."""
        return self._bytes // max(self._taken, 1) + _BESIDE

    def size(self) -> int:
        """About the bytes that all rows take."""
        return len(self.rows) * self.each()
