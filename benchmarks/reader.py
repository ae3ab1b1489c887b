"""The open-loop reader: notes when each output is there for a `read_committed` reader. Runs as a process of its own on core 0.

    python -m benchmarks.reader BOOT FILE TOPIC…       says `ready`; until SIGTERM, then writes (instant, topic, value) as a pickle
"""

from __future__ import annotations

import pickle
import signal
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from benchmarks.generate import PARTITIONS


def main() -> None:
    """Read as they come; understanding them waits until the end."""
    boot, file, topics = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    consumer = Consumer({
        "bootstrap.servers": boot, "group.id": "latency", "enable.auto.commit": False, "isolation.level": "read_committed",
        "fetch.wait.max.ms": 500, "fetch.min.bytes": 1,
    })  # fmt: skip
    consumer.assign([TopicPartition(topic, number, 0) for topic in topics for number in range(PARTITIONS)])
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    found: list[tuple[float, str, bytes]] = []
    print("ready", flush=True)
    while not stopping:
        messages = consumer.consume(1000, 0.005)
        now = time.time()
        found += [(now, each.topic(), each.value()) for each in messages if each.error() is None]
    file.write_bytes(pickle.dumps(found))
    consumer.close()


if __name__ == "__main__":
    main()
