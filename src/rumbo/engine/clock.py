"""A partition's clock: when timers fire with no event. Pure: the wall and the broker's time come in as data; nothing is read or awaited.

Each source has a clock of its own, its largest event time less the lateness it is allowed (and 1 µs: more may come at that
very instant). The partition's is the smallest among the sources that lag behind; when none does, the largest of all. So
a backlog is never overtaken. It never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from rumbo.core.instant import MINUTE, Duration, Instant

AHEAD: Final = MINUTE
"""How far past the broker's own time a wall clock may push."""


class PartitionClock:
    """The clock of one partition over its sources. All instants in microseconds; 0 is before everything."""

    def __init__(self, lateness: Mapping[str, Duration], *, mode: Literal["live", "log"], now: Instant = 0) -> None:
        self.now = now
        self._live = mode == "live"
        self._lateness = dict(lateness)
        self._latest: dict[str, Instant] = dict.fromkeys(lateness, 0)
        self._behind = set(lateness)

    @property
    def latest(self) -> dict[str, Instant]:
        """The largest event time of each source: what a successor begins with."""
        return dict(self._latest)

    @property
    def caught_up(self) -> bool:
        """Whether no source lags behind."""
        return not self._behind

    def remember(self, latest: Mapping[str, Instant]) -> None:
        """Begin from a predecessor's `latest`; sources that are gone are forgotten."""
        for source, at in latest.items():
            if source in self._latest:
                self._latest[source] = max(at, self._latest[source])

    def saw(self, source: str, at: Instant) -> None:
        """A batch of *source* went up to event time *at*."""
        if at > self._latest[source]:
            self._latest[source] = at

    def lag(self, behind: Iterable[str]) -> None:
        """These sources, and no others, have more to be read."""
        self._behind = set(behind)

    def advance(self) -> Instant:
        """Move as far as events allow, and say where the clock stands."""
        if self._behind:
            reached = min(self._reached(source) for source in self._behind)
        else:
            reached = max(map(self._reached, self._latest), default=0)
        self.now = max(self.now, reached)
        return self.now

    def push(self, wall: Instant, broker: Instant) -> Instant:
        """Let the wall clock push, if it may: `clock: live`, nothing behind, and a broker's time (0: none yet) to hold it."""
        if self._live and not self._behind and broker:
            slack = max(self._lateness.values(), default=0)
            self.now = max(self.now, min(wall, broker + AHEAD) - slack - 1)
        return self.now

    def to(self, at: Instant) -> Instant:
        """A clock record says that history reached *at*."""
        self.now = max(self.now, at)
        return self.now

    def _reached(self, source: str) -> Instant:
        latest = self._latest[source]
        return latest - self._lateness[source] - 1 if latest else 0
