"""Triggers that follow what happens over time, as authors write them: each form, and each mistake with its cure."""

from __future__ import annotations

import pytest

from rumbo.core import definition as d
from rumbo.core.instant import DAY
from tests.topology.test_load import journey_of, loaded

ACTION = "action: {kind: m, purpose: p, expires_after: 1d}"


def on(tmp_path, body: str, more: str = "") -> d.On:
    return journey_of(tmp_path, f"{more}triggers: [{{id: t, {body}, {ACTION}}}]\n").triggers[0].on


def problems(tmp_path, body: str, more: str = "") -> str:
    found = loaded(tmp_path, f'journey: j\nversion: "1.0"\n{more}triggers:\n  - {{id: t, {body}, {ACTION}}}\n')
    return "\n".join(str(each) for each in found.problems)


def named(name: str, where: str | None = None) -> d.EventTest:
    return d.EventTest((name.lower(),), where, name)


def test_a_sequence_in_all_its_forms(tmp_path):
    made = on(
        tmp_path,
        "sequence: {steps: [A, {event: B, where: event.properties.x == 1}, {followed_by: C, not: D}, {next: E}], "
        "within: 2d, per: event.properties.cart, skip: none}",
    )
    assert made == d.Sequence(
        (
            d.SequenceStep(named("A")),
            d.SequenceStep(named("B", "event.properties.x == 1")),
            d.SequenceStep(named("C"), unless=named("D")),
            d.SequenceStep(named("E"), strict=True),
        ),
        2 * DAY,
        "event.properties.cart",
        "none",
    )


def test_inactivity_is_an_absence_of_a_set(tmp_path):
    assert on(tmp_path, "inactivity: {of: [A, B], for: 3d}") == d.Absence(
        d.EventTest(("a", "b"), None, "A or B"), 3 * DAY
    )
    assert on(tmp_path, "inactivity: {of: any, for: 3d}") == d.Absence(
        d.EventTest((), None, "any interaction"), 3 * DAY
    )


def test_thresholds_and_dates(tmp_path):
    score = "scores: {s: {points: [{event: A, points: 1}]}}\n"
    assert on(tmp_path, "threshold: {score: s, rises_to: 60}", score) == d.Threshold("score", "s", 60.0)
    assert on(tmp_path, "threshold: {trait: seats, falls_below: 3}") == d.Threshold("trait", "seats", 3.0, "down")
    assert on(tmp_path, 'date: {trait: x, before: 30d, at: "09:30"}') == d.OnDate("x", -30 * DAY, 34_200)
    assert on(tmp_path, "date: {trait: x, after: 12h, at: 20:00:15, every: year}") == d.OnDate(
        "x", DAY // 2, 72_015, yearly=True
    )
    assert on(tmp_path, "date: {trait: x}") == d.OnDate("x")


def test_anomalies(tmp_path):
    assert on(tmp_path, "anomaly: {of: A}") == d.Anomaly(named("A"))
    assert on(tmp_path, "anomaly: {of: A, per: 7d, change: rise, deviations: 2.5, warm_up: 4}") == d.Anomaly(
        named("A"), 7 * DAY, "rise", 2.5, 98 * DAY, 4
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sequence: {steps: [A, B]}", "`within` is missing"),
        ("sequence: {steps: [A], within: 1d}", "1 steps; two to 8"),
        ("sequence: {steps: [A, B, C, D, E, F, G, H, I], within: 1d}", "9 steps"),
        ("sequence: {steps: [{next: A}, B], within: 1d}", "nothing comes before the first step"),
        ("sequence: {steps: [A, {next: B, followed_by: C}], within: 1d}", "both `followed_by` and `next`"),
        ("sequence: {steps: [A, {next: B, not: C}], within: 1d}", "`not` has no meaning"),
        ("sequence: {steps: [A, {event: B, not: C}], within: 1d}", "`not` goes with `followed_by`"),
        ("sequence: {steps: [A, {followed_by: }], within: 1d}", "`followed_by` needs an event, not nothing"),
        ("sequence: {steps: [A, B], within: 1d, per: event.propertees.x}", "did you mean"),
        ("sequence: {steps: [A, B], within: 1d, skip: sometimes}", "one of: past_last, none"),
        ("sequence: {steps: [A, B], wihtin: 1d}", "did you mean 'within'?"),
        ("threshold: {score: s, rises_to: 1}", "score 's' is not defined"),
        ("threshold: {trait: s}", "needs one of `rises_to` and `falls_below`"),
        ("threshold: {trait: s, score: s, rises_to: 1}", "needs one of `score` and `trait`"),
        ("threshold: {trait: s, rises_to: many}", "must be a number"),
        ("date: {before: 3d}", "`trait` is missing"),
        ("date: {trait: x, before: 3d, after: 3d}", "both `before` and `after`"),
        ("date: {trait: x, at: 25:00}", "'25:00' is no time of day"),
        ("date: {trait: x, every: month}", "one of: year, once"),
        ("date: {trait: x, every: year, before: 400d}", "at most 366d"),
        ("anomaly: {change: drop}", "`of` is missing"),
        ("anomaly: {of: A, per: 1m}", "less than an hour"),
        ("anomaly: {of: A, half_life: 1h}", "shorter than `per`"),
        ("anomaly: {of: A, deviations: -1}", "more than 0"),
        ("anomaly: {of: A, change: both}", "one of: drop, rise"),
        ("inactivity: {of: A}", "needs `of` and `for`"),
    ],
)
def test_each_mistake_has_its_cure(tmp_path, body, said):
    assert said in problems(tmp_path, body)
    assert "journey.yaml:4:" in problems(tmp_path, body)
