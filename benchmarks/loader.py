"""The open-loop loader: sends the job's input at a fixed rate, whatever the engine does. Runs as a process of its own on core 0.

    python -m benchmarks.loader BOOT TOPIC EVENTS RATE        says `ready`, waits for a line with the instant to begin at, says `sent`

Record n is due at begin + n / rate; what is late counts against the engine's latency as well, as a customer would count it. So does what
the producer waits for company by its own default (5 ms, librdkafka's and since Kafka 4.0 the Java client's): a request for each record would
keep the broker's one core busy.
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import Producer

from benchmarks.generate import generate


def main() -> None:
    """Make everything first: making is slower than sending."""
    boot, topic, events, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    records = list(generate(events))
    producer = Producer({"bootstrap.servers": boot, "queue.buffering.max.messages": 1_000_000, "acks": "all"})
    print("ready", flush=True)
    begin, sent = float(sys.stdin.readline()), 0
    time.sleep(max(begin - time.time(), 0))
    while sent < events:
        due = min(int((time.time() - begin) * rate) + 1, events)
        for each in records[sent:due]:
            producer.produce(topic, each.value, each.key, partition=each.partition)
        sent = max(sent, due)
        producer.poll(0)
        time.sleep(max(begin + sent / rate - time.time(), 0.001))
    producer.flush()
    print("sent", flush=True)


if __name__ == "__main__":
    main()
