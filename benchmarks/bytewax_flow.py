"""The job in Bytewax: its Kafka source and sink, one keyed stateful step, snapshots of what changed to SQLite each second.

Run as `python -m benchmarks.bytewax_flow`. Environment: BROKER, RUN (prefix of topics), STATE, INPUT. The state lives in memory and is
encoded only when a snapshot asks for it (`StatefulBatchLogic`): the plain `stateful_flat_map` copies it deeply each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.job_structs import Customer, Event, decode_customer, decode_event, encode_customer, encode_output, step

RUN, BROKER = os.environ["RUN"], os.environ["BROKER"]
TOPICS = {each: f"{RUN}.{each}" for each in ("scores", "transitions", "actions", "dlq")}


class Advance(StatefulBatchLogic[Event, KafkaSinkMessage, bytes]):
    """One customer."""

    def __init__(self, kept: bytes | None) -> None:
        self.customer = Customer() if kept is None else decode_customer(kept)

    def on_batch(self, values: list[Event]) -> tuple[Iterable[KafkaSinkMessage], bool]:
        """What the customer's events bring; the state stays."""
        made = []
        for event in values:
            for topic, output in step(self.customer, event) or ():
                made.append(KafkaSinkMessage(event.userId.encode(), encode_output(output), TOPICS[topic]))
        return made, StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """What is kept."""
        return encode_customer(self.customer)


def parse(message: KafkaSourceMessage) -> tuple[str, Event] | KafkaSinkMessage:
    """The event by its customer; what is not JSON as the dead letter that it becomes."""
    try:
        event = decode_event(message.value)
    except msgspec.DecodeError:
        return KafkaSinkMessage(message.key, message.value, TOPICS["dlq"])
    return event.userId, event


flow = Dataflow("shop")
records = op.input("records", flow, KafkaSource([BROKER], [os.environ["INPUT"]], batch_size=1000))
parsed = op.branch("readable", op.map("parse", records, parse), lambda each: isinstance(each, tuple))
decided = op.key_rm("decided", op.stateful_batch("advance", parsed.trues, Advance))
op.output("write", op.merge("outputs", decided, parsed.falses), KafkaSink([BROKER], None, add_config={"partitioner": "murmur2"}))


def main() -> None:
    """Run until stopped."""
    folder = Path(os.environ["STATE"])
    if not folder.exists():
        folder.mkdir(parents=True)
        init_db_dir(folder, 1)
    cli_main(flow, epoch_interval=timedelta(seconds=1), recovery_config=RecoveryConfig(folder, timedelta(0)))


if __name__ == "__main__":
    main()
