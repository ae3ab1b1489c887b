"""What was committed and is not on disk yet: the last value of each row, and where each customer's next timer has moved.

What waits longest comes to disk first, a little with each commit, so that no commit waits for a large write. A row that is written
again before its turn comes to disk once. It knows no disk and no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final, NamedTuple

from rumbo.core.profile import DUE_BYTES

Rows = Iterable[tuple[bytes, bytes | None]]
TimerMoves = Iterable[tuple[bytes, bytes, bytes]]
"""(old due, new due, customer): due instants as eight bytes, zeros for none. Each comes with the row of the customer's profile."""
NO_TIMER: Final = bytes(DUE_BYTES)
_PROFILE: Final = b"p"
_BESIDE: Final = 200
"""About what Python needs beside a row: its key, its place in a dict, the headers of both."""
SAMPLE: Final = 16
"""One row of so many is looked at for how long rows are."""
_STALE: Final = 1_000
"""Timers that have moved again or are on disk, and may be looked through beside those that wait."""


class Commit(NamedTuple):
    """One commit whose rows wait: when it was, the changelog's offset after it, how many rows there had ever been then."""

    at: float
    next: int
    rows: int


class Unwritten:
    """Rows and timer moves that are not on disk, in the order in which they began to wait."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        """None where one is deleted."""
        self.waiting: deque[Commit] = deque()
        """Commits of which some row waits, the oldest first."""
        self._moves: dict[bytes, tuple[bytes, bytes]] = {}
        self._due: list[tuple[bytes, bytes]] = []
        """(due, customer) of each timer that waits, as a heap; some have moved again, or are on disk."""
        self._gone = self._taken = self._bytes = 0

    def take(self, rows: Rows, timers: TimerMoves, changelog_next: int, now: float) -> int:
        """Take the rows and timer moves of a commit; how many more timers wait now."""
        rows, more = list(rows), 0
        self.rows.update(rows)
        looked_at = rows[::SAMPLE]
        self._taken += len(looked_at)
        self._bytes += sum([len(value) for _, value in looked_at if value is not None])
        self.waiting.append(Commit(now, changelog_next, self._gone + len(self.rows)))
        moves, due = self._moves, self._due
        for old, new, customer in timers:
            if old != new:
                more += (new != NO_TIMER) - (old != NO_TIMER)
                moves[customer] = moves.get(customer, (old,))[0], new
                if new != NO_TIMER:
                    heappush(due, (new, customer))
        if len(due) > 2 * len(moves) + _STALE:
            self._due = [(new, customer) for customer, (_, new) in moves.items() if new != NO_TIMER]
            heapify(self._due)
        return more

    def older(self, than: float, limit: int) -> int:
        """How many rows have waited since before an instant, at most *limit*."""
        found = 0
        for commit in self.waiting:
            if commit.at >= than or found >= limit:
                break
            found = commit.rows - self._gone
        return min(found, limit)

    def first(self, count: int) -> list[tuple[bytes, bytes | None]]:
        """The rows that wait longest, so many."""
        return list(islice(self.rows.items(), count))

    def forget(self, rows: list[tuple[bytes, bytes | None]]) -> int:
        """The *first* rows come to disk: the changelog's offset after the last commit that is there whole then; 0 for none."""
        reached = 0
        for key, _ in rows:
            del self.rows[key]
        self._gone += len(rows)
        waiting = self.waiting
        while waiting and waiting[0].rows <= self._gone:
            reached = waiting.popleft().next
        return reached

    def moved(self, rows: Rows) -> list[tuple[bytes, bytes, bytes]]:
        """From where the timers of these rows' customers stand on disk to where they are now; they are to be written with the rows."""
        moves, found = self._moves, list[tuple[bytes, bytes, bytes]]()
        for key, _ in rows if moves else ():
            if key.startswith(_PROFILE) and (move := moves.pop(key[1:], None)) is not None:
                found.append((*move, key[1:]))
        return found

    def due(self, bound: bytes, limit: int) -> list[bytes]:
        """The customers of the timers that wait and are due before the bound, the earliest first, at most *limit*."""
        due, moves, found = self._due, self._moves, dict[bytes, None]()
        while due and due[0][0] < bound and len(found) < limit:
            at, customer = heappop(due)
            if moves.get(customer, (b"", b""))[1] == at:
                found[customer] = None
        return list(found)

    def stale(self, customers: Iterable[bytes]) -> list[bytes]:
        """Those of whom the disk has a timer that has moved since."""
        return [each for each in customers if each in self._moves]

    def profiles(self, customers: Iterable[bytes]) -> list[tuple[bytes, bytes | None]]:
        """The rows of these customers' profiles. They go on to wait, so that commits come to disk in their order."""
        return [(key, self.rows[key]) for key in (_PROFILE + each for each in customers)]

    def each(self) -> int:
        """About the bytes that a row takes."""
        return self._bytes // max(self._taken, 1) + _BESIDE

    def size(self) -> int:
        """About the bytes that all rows take."""
        return len(self.rows) * self.each()
