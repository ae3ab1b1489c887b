"""What the runs amount to: rates, ratios of one round, intervals, percentiles, tables. Pure: numbers in, numbers and text out."""

from __future__ import annotations

import random
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

OK, UNKNOWN = 200, 404


class Sample(NamedTuple):
    """A look at a run: seconds of the wall, records consumed and written, CPU seconds of the process tree before and after they were asked for."""

    wall: float
    cpu_before: float
    consumed: int
    written: int
    cpu: float


class Drain(NamedTuple):
    """Events per CPU-second and per second of the wall: from the first record, after the first tenth, in the second half."""

    rate: float
    rate_warm: float
    rate_half: float
    wall_rate: float
    start_cpu: float
    """CPU seconds before the first record: imports, JVM, stores."""
    cpu: float
    """CPU seconds from the first record to the last."""


def drain(samples: Sequence[Sample], total: int) -> Drain:
    """The figures of a run that consumed *total* records. Between two looks that differ, work is taken to be even.

    The first record is where the worker first wrote or told anything: the look before that is the beginning.
    """
    first = next(at for at, each in enumerate(samples) if each.consumed or each.written)
    begin = samples[max(first - 1, 0)]
    begin = begin._replace(consumed=0, cpu=begin.cpu_before)
    points = [begin]
    for each in samples[first:]:
        if each.consumed > points[-1].consumed:
            points.append(each)
    end = points[-1]
    if end.consumed < total:
        raise ValueError(f"{end.consumed} of {total} records were consumed")
    warm, half = cpu_at(points, total * 0.1), cpu_at(points, total * 0.5)
    cpu = end.cpu - begin.cpu
    return Drain(
        total / cpu, total * 0.9 / (end.cpu - warm), total * 0.5 / (end.cpu - half), total / (end.wall - begin.wall), begin.cpu, cpu
    )


def cpu_at(points: Sequence[Sample], consumed: float) -> float:
    """CPU seconds when so many records were consumed."""
    at = bisect_left([each.consumed for each in points], consumed)
    if at == 0:
        return points[0].cpu
    before, after = points[at - 1], points[at]
    return before.cpu + (after.cpu - before.cpu) * (consumed - before.consumed) / (after.consumed - before.consumed)


def consumed_by(curve: Sequence[int], written: int) -> int:
    """How far an engine is that tells no offsets, by what it has written: `curve[n]` outputs are due after n hundredths of the input."""
    return bisect_right(curve, written) - 1


def ratios(rounds: Iterable[Mapping[str, float]], above: str, below: str) -> list[float]:
    """*above* to *below* in each round that has both."""
    return [each[above] / each[below] for each in rounds if above in each and below in each]


def interval(values: Sequence[float], *, times: int = 2_000, seed: int = 0) -> tuple[float, float]:
    """The bootstrap 95 % interval of the median."""
    chance = random.Random(seed)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(times))
    return medians[int(times * 0.025)], medians[int(times * 0.975) - 1]


def with_interval(values: Sequence[float], digits: int = 2) -> str:
    """`1.52 (1.41 to 1.60, N = 5)`; of a single value no interval is claimed."""
    if not values:
        return ""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return f"{middle} (N = 1)"
    low, high = interval(values)
    return f"{middle} ({low:.{digits}f} to {high:.{digits}f}, N = {len(values)})"


def spread(values: Sequence[float]) -> str:
    """`27,268 (26,525 to 28,011, N = 3)`: median, least and most."""
    if not values:
        return ""
    middle = f"{statistics.median(values):,.0f}"
    return f"{middle} (N = 1)" if len(values) == 1 else f"{middle} ({min(values):,.0f} to {max(values):,.0f}, N = {len(values)})"


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least *share* of the values do not exceed (nearest rank)."""
    return ordered[max(min(-int(-share * len(ordered) // 1), len(ordered)) - 1, 0)]


def grows(lags: Sequence[tuple[float, int]], rate: float) -> bool:
    """Whether a lag, told as (seconds, records), grows by more than 2 % of the rate: then the rate is too much for the engine."""
    at = [each[0] for each in lags]
    behind = [each[1] for each in lags]
    if len(lags) < 3:
        return True
    return statistics.linear_regression(at, behind).slope > 0.02 * rate


def answers(asked: Sequence[tuple[str, float, int, float, bool]]) -> dict[str, dict[str, float]]:
    """Percentiles in milliseconds by what was asked, and of all, of (what, by how much the asker was late, status, milliseconds, whether about the one asked for).

    `unknown`: not heard of yet; `refused` and `wrong`: no answer, or about somebody else; `late`: the 99th percentile of the asker's own lateness.
    """
    whats = list(dict.fromkeys(each[0] for each in asked))
    return {what: _answered([each for each in asked if what in {"all", each[0]}]) for what in [*whats, "all"]}


def _answered(asked: Sequence[tuple[str, float, int, float, bool]]) -> dict[str, float]:
    ordered = sorted(each[3] for each in asked)
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {
        "requests": len(asked), "unknown": sum(each[2] == UNKNOWN for each in asked),
        "refused": sum(each[2] not in {OK, UNKNOWN} for each in asked), "wrong": sum(each[2] == OK and not each[4] for each in asked),
        "late": percentile(sorted(each[1] for each in asked), 0.99), **{name: percentile(ordered, each) for name, each in shares.items()},
    }  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown, a line each."""
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
