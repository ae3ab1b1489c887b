"""A batch whose checksum is wrong stops the worker with its place; what stood before it is not lost with it."""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext
from itertools import accumulate, starmap
from types import SimpleNamespace

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from rumbo.engine.damage import DamagedError, damaged
from rumbo.engine.feed import Place
from rumbo.engine.transport import BatchThread

PLACE = TopicPartition("shop", 3)
WHERE = "topic shop, partition 3, offset 12: the batch of records is damaged"


def batch(first, count, *, whole=True):
    """Bytes of a batch as a broker stores it, or with one of them changed."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=10_000
    )  # fmt: skip
    for number in range(count):
        builder.append(number, timestamp=1, key=b"k", value=b"v", headers=[])
    data = bytearray(builder.build())
    data[:8] = first.to_bytes(8, "big")
    if not whole:
        data[-2] ^= 0xFF
    return bytes(data)


def light(value):
    """The records in these bytes, as the worker reads them."""
    return fetcher.PartitionRecords(PLACE, fetcher.MemoryRecords(value), [], 10, None, None, True, READ_COMMITTED)


def fetched():
    """Offsets 10 and 11 whole, and what follows damaged, as aiokafka holds it; and the state of the partition."""
    state = SimpleNamespace(position=10, paused=False, has_valid_position=True, lso=15)
    state.consumed_to = lambda at: setattr(state, "position", at)
    assignment = SimpleNamespace(active=True, state_value=lambda _: state, tps={PLACE})
    held = light(batch(10, 2) + batch(12, 3, whole=False))
    return FetchResult(PLACE, assignment=assignment, partition_records=held, backoff=0), state, assignment


def test_the_place_is_told_with_its_cure():
    """Topic, partition and the offset of the batch itself, from what aiokafka holds."""
    result, state, _ = fetched()
    with pytest.raises(CorruptRecordException) as raised:
        result.getall(100)
    said = str(damaged(raised.value, SimpleNamespace(_records={PLACE: result})))
    assert said.startswith(WHERE)
    assert "let another replica lead the partition" in said
    assert state.position == 10, "what stood before it is read again"


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_a_changed_byte_that_the_checksum_covers_is_found_and_nothing_else_is(counts, data):
    """Whatever byte it is, in whichever batch; whole batches before it are read, and all of them where none is changed."""
    firsts = list(accumulate(counts, initial=10))
    whole = b"".join(starmap(batch, zip(firsts, counts, strict=False)))
    offsets = [each.offset for each in light(whole)]
    assert offsets == list(range(10, firsts[-1]))
    hurt = data.draw(st.integers(0, len(counts) - 1))
    lengths = [len(batch(first, count)) for first, count in zip(firsts, counts, strict=False)]
    begin = sum(lengths[:hurt])
    place = begin + data.draw(st.integers(17, lengths[hurt] - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    taken = iter(light(bytes(changed)))
    assert [next(taken).offset for _ in range(firsts[hurt] - 10)] == list(range(10, firsts[hurt]))
    with pytest.raises(CorruptRecordException, match=re.escape(str(PLACE))):
        next(taken)


def test_an_error_of_a_partition_that_is_no_longer_held_is_told_as_it_came():
    """In the library's words, with the same cure."""
    error = CorruptRecordException("Invalid CRC - somewhere")
    assert "Invalid CRC - somewhere: the batch" in str(damaged(error, SimpleNamespace(_records={})))


def test_the_fetching_thread_stops_at_it():
    """It hands nothing on, neither what is damaged nor what stood before it."""
    result, _, assignment = fetched()

    async def records(_, **__):
        return {PLACE: result.getall(100)}

    thread = object.__new__(BatchThread)
    consumer = SimpleNamespace(
        _closed=False,
        _subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)),
        _fetcher=SimpleNamespace(
            fetched_records=records, _records={PLACE: result}, _subscriptions=SimpleNamespace(fetch_context=nullcontext)
        ),
    )
    thread.__dict__.update(consumer=SimpleNamespace(flow_active=True), _ensure_consumer=lambda: consumer)
    with pytest.raises(DamagedError, match=WHERE):
        asyncio.run(thread._take([Place(*PLACE)], 100, 0))
