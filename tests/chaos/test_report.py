"""The figures in the documents are those of the rows, and a table can show that something failed."""

from __future__ import annotations

from tests import evidence
from tests.chaos import report
from tests.chaos.oracle import Verdict


def test_the_documents_say_what_the_rows_say():
    """`make chaos` writes them; a figure changed by hand is found here."""
    found = report.rows()
    assert report.RESULTS.read_text() == report.results(found, evidence.rows(report.SIMULATED))
    for path, text in report.tables(found).items():
        _, _, rest = path.read_text().partition(f"<!-- {report.MARK} -->\n")
        said, _, _ = rest.partition(f"\n<!-- /{report.MARK} -->")
        assert said == text.strip()


def test_a_failed_round_shows():
    """In every table."""
    row = {
        "fault": "F3",
        "commit": "abc",
        "seed": 1,
        "n": 3,
        **Verdict(lost=7).row(),
        "recoveries": [1.0],
        "stall": 2.0,
        "ends": [],
        "failed": "lost: x",
    }
    assert "| F3 | abc | 3 | 1 | 1 | 0 | 0 | 0 | 7 |" in report.results([row], [])
    assert "F3, seed 1, at abc: lost: x" in report.results([row], [])
    assert "| 3 | 1 | 1 | 0 | 0 | 7 |" in report.table([row])
    assert "| 3 | 1 of 1 rounds | 7 |" in report.summary([row], [])


def test_one_wrong_figure_breaks_the_promise():
    """Whichever it is."""
    assert Verdict(records=5, aborted=3).holds
    for name in Verdict.WRONG:
        verdict = Verdict()
        verdict.wrong(name, ["x"])
        assert not verdict.holds
