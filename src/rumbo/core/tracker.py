"""What conditions must remember of past interactions: counts, last times, windows. One tracker serves every rule that asks the same.

A tracker is named by what it tracks, not by the rule that asks, so that state survives a new version of the definition.
It never decides anything, and none of its collections grows without a cap.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final

from rumbo.core.definition import EventTest
from rumbo.core.instant import SECOND, Duration, Instant
from rumbo.core.scope import Read, Scope, Turn

EXACT: Final = 64
"""Windows that need at most so many interactions keep their exact times; longer ones count in buckets of 1/32 of the window."""
BUCKETS: Final = 32

Update = Callable[[Turn], None]
"""Remembers the interaction that is being stepped."""


def tracker_name(events: EventTest) -> str:
    """The key of a tracker's state: the folded names, and a fingerprint of the `where`."""
    names = ",".join(sorted(events.names)) or "*"
    if events.where is None:
        return names
    return f"{names}?{blake2b(events.where.encode(), digest_size=4).hexdigest()}"


def bucket_width(within: Duration) -> Duration:
    """The width of a bucket, and so the bound of the error of a bucketed window: 1/32 of it, at least a second."""
    return max(within // BUCKETS, SECOND)


class Tracker:
    """What is remembered of the interactions that pass one test."""

    def __init__(self, events: EventTest, where: Read | None) -> None:
        self.name, self.events, self.where = tracker_name(events), events, where
        self.counts = self.remembers_last = False
        self.keep = 0
        self.buckets: dict[str, Duration] = {}

    def window(self, at_least: int, within: Duration) -> None:
        """Remember enough to answer whether there were at least so many within that window."""
        if at_least <= EXACT:
            self.keep = max(self.keep, at_least)
        else:
            self.buckets[self.bucket_name(within)] = within

    def bucket_name(self, within: Duration) -> str:
        """Where a bucketed window is kept."""
        return f"{self.name}/{within // SECOND}s"

    def updates(self) -> list[Update]:
        """One small function for each thing to remember."""
        made: list[Update] = []
        if self.counts:
            made.append(_count(self.name))
        if self.remembers_last:
            made.append(_last(self.name))
        if self.keep:
            made.append(_window(self.name, self.keep))
        made.extend(_bucket(name, within) for name, within in self.buckets.items())
        return made


def _count(name: str) -> Update:
    def update(turn: Turn) -> None:
        counters = turn.profile.counters
        counters[name] = counters.get(name, 0) + 1

    return update


def _last(name: str) -> Update:
    def update(turn: Turn) -> None:
        last, at = turn.profile.last, turn.at
        if at > last.get(name, 0):
            last[name] = at

    return update


def _window(name: str, keep: int) -> Update:
    def update(turn: Turn) -> None:
        windows, at = turn.profile.windows, turn.at
        times = windows.get(name)
        if times is None:
            windows[name] = [at]
            return
        if at >= times[-1]:
            times.append(at)
        else:
            insort(times, at)
        if len(times) > keep:
            del times[0]

    return update


def _bucket(name: str, within: Duration) -> Update:
    """Bucket starts and counts in turn: [start, count, start, count, …], at most the window's worth."""
    width = bucket_width(within)

    def update(turn: Turn) -> None:
        at, cells = turn.at, turn.profile.windows.setdefault(name, [])
        start = at - at % width
        index = len(cells) - 2
        while index >= 0 and cells[index] > start:
            index -= 2
        if index >= 0 and cells[index] == start:
            cells[index + 1] += 1
        else:
            cells[index + 2 : index + 2] = [start, 1]
        while len(cells) > 2 * (BUCKETS + 1):
            del cells[:2]

    return update


class Trackers:
    """The trackers of one topology, each once."""

    def __init__(self, compile_where: Callable[[str], Read]) -> None:
        self._compile, self._known = compile_where, dict[str, Tracker]()

    def of(self, events: EventTest) -> Tracker:
        """The tracker of this test, made at the first asking."""
        name = tracker_name(events)
        found = self._known.get(name)
        if found is None:
            where = self._compile(events.where) if events.where is not None else None
            found = self._known[name] = Tracker(events, where)
        return found

    def names(self) -> set[str]:
        """Every event name that some tracker listens to by name."""
        return {name for each in self._known.values() for name in each.events.names}

    def listening(self, key: str) -> Iterator[Update]:
        """What to remember of an interaction of this (folded) name."""
        for each in self._known.values():
            if not each.events.names or key in each.events.names:
                for update in each.updates():
                    yield update if each.where is None else _where(each.where, update)


def _where(where: Read, update: Update) -> Update:
    def guarded(turn: Turn) -> None:
        if where(turn) is True:
            update(turn)

    return guarded


def count_within(times: list[Instant], after: Instant) -> int:
    """How many of these ascending times are later than `after`."""
    return sum(1 for at in times if at > after)


def count_buckets(cells: list[Instant], after: Instant, width: Duration) -> int:
    """How many in buckets that end after `after`: at most one bucket's worth too many."""
    return sum(cells[index + 1] for index in range(0, len(cells), 2) if cells[index] + width > after)


def passes(events: EventTest, where: Read | None, key: str, scope: Scope) -> bool:
    """Whether the interaction in the scope is one of these."""
    return (not events.names or key in events.names) and (where is None or where(scope) is True)
