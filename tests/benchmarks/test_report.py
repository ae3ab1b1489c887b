"""The page that is written from the rows: what counts, what does not, and which session a table is of."""

from __future__ import annotations

from benchmarks import report

GOOD = {"expected": 9, "missing": 0, "extra": 0, "twice": 0, "scores_off": 0, "dead_letters_off": 0}


def session(name):
    stands = dict.fromkeys(("machine", "system", "python", "java", "kafka", "libraries", "commit"), "x")
    return {"mode": "session", "id": name, "form": "short", **stands}


def drain(engine, rate, number=1, *, of="one", **more):
    rates = dict.fromkeys(("rate", "rate_warm", "rate_half", "wall_rate"), rate)
    what = {
        "session": of,
        "mode": "drain",
        "engine": engine,
        "round": number,
        "skewed": False,
        "events": 1000,
        "customers": 200,
    }
    return {**what, **rates, "rss": 100.0, "found": GOOD, **more}


def line(page, begins):
    return next(each for each in page.splitlines() if each.startswith(f"| {begins}"))


def test_a_ratio_is_the_median_over_the_rounds_that_have_both():
    rows = [
        session("one"),
        drain("rumbo", 300.0),
        drain("quix", 100.0),
        drain("quix", 100.0, 2),
        drain("rumbo", 500.0, 2),
        drain("rumbo", 900.0, 3),
    ]
    assert "| 4.00 (3.00 to 5.00, N = 2) |" in line(report.text(rows), "Rumbo / Quix Streams")


def test_a_run_that_differs_from_the_reference_gives_no_figure_but_is_shown():
    """Nor does it enter a ratio."""
    rows = [session("one"), drain("rumbo", 300.0), drain("quix", 100.0, found={**GOOD, "missing": 3})]
    page = report.text(rows)
    assert "does not count" in line(page, "Quix Streams")
    assert "3 / 0 / 0 / 0 / 0" in line(page, "Quix Streams")
    assert "N =" not in line(page, "Rumbo / Quix Streams")
    assert "300 (N = 1)" in line(page, "Rumbo |")


def test_a_table_is_of_the_newest_session_that_has_it():
    rows = [session("one"), drain("rumbo", 300.0), session("two"), drain("rumbo", 700.0, of="two"), session("three")]
    page = report.text(rows)
    assert "700 (N = 1)" in line(page, "Rumbo |")
    assert "session two" in page
    assert "session one" not in page


def test_engines_that_the_newest_session_left_out_stand_below_it():
    """Each with its own session, and none twice."""
    rows = [
        session("one"),
        drain("rumbo", 300.0),
        drain("quix", 100.0),
        session("two"),
        drain("rumbo", 700.0, of="two"),
    ]
    first, _, others = report.text(rows).partition("## Drain, the others")
    assert "session two" in first
    assert "Quix" not in first
    assert "session one" in others
    assert "Quix" in others
    assert "Rumbo" not in others


def test_what_failed_is_said():
    failed = {**drain("quix", 1.0), "mode": "failed drain", "problem": "Traceback\nit fell over"}
    assert "- failed drain: Quix Streams 3.28.1: `it fell over`" in report.text(
        [session("one"), drain("rumbo", 1.0), failed]
    )


def test_a_rate_at_which_the_lag_grows_does_not_count():
    shares = {"p50": 1.0, "p99": 2.0, "p99.9": 3.0, "max": 4.0}
    what = {
        "session": "one",
        "mode": "open loop",
        "skewed": False,
        "round": 1,
        "rate": 900.0,
        "outputs": 5,
        "cpu_share": 0.5,
        "found": GOOD,
        **shares,
    }
    rows = [
        session("one"),
        {**what, "engine": "rumbo", "option": 1000, "held": True},
        {**what, "engine": "quix", "option": 0.8, "held": False},
    ]
    page = report.text(rows)
    assert "| 1 | 2 | 3 | 4 |" in line(page, "Rumbo")
    assert "does not count" in line(page, "Quix")
    assert "| 80% |" in line(page, "Quix")


def test_a_recovery_that_the_noise_of_starting_hides_is_kept_and_said():
    """Were the runs at or below zero dropped, the others would look better than the engine is."""
    what = {"session": "one", "mode": "recovery", "engine": "rumbo", "skewed": False, "customers": 9, "found": {}}
    seconds = dict.fromkeys(("start_new", "start_warm", "start_wiped"), 2.0)
    rows = [
        session("one"),
        *({**what, **seconds, "round": at, "per_million": each} for at, each in enumerate((-4.0, -2.0, 8.0))),
    ]
    assert line(report.text(rows), "Rumbo").endswith("| -2.0 (-4.0 to 8.0, N = 3) | lost in the noise |")
    assert line(report.text([*rows[:1], {**rows[3], "per_million": 5.0}]), "Rumbo").endswith(
        "| 5.0 (N = 1) | 200,000 |"
    )
