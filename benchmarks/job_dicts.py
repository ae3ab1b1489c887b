"""The job over plain dicts, as the guides of Faust and Quix Streams keep state: one function a record. `job_structs.py` is the same, tuned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from benchmarks.reference import HALF_LIFE, POINTS, STAGES


def new() -> dict[str, Any]:
    """The state of a customer of whom nothing is known."""
    return {"ids": [], "clock": 0.0, "v": 0.0, "a": 0.0, "band": 0, "stage": 0, "n": {}, "views": [], "fired": {}}


def step(state: dict[str, Any], event: dict[str, Any]) -> list[tuple[str, dict[str, Any]]] | None:
    """Advance one customer by one event; (topic, output) in order, None for a repeat, which changes nothing."""
    who, name, message = event["userId"], event["event"], event["messageId"]
    if message in state["ids"]:
        return None
    state["ids"] = [*state["ids"], message][-64:]
    at = datetime.fromisoformat(event["timestamp"]).timestamp()
    state["clock"] = now = max(state["clock"], at)
    state["n"][name] = state["n"].get(name, 0) + 1
    if name == "Product Viewed":
        state["views"] = [*state["views"], at][-64:]
    before = state["band"]
    made = []

    def add(topic: str, what: str, **more: float) -> None:
        made.append((topic, {"customer": who, "message": message, "what": what, **more}))

    if name in POINTS:
        newest = max(state["a"], at)
        state["v"] = state["v"] * 2 ** ((state["a"] - newest) / HALF_LIFE) + POINTS[name] * 2 ** ((at - newest) / HALF_LIFE)
        state["a"] = newest
        score = state["v"] * 2 ** ((newest - now) / HALF_LIFE)
        band = 2 if score >= 60 or (before == 2 and score >= 45) else 1 if score >= 20 or (before >= 1 and score >= 12) else 0
        if band != before:
            state["band"] = band
            add("scores", ("none", "warm", "hot")[band], score=score)
    target = _stage(state)
    if target > state["stage"]:
        state["stage"] = target
        add("transitions", STAGES[target])
    for rule in _fires(state, name, event, before, now):
        state["fired"][rule] = now
        add("actions", rule)
    return made


def _stage(state: dict[str, Any]) -> int:
    n = state["n"].get
    orders = n("Order Completed", 0)
    if n("Referral Sent", 0) >= 1 and orders >= 2:
        return 6
    if orders >= 2:
        return 5
    if n("Feature Used", 0) >= 3 and orders >= 1:
        return 4
    if orders >= 1:
        return 3
    if n("Product Added", 0) >= 1 and state["band"] >= 1:
        return 2
    return 1 if n("Product Viewed", 0) >= 3 else 0


def _fires(state: dict[str, Any], name: str, event: dict[str, Any], before: int, now: float) -> Iterator[str]:
    properties, campaign = event["properties"], event["context"]["campaign"]["name"]
    rules = {
        "Signed Up": (("welcome", True, float("inf")),),
        "Email Link Clicked": (("hero_a", campaign == "A", 3600), ("hero_b", campaign == "B", 3600)),
        "Product Added": (("cart_value", properties["value"] >= 100, 3600),),
        "Product Viewed": (("browse_intent", sum(1 for at in state["views"] if at > now - 3600) >= 5, 6 * 3600),),
        "Checkout Started": (("checkout_help", state["band"] >= 1, 3600),),
        "Order Completed": (("vip_order", properties["total"] >= 500, 0),),
        "Demo Requested": (("demo_request", state["stage"] <= 1, 86400),),
        "Search Performed": (("no_result", properties["results"] == 0, 1800),),
    }.get(name, ())
    for rule, holds, cooldown in (*rules, ("hot_lead", before < 2 <= state["band"], 86400)):
        last = state["fired"].get(rule)
        if holds and (last is None or now - last >= cooldown):
            yield rule
