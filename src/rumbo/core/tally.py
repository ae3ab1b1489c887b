"""How many customers are where, how they got there and how long they stayed: counts kept from decisions, mergeable by addition.

Everyone who is known stands in the first stage of every journey until they move, so no count is made for a beginning. A tally
counts what was decided; it decides nothing and holds no customer.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log2
from typing import Final

import msgspec

from rumbo.core.decision import Decision
from rumbo.core.definition import Journey
from rumbo.core.outputs import StageChanged

BINS_PER_DOUBLING: Final = 4
"""Dwell is counted in bins of a quarter of a doubling: a median is right within 9 %."""


class JourneyTally(msgspec.Struct, array_like=True):
    """One journey. `here` and `high` are changes against everyone standing in the first stage."""

    here: dict[str, int] = {}
    """Stage -> customers who are in it now."""
    high: dict[str, int] = {}
    """Stage -> customers for whom it is the highest ever reached."""
    moves: dict[str, dict[str, int]] = {}
    """From -> to -> moves."""
    dwell: dict[str, dict[int, int]] = {}
    """Stage -> bin of the length of stay -> completed stays."""


class Tally(msgspec.Struct, array_like=True):
    """The customers of one partition, of a worker or of all of them."""

    customers: int = 0
    journeys: dict[str, JourneyTally] = {}

    def moved(self, decision: Decision) -> bool:
        """Count a transition; whether the customer may never have been so high before (then `raised` must be told)."""
        data: StageChanged = decision.data
        self.went(decision, 1)
        self.stood(decision.journey, data.from_, data.to)
        return data.to == data.high_water and data.direction in {"forward", "return"}

    def went(self, decision: Decision, times: int) -> None:
        """A transition was said (or, with -1, withdrawn): the move and the length of stay alone."""
        data: StageChanged = decision.data
        mine = self.journeys.setdefault(decision.journey, JourneyTally())
        _add(mine.moves.setdefault(data.from_, {}), data.to, times)
        _add(mine.dwell.setdefault(data.from_, {}), dwell_bin(data.dwell_seconds), times)

    def stood(self, journey: str, before: str, after: str) -> None:
        """A customer is in another stage."""
        if before != after:
            mine = self.journeys.setdefault(journey, JourneyTally())
            _add(mine.here, before, -1)
            _add(mine.here, after, 1)

    def raised(self, journey: str, before: str, after: str) -> None:
        """The highest stage ever reached went from one to another."""
        if before != after:
            mine = self.journeys.setdefault(journey, JourneyTally())
            _add(mine.high, before, -1)
            _add(mine.high, after, 1)

    def stands(self, journey: str, first: str, stage: str, high_water: str) -> None:
        """Count one customer as found, not as moved."""
        mine = self.journeys.setdefault(journey, JourneyTally())
        _add(mine.here, first, -1)
        _add(mine.here, stage, 1)
        self.raised(journey, first, high_water)

    def add(self, other: Tally) -> None:
        """Take over what another one counted."""
        self.customers += other.customers
        for journey, theirs in other.journeys.items():
            mine = self.journeys.setdefault(journey, JourneyTally())
            _merge(mine.here, theirs.here)
            _merge(mine.high, theirs.high)
            for origin, targets in theirs.moves.items():
                _merge(mine.moves.setdefault(origin, {}), targets)
            for stage, bins in theirs.dwell.items():
                _merge(mine.dwell.setdefault(stage, {}), bins)


class StageCount(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a funnel. `reached` counts customers who were there or further, ever; a side stage has no place in the order."""

    stage: str
    side: bool
    now: int
    reached: int | None
    conversion: float | None
    """Of those who reached the stage before, the share that reached this one; null for the first, a side stage, or nobody."""
    stays: int
    """Completed stays, which the median is of."""
    median_dwell_seconds: float | None


def funnel(journey: Journey, tally: Tally) -> list[StageCount]:
    """The stages of a journey in their order, side stages last."""
    mine = tally.journeys.get(journey.id, JourneyTally())
    ordered = [stage.name for stage in journey.stages if not stage.side]
    sides = [stage.name for stage in journey.stages if stage.side]
    high = {name: mine.high.get(name, 0) for name in ordered}
    here = {name: mine.here.get(name, 0) for name in ordered + sides}
    if ordered:
        high[ordered[0]] += tally.customers
        here[ordered[0]] += tally.customers
    found: list[StageCount] = []
    before: int | None = None
    for at, name in enumerate(ordered):
        reached = sum(high[each] for each in ordered[at:])
        found.append(_counted(mine, name, now=here[name], reached=reached, before=before))
        before = reached
    return found + [_counted(mine, name, now=here[name], reached=None, before=None) for name in sides]


def _counted(mine: JourneyTally, name: str, *, now: int, reached: int | None, before: int | None) -> StageCount:
    bins = mine.dwell.get(name, {})
    return StageCount(
        stage=name,
        side=reached is None,
        now=now,
        reached=reached,
        conversion=round(reached / before, 4) if before and reached is not None else None,
        stays=sum(bins.values()),
        median_dwell_seconds=median(bins),
    )


def dwell_bin(seconds: float) -> int:
    """The bin of a length of stay; under a second is bin 0."""
    return int(log2(seconds) * BINS_PER_DOUBLING) + 1 if seconds >= 1 else 0


def median(bins: dict[int, int]) -> float | None:
    """The middle of the bin that holds the median, in seconds; None without any."""
    left = (sum(bins.values()) + 1) // 2
    for at in sorted(bins):
        left -= bins[at]
        if left <= 0 < bins[at]:
            return round(2.0 ** ((at - 0.5) / BINS_PER_DOUBLING), 3) if at else 0.0
    return None


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum."""
    found = Tally()
    for each in tallies:
        found.add(each)
    return found


def _add(counts: dict[str, int] | dict[int, int], key: object, number: int) -> None:
    counts[key] = counts.get(key, 0) + number  # type: ignore[call-overload, index]  # str with str, int with int


def _merge(counts: dict[str, int] | dict[int, int], others: dict[str, int] | dict[int, int]) -> None:
    for key, number in others.items():
        _add(counts, key, number)


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Tally)


def dump(tally: Tally) -> bytes:
    """As stored, and as workers tell each other."""
    return _encode(tally)


def load(value: bytes) -> Tally:
    """What `dump` wrote. Raises msgspec.ValidationError on anything else."""
    return _decoder.decode(value)
