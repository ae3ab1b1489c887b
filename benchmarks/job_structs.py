"""The job as a Python programmer would write it for speed: typed structs, one function a record. Quix Streams, Bytewax and the bare bound share it.

The reference (`reference.py`) is written apart from it on purpose: it says what is right, this says what is fast.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from benchmarks.reference import HALF_LIFE, POINTS, STAGES

BANDS = ("none", "warm", "hot")
EVER = float("inf")


class Campaign(msgspec.Struct):
    """Of a campaign, the name is all that the job asks for."""

    name: str


class Context(msgspec.Struct):
    """Of the context, the campaign."""

    campaign: Campaign


class Properties(msgspec.Struct):
    """The three that the triggers ask for."""

    value: float
    total: float
    results: int


class Event(msgspec.Struct):
    """One track call, without what the job never reads."""

    event: str
    messageId: str
    userId: str
    timestamp: datetime
    context: Context
    properties: Properties


class Customer(msgspec.Struct, array_like=True):
    """One customer's state. Of the views, the five newest decide whether there were five within the hour."""

    ids: list[str] = []
    clock: float = 0.0
    value: float = 0.0
    anchor: float = 0.0
    band: int = 0
    stage: int = 0
    counts: dict[str, int] = {}
    views: list[float] = []
    fired: dict[str, float] = {}


class Output(msgspec.Struct, omit_defaults=True):
    """What the engine writes as JSON, keyed by customer."""

    customer: str
    message: str
    what: str
    score: float | None = None


decode_event = msgspec.json.Decoder(Event).decode
decode_customer = msgspec.msgpack.Decoder(Customer).decode
encode_customer = msgspec.msgpack.Encoder().encode
encode_output = msgspec.json.Encoder().encode


def step(state: Customer, event: Event) -> list[tuple[str, Output]] | None:
    """Advance one customer by one event; (topic, output) in order, None for a repeat, which changes nothing."""
    message = event.messageId
    if message in state.ids:
        return None
    state.ids.append(message)
    if len(state.ids) > 64:
        del state.ids[0]
    at = event.timestamp.timestamp()
    now = state.clock = max(state.clock, at)
    name, who = event.event, event.userId
    state.counts[name] = state.counts.get(name, 0) + 1
    made: list[tuple[str, Output]] = []
    before = state.band
    points = POINTS.get(name)
    if points is not None:
        newest = max(state.anchor, at)
        state.value = state.value * 2 ** ((state.anchor - newest) / HALF_LIFE) + points * 2 ** ((at - newest) / HALF_LIFE)
        state.anchor = newest
        score = state.value * 2 ** ((newest - now) / HALF_LIFE)
        band = 2 if score >= 60 or (before == 2 and score >= 45) else 1 if score >= 20 or (before >= 1 and score >= 12) else 0
        if band != before:
            state.band = band
            made.append(("scores", Output(who, message, BANDS[band], score)))
    stage = _stage(state)
    if stage > state.stage:
        state.stage = stage
        made.append(("transitions", Output(who, message, STAGES[stage])))
    if before < 2 <= state.band:
        _fire(state, "hot_lead", 86400, now, who, message, made)
    ask = TRIGGERS.get(name)
    if ask is not None:
        found = ask(state, event, at)
        if found is not None:
            _fire(state, found[0], found[1], now, who, message, made)
    return made


def _stage(state: Customer) -> int:
    counts = state.counts
    orders = counts.get("Order Completed", 0)
    if orders >= 2:
        return 6 if "Referral Sent" in counts else 5
    if orders:
        return 4 if counts.get("Feature Used", 0) >= 3 else 3
    if state.band and "Product Added" in counts:
        return 2
    return 1 if counts.get("Product Viewed", 0) >= 3 else 0


def _fire(state: Customer, rule: str, cooldown: float, now: float, who: str, message: str, made: list[tuple[str, Output]]) -> None:
    last = state.fired.get(rule)
    if last is None or now - last >= cooldown:
        state.fired[rule] = now
        made.append(("actions", Output(who, message, rule)))


def _email(state: Customer, event: Event, at: float) -> tuple[str, float] | None:
    campaign = event.context.campaign.name
    return ("hero_a", 3600) if campaign == "A" else ("hero_b", 3600) if campaign == "B" else None


def _viewed(state: Customer, event: Event, at: float) -> tuple[str, float] | None:
    views = state.views
    views.append(at)
    views.sort()
    if len(views) > 5:
        del views[0]
    return ("browse_intent", 6 * 3600) if len(views) == 5 and views[0] > state.clock - 3600 else None


# One question a name; none of the ten shares its name with another, but for the campaigns.
TRIGGERS: dict[str, Callable[[Customer, Event, float], tuple[str, float] | None]] = {
    "Signed Up": lambda state, event, at: ("welcome", EVER),
    "Email Link Clicked": _email,
    "Product Added": lambda state, event, at: ("cart_value", 3600) if event.properties.value >= 100 else None,
    "Product Viewed": _viewed,
    "Checkout Started": lambda state, event, at: ("checkout_help", 3600) if state.band else None,
    "Order Completed": lambda state, event, at: ("vip_order", 0) if event.properties.total >= 500 else None,
    "Demo Requested": lambda state, event, at: ("demo_request", 86400) if state.stage <= 1 else None,
    "Search Performed": lambda state, event, at: ("no_result", 1800) if event.properties.results == 0 else None,
}
