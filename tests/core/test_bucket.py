"""Windows that need more than 64 interactions count in buckets: the error is at most one bucket's worth, and never too few."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import HOUR, MINUTE
from rumbo.core.program import Program
from tests.core.test_step import A, event

WITHIN, NEED = 32 * HOUR, 65
bursts = st.lists(st.tuples(st.integers(0, 4 * 24 * 60), st.integers(1, 40)), max_size=12, unique_by=lambda each: each[0]).map(sorted)  # fmt: skip


@settings(max_examples=60)
@given(bursts)
def test_a_long_window_counts_all_that_is_in_it_and_at_most_one_bucket_before_it(burst):
    """At least so many in (now - W, now]: yes; fewer in (now - W - W/32, now]: no; between them either."""
    inside = d.Segment("s", d.Happened(A, NEED, WITHIN))
    program = Program("test", [d.Journey("j", "1.0", segments=(inside,))])
    profile, times = program.load("c", None), list[int]()
    for minute, size in burst:
        now = minute * MINUTE
        for number in range(size):
            times.append(now)
            program.advance(profile, event("A", now, f"{minute}-{number}"))
            profile = program.load("c", program.dump(profile))
            exact = sum(1 for at in times if at > now - WITHIN)
            most = sum(1 for at in times if at > now - WITHIN - WITHIN // 32)
            member = "s" in profile.journeys["j"].segments
            assert not (exact >= NEED and not member)
            assert not (most < NEED and member)
        kept = [cells for cells in profile.windows.values() if cells]
        assert all(len(cells) <= 2 * 33 for cells in kept)
