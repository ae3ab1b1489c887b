"""A re-keyed record reads as the raw one would have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rumbo.engine.place import place_of
from rumbo.engine.rekey import events_reader, original, with_origin
from rumbo.intake import Record, SourceFormat, reader

headers = st.lists(st.tuples(st.text(max_size=8).map("h-".__add__), st.binary(max_size=8)), max_size=3).map(tuple)
records = st.builds(
    Record, topic=st.sampled_from(["one", "two"]), partition=st.integers(0, 99), offset=st.integers(0, 2**62),
    timestamp=st.integers(-1, 2**41), key=st.none() | st.binary(max_size=8), value=st.binary(max_size=64), headers=headers,
)  # fmt: skip


def rekeyed(raw, key=b"customer"):
    """What stands in the events topic."""
    return Record("events", 3, 77, 5, key, raw.value, tuple(with_origin(raw)))


@given(records)
def test_nothing_of_the_raw_record_is_lost(raw):
    """Coordinates, time, key, headers and bytes: ids and times that intake derives from them stay the same."""
    assert original(rekeyed(raw)) == raw


@given(records)
def test_a_record_of_somebody_else_is_read_as_it_is(raw):
    """The events topic may be written by others too."""
    assert original(raw) is raw


def test_each_raw_topic_is_read_by_its_own_format():
    """Two raw topics of different shapes meet in one events topic."""
    read = events_reader({
        "one": reader(SourceFormat(format="segment")),
        "two": reader(SourceFormat(format="segment", max_bytes=10)),
    })  # fmt: skip
    value = b'{"type":"track","event":"Viewed","userId":"u","messageId":"m","timestamp":"2026-01-01T00:00:00Z"}'
    found = read(rekeyed(Record("one", 1, 2, 3, None, value)))
    assert (found.customer, found.topic, found.partition, found.offset) == ("u", "one", 1, 2)
    assert read(rekeyed(Record("two", 1, 2, 3, None, value))).reason == "too_large"


@given(st.binary(max_size=40), st.integers(1, 100))
def test_partitions_are_chosen_as_the_java_client_does(key, partitions):
    """An implementation of its own says the same."""
    from benchmarks.generate import murmur2

    assert place_of(key, partitions) == murmur2(key) % partitions
