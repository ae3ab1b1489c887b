"""The job in plain Python: what every engine's outputs are compared with. It uses none of Rumbo's code."""

from __future__ import annotations

import json
from collections import deque
from datetime import datetime
from typing import Any, NamedTuple

POINTS = {
    "Page Viewed": 1, "Product Viewed": 2, "Email Link Clicked": 4, "Product Added": 5, "Checkout Started": 10,
    "Order Completed": 20, "Demo Requested": 30,
}
HALF_LIFE = 14 * 86400.0
STAGES = ("awareness", "consideration", "decision", "onboarding", "adoption", "retention", "advocacy")


class Output(NamedTuple):
    """One expected output; `score` is compared within 0.01 where it is set."""

    kind: str
    customer: str
    message: str
    what: str
    score: float | None = None


class Customer:
    """One customer's state."""

    def __init__(self) -> None:
        self.ids: deque[str] = deque(maxlen=64)
        self.clock = self.value = self.anchor = 0.0
        self.band, self.stage = 0, 0
        self.counts: dict[str, int] = {}
        self.views: list[float] = []
        self.fired: dict[str, float] = {}


class Reference:
    """Feed it the records of the job in order, partition by partition or mixed: customers do not depend on each other."""

    def __init__(self) -> None:
        self.customers: dict[str, Customer] = {}
        self.outputs: set[Output] = set()
        self.dead = self.repeats = 0

    def feed(self, value: bytes) -> None:
        """One record."""
        try:
            event = json.loads(value)
        except ValueError:
            self.dead += 1
            return
        who = event["userId"]
        state = self.customers.setdefault(who, Customer())
        if event["messageId"] in state.ids:
            self.repeats += 1
            return
        state.ids.append(event["messageId"])
        at = datetime.fromisoformat(event["timestamp"]).timestamp()
        state.clock = max(state.clock, at)
        name = event["event"]
        state.counts[name] = state.counts.get(name, 0) + 1
        if name == "Product Viewed":
            state.views.append(at)
        before = state.band
        self._score(state, name, at, who, event["messageId"])
        self._stage(state, who, event["messageId"])
        self._triggers(state, name, event, before, who)

    def _score(self, state: Customer, name: str, at: float, who: str, message: str) -> None:
        points = POINTS.get(name)
        if points is None:
            return
        newest = max(state.anchor, at)
        state.value = state.value * 2 ** ((state.anchor - newest) / HALF_LIFE) + points * 2 ** ((at - newest) / HALF_LIFE)
        state.anchor = newest
        score = state.value * 2 ** ((newest - state.clock) / HALF_LIFE)
        band = 2 if score >= 60 or (state.band == 2 and score >= 45) else 1 if score >= 20 or (state.band >= 1 and score >= 12) else 0
        if band != state.band:
            state.band = band
            self.outputs.add(Output("score", who, message, ("none", "warm", "hot")[band], round(score, 4)))

    def _stage(self, state: Customer, who: str, message: str) -> None:
        n = state.counts.get
        orders = n("Order Completed", 0)
        reached = (
            True, n("Product Viewed", 0) >= 3, n("Product Added", 0) >= 1 and state.band >= 1, orders >= 1,
            n("Feature Used", 0) >= 3 and orders >= 1, orders >= 2, n("Referral Sent", 0) >= 1 and orders >= 2,
        )
        target = max(rank for rank, holds in enumerate(reached) if holds)
        if target > state.stage:
            state.stage = target
            self.outputs.add(Output("stage", who, message, STAGES[target]))

    def _triggers(self, state: Customer, name: str, event: dict[str, Any], before: int, who: str) -> None:
        properties, campaign, now = event["properties"], event["context"]["campaign"]["name"], state.clock
        recent = sum(1 for at in state.views if at > now - 3600)
        rules = (
            ("welcome", name == "Signed Up", float("inf")),
            ("hero_a", name == "Email Link Clicked" and campaign == "A", 3600),
            ("hero_b", name == "Email Link Clicked" and campaign == "B", 3600),
            ("cart_value", name == "Product Added" and properties["value"] >= 100, 3600),
            ("browse_intent", name == "Product Viewed" and recent >= 5, 6 * 3600),
            ("checkout_help", name == "Checkout Started" and state.band >= 1, 3600),
            ("hot_lead", before < 2 <= state.band, 86400),
            ("vip_order", name == "Order Completed" and properties["total"] >= 500, 0),
            ("demo_request", name == "Demo Requested" and state.stage <= 1, 86400),
            ("no_result", name == "Search Performed" and properties["results"] == 0, 1800),
        )
        for rule, holds, cooldown in rules:
            last = state.fired.get(rule)
            if holds and (last is None or now - last >= cooldown):
                state.fired[rule] = now
                self.outputs.add(Output("action", who, event["messageId"], rule))
