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
