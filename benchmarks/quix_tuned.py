"""The job in Quix Streams, tuned as far as its API goes: typed structs for events, state as bytes (`get_bytes`, `set_bytes`), no JSON of its own.
 Environment: BROKER, RUN (prefix of topics and group), STATE, INPUT, GUARANTEE, SESSION_MS.
"""

from __future__ import annotations

import os

import msgspec
from quixstreams import Application, State
from quixstreams.models import SerializationContext, Serializer

from benchmarks.job_structs import Customer, decode_customer, decode_event, encode_customer, encode_output, step

RUN = os.environ["RUN"]
app = Application(
    broker_address=os.environ["BROKER"], consumer_group=RUN, auto_offset_reset="earliest", state_dir=os.environ["STATE"],
    commit_interval=1.0, processing_guarantee=os.environ.get("GUARANTEE", "at-least-once"), loglevel="WARNING",
    consumer_extra_config={"session.timeout.ms": int(os.environ.get("SESSION_MS", "30000"))},
    producer_extra_config={"linger.ms": 5},
)  # fmt: skip


class Second(Serializer):
    """What is produced is (topic, value); the value is bytes already."""

    def __call__(self, value: tuple[str, bytes], ctx: SerializationContext) -> bytes:
        return value[1]


source = app.topic(os.environ["INPUT"], key_deserializer="bytes", value_deserializer="bytes")
topics = {each: app.topic(f"{RUN}.{each}", key_serializer="bytes", value_serializer=Second()) for each in ("scores", "transitions", "actions", "dlq")}


def advance(value: bytes, state: State) -> list[tuple[str, bytes]]:
    """What one record brings: (topic, value)."""
    try:
        event = decode_event(value)
    except msgspec.DecodeError:
        return [("dlq", value)]
    kept = state.get_bytes("c")
    customer = decode_customer(kept) if kept is not None else Customer()
    made = step(customer, event)
    if made is None:
        return []
    state.set_bytes("c", encode_customer(customer))
    return [(topic, encode_output(output)) for topic, output in made]


def main() -> None:
    """Run until stopped."""
    app.dataframe(source).apply(advance, stateful=True, expand=True).to_topic(lambda made, *_: topics[made[0]])
    app.run()


if __name__ == "__main__":
    main()
