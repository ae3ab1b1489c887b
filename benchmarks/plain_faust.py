"""The job in plain Faust, as its guide shows it: an agent, a table on RocksDB, `send`. At least once, with Faust's holes.

Environment: BROKER, RUN (prefix of topics and app), STATE, INPUT.
"""

from __future__ import annotations

import json
import os
from datetime import datetime

import faust

from benchmarks.reference import HALF_LIFE, POINTS, STAGES

RUN = os.environ["RUN"]
app = faust.App(
    RUN, broker=f"kafka://{os.environ['BROKER']}", store="rocksdb://", datadir=os.environ["STATE"], topic_partitions=4,
    topic_replication_factor=1, topic_allow_declare=True, web_enabled=False, consumer_auto_offset_reset="earliest",
    topic_disable_leader=True, broker_commit_interval=1.0,
)  # fmt: skip
source = app.topic(os.environ["INPUT"], key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")
scores = app.topic(f"{RUN}.scores", value_serializer="json", key_type=bytes)
transitions = app.topic(f"{RUN}.transitions", value_serializer="json", key_type=bytes)
actions = app.topic(f"{RUN}.actions", value_serializer="json", key_type=bytes)
dead = app.topic(f"{RUN}.dlq", value_serializer="raw", key_type=bytes)
customers = app.Table("customers", key_type=str, partitions=4)


@app.agent(source)
async def shop(stream) -> None:
    """One event at a time."""
    async for message in stream.events():
        try:
            event = json.loads(message.value)
        except ValueError:
            await dead.send(key=message.key, value=message.value)
            continue
        who, name, message_id = event["userId"], event["event"], event["messageId"]
        state = customers.get(who) or {"ids": [], "clock": 0.0, "v": 0.0, "a": 0.0, "band": 0, "stage": 0, "n": {}, "views": [], "fired": {}}
        if message_id in state["ids"]:
            continue
        state["ids"] = [*state["ids"], message_id][-64:]
        at = datetime.fromisoformat(event["timestamp"]).timestamp()
        state["clock"] = now = max(state["clock"], at)
        state["n"][name] = state["n"].get(name, 0) + 1
        if name == "Product Viewed":
            state["views"] = [*state["views"], at][-64:]
        before, key = state["band"], who.encode()
        if name in POINTS:
            newest = max(state["a"], at)
            state["v"] = state["v"] * 2 ** ((state["a"] - newest) / HALF_LIFE) + POINTS[name] * 2 ** ((at - newest) / HALF_LIFE)
            state["a"] = newest
            score = state["v"] * 2 ** ((newest - now) / HALF_LIFE)
            band = 2 if score >= 60 or (before == 2 and score >= 45) else 1 if score >= 20 or (before >= 1 and score >= 12) else 0
            if band != before:
                state["band"] = band
                await scores.send(key=key, value={"customer": who, "message": message_id, "what": ("none", "warm", "hot")[band], "score": score})
        target = _stage(state)
        if target > state["stage"]:
            state["stage"] = target
            await transitions.send(key=key, value={"customer": who, "message": message_id, "what": STAGES[target]})
        for rule in _fires(state, name, event, before, now):
            state["fired"][rule] = now
            await actions.send(key=key, value={"customer": who, "message": message_id, "what": rule})
        customers[who] = state


def _stage(state) -> int:
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


def _fires(state, name, event, before, now):
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


if __name__ == "__main__":
    app.worker_init()
    faust.Worker(app, loglevel="error").execute_from_commandline()
