"""What the customer view's latencies amount to: nothing that was refused or about somebody else is hidden among the fast ones."""

from __future__ import annotations

from benchmarks import report
from benchmarks.figures import answers
from tests.benchmarks.test_report import GOOD, line, session


def asked(what, milliseconds, status=200, right=True):
    return what, 2.0, status, milliseconds, right


def test_percentiles_by_what_was_asked_and_of_all():
    found = answers([asked("customer", float(each)) for each in range(1, 101)] + [asked("why-not", 500.0)])
    assert (found["customer"]["p50"], found["customer"]["p99"], found["customer"]["max"]) == (50.0, 99.0, 100.0)
    assert found["why-not"]["requests"] == 1
    assert (found["all"]["requests"], found["all"]["max"]) == (101, 500.0)


def test_what_was_not_answered_is_counted_and_stays_among_the_answers():
    found = answers([asked("customer", 1.0), asked("customer", 9.0, 503), asked("customer", 8.0, 0), asked("customer", 7.0, 404), asked("customer", 6.0, right=False)])  # fmt: skip
    told = found["customer"]
    assert [told[each] for each in ("requests", "refused", "unknown", "wrong", "max")] == [5, 2, 1, 1, 9.0]


def test_of_several_rounds_the_worst_is_told():
    def row(number, milliseconds):
        return {
            "session": "one", "mode": "view", "engine": "rumbo", "round": number, "skewed": False, "rate": 5000.0, "own_rate": 10_000.0, "reads": 100, "cpu_share": 0.5,
            "held": number == 1, "p50": 30.0, "p99": 90.0, "found": GOOD, "views": answers([asked("customer", milliseconds)]),
        }  # fmt: skip

    page = report.text([session("one"), row(1, 4.0), row(2, 6.0)])
    assert "| 2 | 6.0 | 6.0 | 6.0 | 6.0 | 0 | 0 | 0 |" in line(page, "customer")
    assert "Round 1: 5,000 events a second (it drains 10,000), 50% of a core, the lag holds" in page
    assert "Round 2" in page
    assert "the asker itself was late by 2.0 ms at p99" in page
    assert "the lag grows: it does not count" in page
