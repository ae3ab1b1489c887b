"""A partition's clock: what time it is where no event says so. Pure; the wall's time is handed in.

Each source has its own, the largest event time less the allowed lateness, less a microsecond (more events at that very
instant may come). The partition's is the smallest over the sources that are not caught up, and the largest of all when
every one is. It never goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from rumbo.core.instant import MINUTE, Instant
from rumbo.engine.position import Position

AHEAD: Final = MINUTE
"""How far the wall may lead the broker's own time."""


def event_clock(position: Position, lateness: Mapping[str, int], caught_up: Mapping[str, bool]) -> Instant:
    """The clock that the events give."""
    clocks = {
        topic: source.clock - lateness[topic] - 1 for topic, source in position.sources.items() if topic in lateness
    }
    behind = [clock for topic, clock in clocks.items() if not caught_up.get(topic, False)]
    if behind:
        found = min(behind)
    else:
        found = max((clock for topic, clock in clocks.items() if position.sources[topic].clock), default=0)
    return max(position.clock, found)


def live_clock(
    mode: Literal["live", "log"], position: Position, lateness: Mapping[str, int], *, wall: Instant, broker: Instant
) -> Instant:
    """The clock when every source is caught up: the wall's, less the lateness, where the topology lives by it.

    Never past the broker's own time by more than a minute: a machine whose clock runs ahead must not fire what is not due.
    """
    if mode == "log" or not broker:
        return position.clock
    return max(position.clock, min(wall, broker + AHEAD) - max(lateness.values(), default=0) - 1)
