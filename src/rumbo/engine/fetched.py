"""Fetched records, made lightly: one small struct a record where aiokafka makes a dataclass of eleven fields, which nobody reads.

Which records there are (aborted, control, compacted) stays aiokafka's answer. Importing it is what installs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiokafka.consumer import fetcher


class Fetched(msgspec.Struct, weakref=False, gc=False):
    """A record as Kafka has it: what `intake.RawRecord` asks for."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class LightRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka's are not typed
    """The records of one partition in one fetch."""

    def __iter__(self) -> Iterator[Fetched]:
        found: Iterator[Fetched] = self._records_iterator
        return found

    def _consumer_record(self, tp: Any, record: Any) -> Fetched:
        headers = record.headers
        return Fetched(
            tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, tuple(headers) if headers else ()
        )  # fmt: skip


fetcher.PartitionRecords = LightRecords
