"""How points lose their worth: the ways of decay, each as functions over one accumulator. It knows no rule and no band.

An accumulator of an exponential decay (or of none) is [value, anchor]; of inactivity the same, the anchor being the last award;
of steps [first award, points, …], a cell for each stretch of time in which there were awards. Points of one cell lose their worth with
its first award: at most a cell's width too early. Cells that are worth nothing go, so that no more than `CELLS` are ever kept.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log
from typing import Any, Final, NamedTuple

from rumbo.core.definition import Idling, Points, Steps
from rumbo.core.instant import SECOND, Duration, Instant

CELLS: Final = 128
_LEAST: Final = 0.001
"""What geometric steps have left of the points below this share counts as nothing."""
_PARTS: Final = 32
_CLOSE: Final = 1e-9

Accumulator = list[Any]


def decayed(value: float, anchor: Instant, now: Instant, half_life: Duration | None) -> float:
    """An accumulator read at `now`: v * 2^(-(now - a)/H); undecayed where there is no half-life."""
    if half_life is None or now == anchor:
        return value
    return value * float(2.0 ** ((anchor - now) / half_life))


def add(lane: list[float | int], points: float, at: Instant, half_life: Duration | None) -> None:
    """Award points at `at`, in any order of arrival. The anchor is the latest instant seen."""
    value, anchor = lane[0], lane[1]
    if half_life is None:
        lane[0] = value + points
        if at > anchor:
            lane[1] = at
    elif at >= anchor:
        lane[0] = value * 2.0 ** ((anchor - at) / half_life) + points
        lane[1] = at
    else:
        lane[0] = value + points * 2.0 ** ((at - anchor) / half_life)


class Fading(NamedTuple):
    """One way of decay over an accumulator.

    `changes` is the next instant at which time alone makes a step (0: none, or it is not stepwise); `falling` whether time can
    only take away; `scale` multiplies all that is there.
    """

    begin: Callable[[float, Instant], Accumulator]
    add: Callable[[Accumulator, float, Instant], None]
    read: Callable[[Accumulator, Instant], float]
    changes: Callable[[Accumulator, Instant], Instant]
    falling: Callable[[Accumulator], bool]
    scale: Callable[[Accumulator, float, Instant], None]


def fading(rule: Points) -> Fading:
    """The way of decay of one rule."""
    match rule.decay:
        case Steps() as steps:
            return _stepwise(steps)
        case Idling() as idling:
            return _idling(idling)
        case None:
            return _exponential(rule.half_life)


def _exponential(half_life: Duration | None) -> Fading:
    def scale(lane: Accumulator, factor: float, _now: Instant) -> None:
        lane[0] *= factor

    return Fading(
        begin=lambda points, at: [points, at],
        add=lambda lane, points, at: add(lane, points, at, half_life),
        read=lambda lane, now: decayed(lane[0], lane[1], now, half_life),
        changes=lambda _lane, _now: 0,
        falling=lambda lane: bool(lane[0] >= 0),
        scale=scale,
    )


# Steps ----------------------------------------------------------------------------------------------------------------


def life(steps: Steps) -> int:
    """After how many steps points are worth nothing."""
    if not steps.geometric:
        return max(ceil(1 / steps.rate - _CLOSE), 1)
    return 1 if steps.rate >= 1 else ceil(log(_LEAST) / log(1 - steps.rate) + _CLOSE)


def cell_width(steps: Steps) -> Duration:
    """The width of a cell: 1/32 of a step, at least a second, and no more than `CELLS` in all."""
    return max(steps.every // _PARTS, life(steps) * steps.every // CELLS, SECOND)


def keep(steps: Steps, age: Duration) -> float:
    """What is left of one point: max(0, 1 - r n), or (1 - r)^n, with n = floor(age / T)."""
    passed = max(age, 0) // steps.every
    if passed >= life(steps):
        return 0.0
    return float((1 - steps.rate) ** passed) if steps.geometric else 1 - steps.rate * passed


def _stepwise(steps: Steps) -> Fading:
    width, every, ends = cell_width(steps), steps.every, life(steps) * steps.every
    kept = tuple(keep(steps, passed * every) for passed in range(life(steps)))

    def award(cells: Accumulator, points: float, at: Instant) -> None:
        while cells and at - cells[0] >= ends:
            del cells[:2]
        index, cell = len(cells), at // width
        while index and cells[index - 2] // width > cell:
            index -= 2
        if index and cells[index - 2] // width == cell:
            cells[index - 2] = min(cells[index - 2], at)
            cells[index - 1] += points
        else:
            cells[index:index] = [at, points]

    def read(cells: Accumulator, now: Instant) -> float:
        total = 0.0
        for index in range(0, len(cells), 2):
            passed = (now - cells[index]) // every
            if passed < len(kept):
                total += cells[index + 1] * kept[max(passed, 0)]
        return total

    def changes(cells: Accumulator, now: Instant) -> Instant:
        ages = ((at, (now - at) // every) for at in cells[::2])
        return min((at + (passed + 1) * every for at, passed in ages if passed < len(kept)), default=0)

    def scale(cells: Accumulator, factor: float, _now: Instant) -> None:
        cells[1::2] = [points * factor for points in cells[1::2]]

    return Fading(
        begin=lambda points, at: [at, points],
        add=award,
        read=read,
        changes=changes,
        falling=lambda cells: all(points >= 0 for points in cells[1::2]),
        scale=scale,
    )


# Inactivity -----------------------------------------------------------------------------------------------------------


def _idling(idling: Idling) -> Fading:
    def read(lane: Accumulator, now: Instant) -> float:
        value, idle = float(lane[0]), now - lane[1]
        for step in idling.steps:
            if idle < step.idle:
                break
            value = value * step.multiply if step.multiply is not None else min(value, step.set or 0.0)
        return value

    def award(lane: Accumulator, points: float, at: Instant) -> None:
        if at < lane[1]:
            lane[0] += points
        else:
            lane[0], lane[1] = read(lane, at) + points, at

    def changes(lane: Accumulator, now: Instant) -> Instant:
        return next((lane[1] + step.idle for step in idling.steps if lane[1] + step.idle > now), 0)

    def scale(lane: Accumulator, factor: float, now: Instant) -> None:
        """What has idled away does not come back, and the steps to come count on."""
        multiplied = 1.0
        for step in idling.steps:
            if now - lane[1] >= step.idle and step.multiply is not None:
                multiplied *= step.multiply
        lane[0] = read(lane, now) * factor / multiplied if multiplied else 0.0

    return Fading(
        begin=lambda points, at: [points, at],
        add=award,
        read=read,
        changes=changes,
        falling=lambda lane: bool(lane[0] >= 0),
        scale=scale,
    )
