"""The job's input: Segment track calls of 600 to 750 bytes, the same for the same seed, in the order of production.

    python -m benchmarks.generate --events 400000 > input.jsonl        one Kafka record a line, for `rumbo simulate`

Event time spans 6 hours from 2026-01-01, in order per customer except 1 % that are up to 10 minutes late; 1 % repeat an
earlier messageId of the same customer; 0.1 % are truncated JSON. One customer per five events unless said otherwise.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import BinaryIO, NamedTuple

PARTITIONS = 4
START_MS = 1_767_225_600_000
SPAN_MS = 6 * 3600 * 1000
NAMES = {
    "Page Viewed": 34, "Product Viewed": 22, "Feature Used": 12, "Search Performed": 9, "Email Opened": 6,
    "Email Link Clicked": 5, "Product Added": 4, "Checkout Started": 2, "Video Watched": 2, "Order Completed": 1.5,
    "Signed Up": 1.5, "Demo Requested": 0.5, "Referral Sent": 0.5,
}
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"


class Produced(NamedTuple):
    """One record: its partition, key, value, and the event time that it was made with (milliseconds)."""

    partition: int
    key: bytes
    value: bytes
    time_ms: int


def murmur2(data: bytes) -> int:
    """The hash of the Java client's default partitioner (Austin Appleby's MurmurHash2, as Kafka seeds and masks it)."""
    length = len(data)
    h = (0x9747B28C ^ length) & 0xFFFFFFFF
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * 0x5BD1E995 & 0xFFFFFFFF
        k = (k ^ k >> 24) * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 & 0xFFFFFFFF) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return (h ^ h >> 15) & 0x7FFFFFFF


def generate(events: int, *, customers: int | None = None, skewed: bool = False, seed: int = 1) -> Iterator[Produced]:
    """The records of the job, in the order of production."""
    chance = random.Random(seed)
    count = customers or max(events // 5, 1)
    names, weights = list(NAMES), list(accumulate(NAMES.values()))
    zipf = list(accumulate(1 / (rank + 10) for rank in range(count))) if skewed else None
    keys = [f"c{number:07d}".encode() for number in range(count)]
    partition = [murmur2(key) % PARTITIONS for key in keys]
    earlier: dict[int, bytes] = {}
    last: dict[int, int] = {}
    for number in range(events):
        who = bisect(zipf, chance.random() * zipf[-1]) if zipf else chance.randrange(count)
        who = min(who, count - 1)
        now = START_MS + number * SPAN_MS // events
        roll = chance.random()
        if roll < 0.01 and who in earlier:
            yield Produced(partition[who], keys[who], earlier[who], now)
            continue
        late = 0.01 <= roll < 0.02
        at = max(now - chance.randrange(600_000), START_MS) if late else max(now, last.get(who, 0))
        last[who] = max(at, last.get(who, 0))
        value = _event(chance, names[bisect(weights, chance.random() * weights[-1])], number, keys[who].decode(), at)
        if 0.02 <= roll < 0.021:
            value = value[: chance.randrange(50, 400)]
        else:
            earlier[who] = value
        yield Produced(partition[who], keys[who], value, now)


def _event(chance: random.Random, name: str, number: int, customer: str, at_ms: int) -> bytes:
    stamp = _iso(at_ms)
    page = f"/products/{chance.randrange(1000)}"
    event = {
        "type": "track", "event": name, "messageId": f"m-{number:010d}", "userId": customer, "anonymousId": f"a-{customer}",
        "timestamp": stamp, "sentAt": stamp, "channel": "web",
        "context": {
            "page": {"path": page, "url": f"https://shop.example.com{page}", "title": "A product of the shop", "referrer": "https://www.example.org/search"},
            "library": {"name": "analytics.js", "version": "2.11.1"},
            "campaign": {"name": chance.choice("ABC"), "source": "newsletter", "medium": "email"},
            "userAgent": AGENT, "locale": "en-GB", "ip": "203.0.113.7",
        },
        "properties": {
            "sku": f"sku-{chance.randrange(5000)}", "value": chance.randrange(1, 200), "total": chance.randrange(5, 700),
            "results": chance.choice((0, 3, 12, 40)), "currency": "EUR", "position": chance.randrange(40),
        },
    }
    return json.dumps(event, separators=(",", ":")).encode()


def _iso(ms: int) -> str:
    seconds, rest = divmod(ms - START_MS, 1000)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    return f"2026-01-01T{hours:02d}:{minutes:02d}:{seconds:02d}.{rest:03d}Z"


def as_line(record: Produced, offset: int, topic: str = "benchmark-input") -> bytes:
    """The record as a line that `rumbo simulate` reads."""
    return json.dumps({
        "topic": topic, "partition": record.partition, "offset": offset, "key": base64.b64encode(record.key).decode(),
        "headers": None, "timestamp_ms": record.time_ms, "value": base64.b64encode(record.value).decode(),
    }).encode()


def line_writer(file: BinaryIO) -> Callable[[Produced], None]:
    """Writes records as lines, each with its partition's next offset."""
    offsets = [0] * PARTITIONS

    def write(record: Produced) -> None:
        file.write(as_line(record, offsets[record.partition]) + b"\n")
        offsets[record.partition] += 1

    return write


def main() -> None:
    """Write the input as lines."""
    parser = argparse.ArgumentParser(description="The benchmark job's input, one Kafka record a line.")
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--customers", type=int)
    parser.add_argument("--skewed", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write = line_writer(sys.stdout.buffer)
    for record in generate(options.events, customers=options.customers, skewed=options.skewed, seed=options.seed):
        write(record)


if __name__ == "__main__":
    main()
