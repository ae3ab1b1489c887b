"""The job in Quix Streams as its guide shows it: a dataframe, a state on RocksDB with a changelog, dicts, JSON. `quix_tuned.py` does the same with bytes.

Environment: BROKER, RUN (prefix of topics and group), STATE, INPUT, GUARANTEE, SESSION_MS.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
from quixstreams import Application, State
from quixstreams.models import Topic

from benchmarks.job_dicts import new, step

RUN = os.environ["RUN"]
app = Application(
    broker_address=os.environ["BROKER"], consumer_group=RUN, auto_offset_reset="earliest", state_dir=os.environ["STATE"],
    commit_interval=1.0, processing_guarantee=os.environ.get("GUARANTEE", "at-least-once"), loglevel="WARNING",
    consumer_extra_config={"session.timeout.ms": int(os.environ.get("SESSION_MS", "30000"))},
    producer_extra_config={"linger.ms": 5},
)  # fmt: skip
source = app.topic(os.environ["INPUT"], key_deserializer="bytes", value_deserializer="bytes")
topics = {each: app.topic(f"{RUN}.{each}", key_serializer="bytes", value_serializer="json") for each in ("scores", "transitions", "actions")}
dead = app.topic(f"{RUN}.dlq", key_serializer="bytes", value_serializer="bytes")


def parse(value: bytes) -> dict[str, Any] | bytes:
    """The event; what is not JSON stays as it is."""
    try:
        return orjson.loads(value)
    except ValueError:
        return value


def advance(event: dict[str, Any], state: State) -> list[dict[str, Any]]:
    """What one event brings, each with its topic."""
    customer = state.get("customer") or new()
    made = step(customer, event)
    if made is None:
        return []
    state.set("customer", customer)
    return [{"kind": topic, **output} for topic, output in made]


def choose(output: dict[str, Any], key: bytes, timestamp: int, headers: Any) -> Topic:
    """Where an output goes."""
    return topics[output["kind"]]


def main() -> None:
    """Run until stopped."""
    events = app.dataframe(source).apply(parse)
    events.filter(lambda event: isinstance(event, bytes)).to_topic(dead)
    events.filter(lambda event: isinstance(event, dict)).apply(advance, stateful=True, expand=True).to_topic(choose)
    app.run()


if __name__ == "__main__":
    main()
