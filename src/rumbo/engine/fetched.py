"""Fetched records, made lightly: one small struct a record where aiokafka makes a dataclass of eleven fields, which nobody reads.

Their batches' checksums are looked at with the processor's own instruction where it has one, in a tenth of the time. Which records
there are (aborted, control, compacted) stays aiokafka's answer. Importing it is what installs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from crc32c import crc32c

_HEAD: Final = 12
"""A batch begins with its first offset (8 bytes) and the length of what follows these two (4)."""
_MAGIC, _CHECKSUM, _COVERED = 16, 17, 21
"""Where its format's number stands, and in the second format its checksum, and what that covers, to its end."""
_SECOND: Final = 2
TheirRecords: Final = fetcher.PartitionRecords
"""aiokafka's own, which the worker is held to (`selfcheck`)."""
_KEEP_LOCK: Final = -1
"""A batch is looked at in some 50 microseconds: who lets the interpreter go for them may wait for milliseconds to have it again."""


class Fetched(msgspec.Struct, weakref=False, gc=False):
    """A record as Kafka has it: what `intake.RawRecord` asks for."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class CheckedRecords:
    """The batches of one partition in one fetch, as aiokafka's `MemoryRecords` hands them out, each looked at before."""

    def __init__(self, data: bytes) -> None:
        self._data, self._begin, self._batches = memoryview(data), 0, MemoryRecords(data)
        self.size_in_bytes, self.has_next = self._batches.size_in_bytes, self._batches.has_next
        self.place: Any = None
        """Where they are from."""

    def next_batch(self) -> Any:
        """The next one. Raises CorruptRecordException, with the place, where its checksum is wrong."""
        batch, begin = self._batches.next_batch(), self._begin
        self._begin = end = begin + _HEAD + int.from_bytes(self._data[begin + 8 : begin + _HEAD], "big")
        if not self._whole(begin, end) if self._data[begin + _MAGIC] == _SECOND else not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {self.place}")
        return batch

    def _whole(self, begin: int, end: int) -> bool:
        said = int.from_bytes(self._data[begin + _CHECKSUM : begin + _COVERED], "big")
        return bool(crc32c(self._data[begin + _COVERED : end], gil_release_mode=_KEEP_LOCK) == said)


class LightRecords(TheirRecords):  # type: ignore[misc,valid-type]  # aiokafka's are not typed
    """The records of one partition in one fetch."""

    def __init__(self, tp: Any, records: CheckedRecords, *rest: Any, **named: Any) -> None:
        super().__init__(tp, records, *rest, **named)
        records.place, self._check_crcs = tp, False

    def __iter__(self) -> Iterator[Fetched]:
        found: Iterator[Fetched] = self._records_iterator
        return found

    def _consumer_record(self, tp: Any, record: Any) -> Fetched:
        headers = record.headers
        return Fetched(
            tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, tuple(headers) if headers else ()
        )  # fmt: skip


fetcher.MemoryRecords, fetcher.PartitionRecords = CheckedRecords, LightRecords
