"""Where a key belongs is what Kafka's clients say; what was committed last is found without the store."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given
from hypothesis import strategies as st

from rumbo.engine.place import murmur2, place_of
from rumbo.engine.touched import Recent

NAMES = st.text("abc", min_size=1, max_size=2)


@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_key_belongs_where_the_java_client_puts_it(key, partitions):
    assert murmur2(key) == theirs(key) & 0xFFFFFFFF
    assert place_of(key, partitions) == (theirs(key) & 0x7FFFFFFF) % partitions


@given(
    st.lists(st.dictionaries(NAMES, st.binary(min_size=1, max_size=8), min_size=1, max_size=3)), st.integers(0, 5_000)
)
def test_what_is_found_is_what_was_committed_last(commits, allowed):
    """Whatever is forgotten, nothing old comes back."""
    recent, last = Recent(), {}
    for values in commits:
        recent.keep(dict(values), allowed)
        last |= values
        assert all(recent.find(name) in {None, value} for name, value in last.items())
        if allowed == 0:
            assert all(recent.find(name) == value for name, value in values.items())


def test_no_more_is_kept_than_is_allowed():
    """Some 230 bytes each: of a hundred thousand, at most what a megabyte holds."""
    recent = Recent()
    for number in range(100_000):
        recent.keep({f"c{number}": bytes(30)}, 1_000_000)
    assert sum(recent.find(f"c{number}") is not None for number in range(100_000)) < 5_000
    assert recent.find("c99999") == bytes(30)
