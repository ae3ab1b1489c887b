"""Which batch a partition gets next."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.engine.feed import AT_ONCE, ENOUGH, LEAST, MOST, REST, WORTH, Feed, Gathering, Place
from rumbo.engine.partition import Batch, GapError


def batch(topic, begin, end, *, done=True, at=0):
    """Records of one topic; every offset is one record."""
    return Batch(topic, begin, end, [SimpleNamespace(offset=number) for number in range(begin, end)], done, at)


def feed(*topics, control=None, gathering=AT_ONCE):
    """A feed of one partition, 0."""
    made = Feed(topics, control, gathering)
    made.begin([0])
    return made


def test_a_partition_has_one_batch_under_way():
    """The next is handed on when the last one is done: batches follow the backlog, and nothing overtakes."""
    one = feed("a")
    one.offer(0, batch("a", 0, 5))
    assert [each.begin for _, each in one.ready()] == [0]
    one.offer(0, batch("a", 5, 9))
    assert one.ready() == []
    one.done(0)
    assert [each.begin for _, each in one.ready()] == [5]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_what_is_fetched_meanwhile_joins_into_one_batch_without_a_gap(sizes):
    """However it was cut when it was fetched."""
    one, at = feed("a"), 0
    for size in sizes:
        one.offer(0, batch("a", at, at + size))
        at += size
    [(_, whole)] = one.ready()
    assert (whole.begin, whole.end, len(whole.records)) == (0, at, at)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), min_size=1, max_size=15))
def test_what_is_fetched_again_is_in_the_batch_once_and_what_is_missing_is_seen(fetches):
    """Fetches from any offset: all records from the first to the last, each once, or a gap that is told."""
    one, end, begin = feed("a"), fetches[0][0], fetches[0][0]
    for at, size in fetches:
        if at > end:
            with pytest.raises(GapError, match=f"begins at {at}, the one before ended at {end}"):
                one.offer(0, batch("a", at, at + size))
            break
        one.offer(0, batch("a", at, at + size))
        end = max(end, at + size)
    [(_, whole)] = one.ready()
    assert (whole.begin, whole.end) == (begin, end)
    assert [each.offset for each in whole.records] == list(range(begin, end))


def test_the_older_head_goes_first_and_a_source_that_lags_unseen_is_waited_for():
    """Of two sources; the other's head may be older still."""
    both = feed("a", "b")
    both.offer(0, batch("a", 0, 2, done=False, at=10))
    assert both.ready() == []
    both.offer(0, batch("b", 0, 2, done=False, at=5))
    assert [each.topic for _, each in both.ready()] == ["b"]


def test_a_control_record_waits_until_its_sources_are_read_past_their_ends():
    """The ends that stood when it had come, asked of the broker: what was known before may be old."""
    one = feed("a", control="c")
    one.offer(0, batch("a", 0, 0))
    one.offer(0, batch("c", 0, 1))
    assert one.ready() == []
    assert one.asking == {0}
    one.answered(0, {Place("a", 0): 7})
    assert one.ready() == []
    one.offer(0, batch("a", 0, 7))
    assert [each.topic for _, each in one.ready()] == ["a"]
    one.done(0)
    assert [each.topic for _, each in one.ready()] == ["c"]


TEN = Gathering(few=10, delay=1.0)


def handed_on(one, now):
    """The partitions that have a batch now."""
    return [number for number, _ in one.ready(now)]


def test_only_thin_traffic_that_lags_nowhere_is_gathered():
    """A backlog is worked off at once."""
    for offered, gathered in (
        (batch("a", 0, 9), True),
        (batch("a", 0, 10), False),
        (batch("a", 0, 9, done=False), False),
    ):
        one = feed("a", gathering=TEN)
        one.offer(0, offered)
        assert handed_on(one, 100.0) == ([] if gathered else [0])
        assert (one.pause(100.0) is not None) == gathered


def test_what_is_gathered_is_handed_on_when_it_is_due_or_not_thin_any_more():
    """Its moment begins when it is first looked at, whatever comes meanwhile."""
    one = feed("a", gathering=TEN)
    one.offer(0, batch("a", 0, 1))
    assert handed_on(one, 100.0) == []
    assert one.pause(100.0) == pytest.approx(LEAST)
    one.offer(0, batch("a", 1, 5))
    assert handed_on(one, 100.1) == []
    assert one.pause(100.1) == pytest.approx(LEAST - 0.1)
    assert handed_on(one, 100.0 + LEAST) == [0]
    assert one.pause(101.0) is None
    one.done(0)
    one.offer(0, batch("a", 5, 6))
    assert handed_on(one, 102.0) == []
    one.offer(0, batch("a", 6, 15))
    assert handed_on(one, 102.0) == [0]


def test_the_less_waits_the_shorter_it_is_gathered():
    """A moment brings little where little comes; so many records and more are worth all of it."""
    for count, share in ((1, LEAST), (WORTH // 2, 0.5), (WORTH, 1.0), (5 * WORTH, 1.0)):
        one = feed("a", gathering=Gathering(few=1000, delay=1.0))
        one.offer(0, batch("a", 0, count))
        assert handed_on(one, 100.0) == []
        assert one.pause(100.0) == pytest.approx(share)


@given(st.floats(0, 100), st.integers(1, 9), st.floats(0, 50))
def test_a_partition_rests_while_traffic_is_thin_for_twice_as_long_as_its_transactions_take(took, count, idle):
    """No longer than ten delays; what came later than that is gathered as ever. A slow broker gets less to do, not more."""
    one = feed("a", gathering=TEN)
    one.work(0)
    one.done(0, 100.0, took)
    one.offer(0, batch("a", 0, count))
    seen = 100.0 + idle
    assert handed_on(one, seen) == []
    rested, gathered = 100.0 + min(REST * took, MOST), seen + max(count / WORTH, LEAST)
    assert one.pause(seen) == pytest.approx(max(rested, gathered) - seen)


def test_who_has_enough_for_a_transaction_by_now_rests_no_longer():
    """What was gathered in the meantime counts."""
    one = feed("a", gathering=Gathering(few=1000, delay=1.0))
    one.done(0, 100.0, 4.0)
    one.offer(0, batch("a", 0, WORTH))
    assert handed_on(one, 102.0) == []
    assert one.pause(102.0) == pytest.approx(100.0 + REST * 4.0 - 102.0)
    one.offer(0, batch("a", WORTH, ENOUGH))
    assert handed_on(one, 102.5) == []
    assert one.pause(102.5) == pytest.approx(0.5)
    assert handed_on(one, 103.0) == [0]


def test_one_slow_transaction_is_a_fifth_of_what_they_take():
    """A pause of the broker is no reason to rest for twice as long; nor are looks at the clock before the first or after the last."""
    one = feed("a", gathering=TEN)
    for committed_at, took in ((90.0, 0.0), (97.0, 1.0), (98.0, 1.0), (100.0, 2.0), (100.0, 2.0), (100.0, 2.0)):
        one.done(0, committed_at, took)
    one.offer(0, batch("a", 0, 1))
    assert handed_on(one, 100.0) == []
    assert one.pause(100.0) == pytest.approx(REST * 1.2)


def test_who_lags_or_has_much_to_do_does_not_rest():
    """Nor does anybody where nothing is gathered."""
    for offered, gathering in (
        (batch("a", 0, 10), TEN),
        (batch("a", 0, 9, done=False), TEN),
        (batch("a", 0, 9), Gathering(few=10, delay=0.0)),
    ):
        one = feed("a", gathering=gathering)
        one.work(0)
        one.done(0, 100.0, 2.0)
        one.offer(0, offered)
        assert handed_on(one, 100.0) == [0]


def test_the_next_assignment_does_not_rest_from_the_last():
    """Its transactions are of another."""
    one = feed("a", gathering=TEN)
    one.done(0, 100.0, 2.0)
    one.end()
    one.begin([0])
    one.offer(0, batch("a", 0, 5))
    assert handed_on(one, 100.0) == []
    assert one.pause(100.0) == pytest.approx(5 / WORTH)


def test_partitions_gather_each_for_itself():
    """One that has just been free waits for its own sake, not for the others'."""
    two = Feed(("a",), None, TEN)
    two.begin([0, 1])
    two.offer(0, batch("a", 0, 5))
    assert handed_on(two, 100.0) == []
    two.offer(1, batch("a", 0, 5))
    assert handed_on(two, 100.1) == []
    assert two.pause(100.1) == pytest.approx(5 / WORTH - 0.1)
    assert handed_on(two, 100.0 + 5 / WORTH) == [0]
    assert not two.full
    assert handed_on(two, 100.1 + 5 / WORTH) == [1]
    assert two.full


def test_what_cannot_be_handed_on_any_more_is_not_waited_for():
    """Another source has something to bring first: who waited for the moment to end would turn without a pause."""
    both = feed("a", "b", gathering=TEN)
    both.offer(0, batch("b", 0, 0))
    both.offer(0, batch("a", 0, 5))
    assert handed_on(both, 100.0) == []
    assert both.pause(100.0) is not None
    both.offer(0, batch("b", 0, 0, done=False))
    assert handed_on(both, 101.0) == []
    assert both.pause(101.0) is None


def test_nothing_of_an_earlier_assignment_is_waited_for():
    """What was gathered is gone with it."""
    one = feed("a", gathering=TEN)
    one.offer(0, batch("a", 0, 5))
    assert handed_on(one, 100.0) == []
    one.end()
    assert one.pause(100.0) is None
    assert not one.full


def test_a_full_place_is_not_fetched_from():
    """What is read ahead is bounded, whatever the backlog."""
    one = feed("a", "b")
    one.offer(0, batch("a", 0, 5))
    assert one.wanted(5) == [Place("b", 0)]
    assert set(one.wanted(6)) == {Place("a", 0), Place("b", 0)}


def test_what_an_earlier_assignment_handed_out_is_not_taken():
    """The epoch tells it apart."""
    one = feed("a")
    one.offer(0, batch("a", 0, 5))
    before = one.epoch
    one.end()
    assert one.epoch != before
    assert one.ready() == []
