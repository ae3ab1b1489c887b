"""The arithmetic behind RESULTS.md, and that the comparison finds what is wrong."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import figures
from benchmarks.compare import compare
from benchmarks.figures import Sample
from benchmarks.generate import generate
from benchmarks.reference import Output, Reference

EVENTS = 5_000
positive = st.floats(0.1, 1e6)


@pytest.fixture(scope="module")
def reference():
    made = Reference()
    for each in generate(EVENTS):
        made.feed(each.value)
    return made


def found(reference, written, dead=None):
    counts = compare(reference, written, reference.dead if dead is None else dead)
    assert counts.pop("expected") == len(reference.outputs) > 500
    return {kind: count for kind, count in counts.items() if count}


def test_what_the_reference_expects_is_nothing_wrong(reference):
    assert found(reference, reference.outputs) == {}


def test_planted_mistakes_are_found_each_by_its_name(reference):
    """One missing, one too many, one twice, one score that is off, one dead letter lost."""
    good = sorted(reference.outputs, key=str)
    score = next(each for each in good if each.kind == "score")
    assert found(reference, good[1:]) == {"missing": 1}
    assert found(reference, [*good, Output("action", "c0000000", "m-9", "welcome")]) == {"extra": 1}
    assert found(reference, [*good, good[7]]) == {"twice": 1}
    off = [each._replace(score=each.score + 0.02) if each is score else each for each in good]
    assert found(reference, off) == {"scores_off": 1}
    near = [each._replace(score=each.score + 0.005) if each is score else each for each in good]
    assert found(reference, near) == {}
    assert found(reference, good, reference.dead - 1) == {"dead_letters_off": 1}
    assert found(reference, [good[0]._replace(what="none"), *good[1:]]) == {"missing": 1, "extra": 1}


def test_a_drain_counts_from_the_first_record():
    """Two CPU seconds of starting up are told apart; then 100 records at 10 a second, the second half at twice that."""
    samples = [
        Sample(0.0, 0.0, 0, 0, 1.9),
        Sample(2.0, 2.0, 0, 0, 2.1),
        Sample(3.0, 3.0, 0, 4, 3.1),  # the first outputs: it began after the look before
        Sample(7.0, 7.0, 50, 4, 7.0),
        Sample(7.5, 7.2, 50, 4, 7.4),  # nothing new was told
        Sample(9.5, 9.4, 100, 4, 9.5),
    ]
    told = figures.drain(samples, 100)
    assert told.start_cpu == 2.0
    assert told.cpu == 7.5
    assert told.rate == pytest.approx(100 / 7.5)
    assert told.rate_half == pytest.approx(50 / 2.5)
    assert told.rate_warm == pytest.approx(90 / 6.5)
    assert told.wall_rate == pytest.approx(100 / 7.5)


def test_a_drain_that_did_not_end_has_no_figures():
    with pytest.raises(ValueError, match="50 of 100"):
        figures.drain([Sample(0, 0, 0, 0, 0), Sample(1, 1, 50, 1, 1)], 100)


def test_ratios_are_of_one_round():
    rounds = [{"a": 30.0, "b": 10.0}, {"a": 50.0}, {"b": 10.0, "a": 20.0}]
    assert figures.ratios(rounds, "a", "b") == [3.0, 2.0]


@given(st.lists(positive, min_size=1, max_size=30))
def test_an_interval_holds_the_median_and_stays_within_the_values(values):
    low, high = figures.interval(values, times=200)
    assert min(values) <= low <= high <= max(values)
    if len(values) % 2:
        assert low <= statistics.median(values) <= high


def test_an_interval_narrows_with_more_values_and_is_the_same_each_time():
    few, many = [1.0, 2.0, 3.0], [1.0, 2.0, 3.0] * 30
    assert figures.interval(few) == figures.interval(few)
    widths = [high - low for low, high in (figures.interval(few), figures.interval(many))]
    assert widths[1] < widths[0]


def test_a_single_value_claims_no_interval():
    assert figures.with_interval([1.5]) == "1.50 (N = 1)"
    assert figures.with_interval([1.0, 2.0, 3.0]) == "2.00 (1.00 to 3.00, N = 3)"
    assert figures.spread([1000.4, 3000.0, 2000.0]) == "2,000 (1,000 to 3,000, N = 3)"
    assert figures.with_interval([]) == figures.spread([]) == ""


@given(st.lists(positive, min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values, share):
    ordered = sorted(values)
    at = figures.percentile(ordered, share)
    assert sum(1 for each in ordered if each <= at) >= share * len(ordered) - 1e-9
    assert sum(1 for each in ordered if each < at) < share * len(ordered) + 1e-9


def test_percentiles_by_hand():
    ordered = [float(each) for each in range(1, 1001)]
    assert [figures.percentile(ordered, share) for share in (0.5, 0.99, 0.999, 1)] == [500, 990, 999, 1000]


def test_progress_is_read_off_outputs_where_no_offsets_are_told():
    """Outputs due after each hundredth of the input; a hundredth is done when all of its outputs are there."""
    curve = [0, 5, 5, 9]
    assert [figures.consumed_by(curve, written) for written in (0, 3, 5, 6, 8, 9, 10)] == [0, 0, 2, 2, 2, 3, 3]


def test_a_lag_that_swings_does_not_grow_and_one_that_climbs_does():
    """Engines that commit each second let it swing by a second's worth."""
    assert not figures.grows([(each / 4, 250 * (each % 4)) for each in range(80)], 1000)
    assert figures.grows([(each / 4, 250 * (each % 4) + 10 * each) for each in range(80)], 1000)
    assert figures.grows([(0.0, 0)], 1000)


def test_a_table_has_a_line_a_row():
    assert figures.table(("a", "b"), [("1", "2")]) == ["| a | b |", "|---|---|", "| 1 | 2 |"]
