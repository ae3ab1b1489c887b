"""The job in plain Faust, as its guide shows it: an agent, a table on RocksDB, `send`. At least once, with Faust's holes.

Environment: BROKER, RUN (prefix of topics and app), STATE, INPUT.
"""

from __future__ import annotations

import json
import os

import faust

from benchmarks.job_dicts import new, step

RUN = os.environ["RUN"]
app = faust.App(
    RUN, broker=f"kafka://{os.environ['BROKER']}", store="rocksdb://", datadir=os.environ["STATE"], topic_partitions=4,
    topic_replication_factor=1, topic_allow_declare=True, web_enabled=False, consumer_auto_offset_reset="earliest",
    topic_disable_leader=True, broker_commit_interval=1.0,
)  # fmt: skip
source = app.topic(os.environ["INPUT"], key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")
topics = {each: app.topic(f"{RUN}.{each}", value_serializer="json", key_type=bytes) for each in ("scores", "transitions", "actions")}
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
        who = event["userId"]
        state = customers.get(who) or new()
        made = step(state, event)
        if made is None:
            continue
        for topic, output in made:
            await topics[topic].send(key=message.key, value=output)
        customers[who] = state


if __name__ == "__main__":
    app.worker_init()
    faust.Worker(app, loglevel="error").execute_from_commandline()
