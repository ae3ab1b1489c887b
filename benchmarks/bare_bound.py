"""The bare bound: a consumer, a dict, a producer. No store, no changelog, nothing survives a crash: what no durable Python can pass.

Environment: BROKER, RUN (prefix of topics and group), INPUT.
"""

from __future__ import annotations

import os
import signal
import time

import msgspec
from confluent_kafka import Consumer, Producer

from benchmarks.job_structs import Customer, decode_event, encode_output, step

COMMIT_SECONDS = 1.0


def main() -> None:
    """Read, step, write, until told to stop."""
    run = os.environ["RUN"]
    consumer = Consumer({
        "bootstrap.servers": os.environ["BROKER"], "group.id": run, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "enable.auto.offset.store": False, "session.timeout.ms": int(os.environ.get("SESSION_MS", "30000")),
    })  # fmt: skip
    producer = Producer({"bootstrap.servers": os.environ["BROKER"], "partitioner": "murmur2", "linger.ms": 5, "queue.buffering.max.messages": 1_000_000})
    topics = {each: f"{run}.{each}" for each in ("scores", "transitions", "actions", "dlq")}
    consumer.subscribe([os.environ["INPUT"]])
    customers: dict[str, Customer] = {}
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    due = time.monotonic() + COMMIT_SECONDS
    dirty = False
    while not stopping:
        messages = consumer.consume(1000, 0.02)
        for message in messages:
            if message.error():
                raise SystemExit(str(message.error()))
            value = message.value()
            try:
                event = decode_event(value)
            except msgspec.DecodeError:
                producer.produce(topics["dlq"], value, message.key())
            else:
                state = customers.get(event.userId)
                if state is None:
                    state = customers[event.userId] = Customer()
                for topic, output in step(state, event) or ():
                    producer.produce(topics[topic], encode_output(output), message.key())
            consumer.store_offsets(message)
        dirty = dirty or bool(messages)
        producer.poll(0)
        if dirty and time.monotonic() >= due:
            producer.flush()
            consumer.commit(asynchronous=False)
            due, dirty = time.monotonic() + COMMIT_SECONDS, False
    producer.flush()
    consumer.close()


if __name__ == "__main__":
    main()
