"""Scores as authors write them: each form, and each mistake with its cure."""

from __future__ import annotations

import pytest

from rumbo.core import definition as d
from rumbo.core.instant import DAY
from tests.topology.test_load import journey_of, loaded


def rules(tmp_path, body: str) -> tuple[d.Points, ...]:
    return journey_of(tmp_path, f"scores:\n  s: {body}\n").scores[0].rules


def problems(tmp_path, body: str) -> str:
    found = loaded(tmp_path, f'journey: j\nversion: "1.0"\nscores:\n  s: {body}\n')
    return "\n".join(str(each) for each in found.problems)


def test_ways_of_decay_are_inherited_from_the_group_and_the_score(tmp_path):
    """The rule's own, else its group's, else the score's."""
    a, b, c, e = rules(
        tmp_path,
        "{decay: {window: 90d}, groups: {g: {decay: {step_linear: 25%, every: 30d}}}, points: ["
        "{event: A, points: 1}, {event: B, points: 1, group: g}, {event: C, points: 1, group: g, half_life: 7d}, "
        "{event: E, points: 1, decay: {inactivity: [{idle: 45d, set: 50}, {idle: 90d, multiply: 0.5}]}}]}",
    )
    assert (a.half_life, a.decay) == (None, d.Steps(1.0, 90 * DAY))
    assert (b.half_life, b.decay) == (None, d.Steps(0.25, 30 * DAY))
    assert (c.half_life, c.decay) == (7 * DAY, None)
    assert (e.half_life, e.decay) == (None, d.Idling((d.IdleStep(45 * DAY, set=50.0), d.IdleStep(90 * DAY, 0.5))))


@pytest.mark.parametrize(
    ("decay", "said"),
    [
        ("{window: 9d}, half_life: 3d", "both `half_life` and `decay`"),
        ("{every: 3d}", "needs one of step_linear, step_geometric, window, inactivity"),
        ("{step_linear: 25%}", "`every` is missing"),
        ("{step_linear: 125%, every: 3d}", "the share that each step takes"),
        ("{step_geometric: much, every: 3d}", "the share that each step takes"),
        ("{step_geometric: 1%, every: 3d}", "at most 128"),
        ("{inactivity: 45d}", "needs one of `set` and `multiply`"),
        ("{inactivity: 45d, multiply: 2}", "from 0 to 1"),
        ("{inactivity: [{idle: 45d, set: 1}, {idle: 3d, set: 0}]}", "longer than the one before"),
        ("{inactivity: [45d]}", "a step is a mapping"),
        ("{step_lineer: 25%, every: 3d}", "did you mean 'step_linear'?"),
    ],
)
def test_each_mistake_has_its_cure(tmp_path, decay, said):
    assert said in problems(tmp_path, f"{{points: [{{event: A, points: 1, decay: {decay}}}]}}")


def test_who_they_are_and_what_takes_it_back(tmp_path):
    """Traits with grades, disqualification, resets."""
    made = journey_of(
        tmp_path,
        """
scores:
  fit:
    traits: [{where: traits.seats >= 50, points: 20, otherwise: -10}, {id: here, where: "traits.country == 'ES'", points: 5}]
    grades: [{C: -10}, {B: 5}, {A: 20}]
  engagement:
    groups: {g: {cap: 3}}
    points: [{event: A, points: 1, group: g}]
    disqualify: [{when: {event: Spam}, reason: spam}]
    resets: [{event: Lost, multiply: 0.5}, {when: {score: fit, at_least: B}, set: 0, group: g}]
""",
    )
    fit, engagement = made.scores
    assert [(each.where, each.points, each.otherwise) for each in fit.traits] == [
        ("traits.seats >= 50", 20.0, -10.0),
        ("traits.country == 'ES'", 5.0, 0.0),
    ]
    assert fit.traits[1].key == "here"
    assert (fit.grades, fit.floor) == (True, None)
    assert [(band.name, band.enter, band.leave) for band in fit.bands] == [("C", -10, -10), ("B", 5, 5), ("A", 20, 20)]
    assert engagement.disqualify == (d.Disqualify(d.Happened(d.EventTest(("spam",), None, "Spam")), "spam"),)
    assert engagement.resets == (
        d.Reset(d.EventTest(("lost",), None, "Lost"), None, 0.5),
        d.Reset(None, d.InBand("fit", "B"), set=0.0, group="g"),
    )


MATRIX = """
scores:
  e: {points: [{event: A, points: 1}], bands: [{warm: {enter: 1}}, {hot: {enter: 2}}]}
  f: {traits: [{where: traits.x, points: 1}], grades: [{B: 0}, {A: 1}]}
"""


def test_a_matrix_is_segments(tmp_path):
    made = journey_of(tmp_path, MATRIX + "matrix: {rows: f, columns: e, cells: {top: A/hot, low: [B/none, B/warm]}}\n")
    top, low = made.segments
    assert (top.name, low.name) == ("top", "low")
    assert top.when == d.AnyOf((d.All((d.InBand("f", "A"), d.InBand("e", "hot"))),))
    b = d.All((d.InBand("f", "B"), d.Not(d.InBand("f", "A"))))
    warm = d.All((d.InBand("e", "warm"), d.Not(d.InBand("e", "hot"))))
    assert low.when == d.AnyOf((d.All((b, d.Not(d.InBand("e", "warm")))), d.All((b, warm))))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("matrix: {rows: f, columns: e}", "`cells` is missing"),
        ("matrix: {rows: g, columns: e, cells: {x: A/hot}}", "score with bands 'g' is not defined"),
        ("matrix: {rows: f, columns: e, cells: {x: A}}", "'A' is no cell"),
        ("matrix: {rows: f, columns: e, cells: {x: A/cold}}", "band of e 'cold' is not defined"),
        (
            "matrix: {rows: f, columns: e, cells: {x: A/hot}}\nsegments: {x: {event: A}}",
            "a segment is called 'x' already",
        ),
    ],
)
def test_a_matrix_that_cannot_be_meant(tmp_path, body, said):
    found = loaded(tmp_path, f'journey: j\nversion: "1.0"\n{MATRIX}{body}\n')
    assert said in "\n".join(str(each) for each in found.problems)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{bands: [{low: {enter: 1}}]}", "no `points` and no `traits`"),
        ("{points: [{event: A, points: 1}], traits: [{where: traits.x, points: 1}]}", "make two scores"),
        ("{traits: [{where: event.name == 'x', points: 1}]}", "event"),
        ("{traits: [{where: traits.x}]}", "`points` is missing"),
        ("{traits: [{points: 1}]}", "`where` is missing"),
        ("{traits: [{where: traits.x, points: 1}], grades: [B: 3, A: 1]}", "grade 'A' is not above 'B'"),
        ("{traits: [{where: traits.x, points: 1}], grades: [B]}", "each is one name and its least value"),
        ("{traits: [{where: traits.x, points: 1}], grades: [B: 1], bands: []}", "both `bands` and `grades`"),
        ("{points: [{event: A, points: 1}], disqualify: [{reason: x}]}", "`when` is missing"),
        ("{points: [{event: A, points: 1}], disqualify: [{when: {event: B}}]}", "`reason` is missing"),
        ("{points: [{event: A, points: 1}], resets: [{multiply: 0.5}]}", "nothing calls it"),
        ("{points: [{event: A, points: 1}], resets: [{event: B}]}", "needs one of `multiply` and `set`"),
        ("{points: [{event: A, points: 1}], resets: [{event: B, multiply: 2}]}", "from 0 to 1"),
        ("{points: [{event: A, points: 1}], resets: [{event: B, set: 0, group: g}]}", "group 'g' is not defined"),
        (
            "{points: [{event: A, points: 1}], resets: [{when: {event: B}, where: event.properties.x, set: 0}]}",
            "`where` goes with `event`",
        ),
    ],
)
def test_who_they_are_that_cannot_be_meant(tmp_path, body, said):
    assert said in problems(tmp_path, body)
