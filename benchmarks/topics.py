"""Topics for the benchmark: made, loaded, read, measured. It uses none of Rumbo's code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.generate import PARTITIONS, Produced, generate
from benchmarks.process import wait_for
from benchmarks.reference import Output, Reference


class Input(NamedTuple):
    """A loaded topic and what must come of it."""

    topic: str
    events: int
    customers: int
    reference: Reference
    curve: list[int]
    """Outputs and dead letters that are due after each hundredth of the input."""


QUIET = 0


class Kafka:
    """One broker, asked and told."""

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self.admin = AdminClient({"bootstrap.servers": boot, "log_level": QUIET})
        self._asker = self._connect()
        self._groups: dict[str, Consumer] = {}

    def _connect(self, group: str = "asker") -> Consumer:
        return Consumer({"bootstrap.servers": self.boot, "group.id": group, "log_level": QUIET})

    def create(self, names: Iterable[str]) -> None:
        """Topics with four partitions."""
        names = list(names)
        for made in self.admin.create_topics([NewTopic(each, PARTITIONS, 1) for each in names]).values():
            made.result(30)
        wait_for(lambda: self._serve(names), 30, f"a leader of {', '.join(names)}")

    def _serve(self, names: list[str]) -> bool:
        self._asker.close()  # one that has asked too early keeps the answer for long
        self._asker = self._connect()
        try:
            return self.ends(names) >= 0
        except KafkaException:  # no leader yet, or not one that knows it
            return False

    def delete(self, prefix: str) -> None:
        """Every topic of a run that is over."""
        names = [each for each in self.admin.list_topics(timeout=30).topics if prefix in each]
        for gone in self.admin.delete_topics(names).values() if names else ():
            gone.result(30)

    def names(self) -> list[str]:
        """Every topic that there is."""
        return list(self.admin.list_topics(timeout=30).topics)

    def load(self, topic: str, events: int, *, customers: int | None = None, skewed: bool = False) -> Input:
        """Make a topic, fill it with the job's input, and work out what must come of it."""
        self.create([topic])
        producer = Producer({"bootstrap.servers": self.boot, "linger.ms": 50, "log_level": QUIET, "queue.buffering.max.messages": 1_000_000})

        def send(each: Produced) -> None:
            while True:
                try:
                    producer.produce(topic, each.value, each.key, partition=each.partition)
                    return
                except BufferError:
                    producer.poll(0.1)

        made = expected(topic, events, customers, skewed, send)
        producer.flush()
        return made

    def expect(self, topic: str, events: int) -> Input:
        """What must come of an input that somebody else sends."""
        return expected(topic, events, None, False, lambda each: None)

    def send(self, topic: str, records: Iterable[tuple[int, str, bytes]]) -> None:
        """A few records: (partition, key, value)."""
        producer = Producer({"bootstrap.servers": self.boot, "log_level": QUIET})
        for partition, key, value in records:
            producer.produce(topic, value, key, partition=partition)
        producer.flush()

    def tails(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Where the topics end now."""
        places = [(topic, number) for topic in topics for number in range(PARTITIONS)]
        return [TopicPartition(*each, self._asker.get_watermark_offsets(TopicPartition(*each), timeout=30)[1]) for each in places]

    def watch(self, tails: list[TopicPartition]) -> Iterator[tuple[str, bytes | None]]:
        """What is committed from there on, for ever; a None each time that nothing is."""
        consumer = Consumer({
            "bootstrap.servers": self.boot, "group.id": "watcher", "enable.auto.commit": False, "isolation.level": "read_committed", "log_level": QUIET,
        })  # fmt: skip
        consumer.assign(tails)
        try:
            while True:
                messages = consumer.consume(10_000, 0.01)
                for message in messages:
                    if message.error() is None:
                        yield message.topic(), message.value()
                if not messages:
                    yield "", None
        finally:
            consumer.close()

    def ends(self, topics: Iterable[str]) -> int:
        """The sum of the end offsets, what is not committed included."""
        places = (TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS))
        return sum(self._asker.get_watermark_offsets(each, timeout=30)[1] for each in places)

    def committed(self, group: str, topic: str) -> int:
        """How many records of a topic a group has told that it has consumed."""
        asker = self._groups.get(group)
        if asker is None:
            asker = self._groups[group] = self._connect(group)
        told = asker.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], timeout=30)
        return sum(max(each.offset, 0) for each in told)

    def forget(self, group: str) -> None:
        """Close what asked for a group."""
        asker = self._groups.pop(group, None)
        if asker is not None:
            asker.close()

    def read(self, topics: Iterable[str]) -> Iterator[Message]:
        """Everything that is committed in the topics."""
        consumer = Consumer({
            "bootstrap.servers": self.boot, "group.id": "reader", "enable.auto.commit": False, "isolation.level": "read_committed",
            "auto.offset.reset": "earliest", "enable.partition.eof": True, "log_level": QUIET,
        })  # fmt: skip
        places = [TopicPartition(topic, number, 0) for topic in topics for number in range(PARTITIONS)]
        consumer.assign(places)
        ended = 0
        while ended < len(places):
            for message in consumer.consume(10_000, 0.2):
                if message.error() is None:
                    yield message
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended += 1
                else:
                    raise RuntimeError(str(message.error()))
        consumer.close()


KINDS = {"scores": "score", "transitions": "stage", "actions": "action"}


def expected(topic: str, events: int, customers: int | None, skewed: bool, each_to: Callable[[Produced], None]) -> Input:
    """Hand each record of the job's input on, in the order of production; what must come of them all."""
    reference, curve = Reference(), []
    for number, each in enumerate(generate(events, customers=customers, skewed=skewed)):
        if number * 100 % events < 100:
            curve.append(len(reference.outputs) + reference.dead)
        each_to(each)
        reference.feed(each.value)
    curve.append(len(reference.outputs) + reference.dead)
    who = len(reference.customers)
    reference.customers.clear()
    return Input(topic, events, who, reference, curve)
