"""Where a key belongs is what Kafka's clients say."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given
from hypothesis import strategies as st

from rumbo.engine.place import murmur2, place_of


@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_key_belongs_where_the_java_client_puts_it(key, partitions):
    assert murmur2(key) == theirs(key) & 0xFFFFFFFF
    assert place_of(key, partitions) == (theirs(key) & 0x7FFFFFFF) % partitions
