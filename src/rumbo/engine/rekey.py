"""Where the raw key is not the customer: records go on to the events topic, partitioned by customer, by the same batch protocol.

The value goes on as it came, with its raw coordinates in headers, so that whatever is decided from it (ids, times, `because`)
is what it would have been on the raw topic. Rejects stop here, in the raw topic's dead letters. Nothing is decided.
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rumbo.core.interaction import Interaction
from rumbo.engine.partition import READ_AT_ONCE, Groups, PartitionWorker
from rumbo.engine.place import place_of
from rumbo.intake import RawRecord, Reader, Record, Reject

TOPIC: Final = "rumbo.topic"
PARTITION: Final = "rumbo.partition"
OFFSET: Final = "rumbo.offset"
TIME: Final = "rumbo.time"
KEY: Final = "rumbo.key"
_OURS: Final = frozenset({TOPIC, PARTITION, OFFSET, TIME, KEY})


class RekeyWorker(PartitionWorker):
    """One partition of the raw topics. Its store holds nothing but the position; it has no clock to keep and no timers."""

    async def _step(self, topic: str, records: Sequence[Any], groups: Groups) -> None:
        """Read each record only to know whose it is."""
        read, events, spread = self.stage.readers[topic], self.stage.topology.outputs.events, self.stage.spread
        passed = 0
        for number, each in enumerate(records):
            if not number % READ_AT_ONCE:
                await sleep(0)
            found = read(each)
            if type(found) is Interaction:
                passed += 1
                key = found.customer.encode()
                place = events, place_of(key, spread)
                groups.setdefault(place, []).append((key, each.value, with_origin(each)))
                self._recent.append(False)
            elif type(found) is Reject:
                self._reject(each, found, groups)
                self._recent.append(True)
        self.stage.metrics.rekeyed(topic, len(records), passed)

    def has_to_look(self) -> bool:
        """Never: nothing here is due at an instant."""
        return False


def with_origin(record: RawRecord) -> list[tuple[str, bytes]]:
    """The record's headers, and where it stood."""
    headers = [(name, value) for name, value in record.headers or () if value is not None and name not in _OURS]
    headers += [
        (TOPIC, record.topic.encode()),
        (PARTITION, str(record.partition).encode()),
        (OFFSET, str(record.offset).encode()),
        (TIME, str(record.timestamp).encode()),
    ]
    return headers if record.key is None else [*headers, (KEY, record.key)]


def original(record: RawRecord) -> RawRecord:
    """The raw record that a re-keyed one was; a record of somebody else's, without coordinates, as it is."""
    said: dict[str, bytes] = {
        name: value for name, value in record.headers or () if name in _OURS and value is not None
    }
    try:
        return Record(
            topic=said[TOPIC].decode(),
            partition=int(said[PARTITION]),
            offset=int(said[OFFSET]),
            timestamp=int(said[TIME]),
            key=said.get(KEY),
            value=record.value,
            headers=tuple((name, value) for name, value in record.headers or () if name not in _OURS),
        )
    except (KeyError, ValueError):
        return record


def events_reader(readers: Mapping[str, Reader]) -> Reader:
    """Reads the events topic: each record as the reader of its raw topic would have. Of an unknown topic: as the first one's."""
    first = next(iter(readers.values()))

    def read(record: RawRecord, *, known_plain: bool = False) -> Any:
        raw = original(record)
        return readers.get(raw.topic, first)(raw, known_plain=known_plain)

    return read
