"""The ways of decay: golden numbers of the semantics, order, bounds, and the instants of their steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.decay import CELLS, cell_width, fading, keep
from rumbo.core.instant import DAY, HOUR, MINUTE
from rumbo.core.program import Program
from rumbo.core.score import ScoreMachine
from rumbo.core.state import ScoreState
from tests.core.test_step import START, A, B, event, run

LINEAR = d.Steps(0.25, 30 * DAY)
GEOMETRIC = d.Steps(0.25, 30 * DAY, geometric=True)
WINDOW = d.Steps(1.0, 90 * DAY)
IDLE = d.Idling((d.IdleStep(45 * DAY, set=50.0), d.IdleStep(90 * DAY, set=0.0)))
HALVED = d.Idling((d.IdleStep(30 * DAY, multiply=0.5),))


def points(decay, worth=40.0, events=A, key="a") -> d.Points:
    return d.Points(key, events, worth, decay=decay)


def fed(decay, awards):
    """An accumulator fed in this order of (points, instant)."""
    way, made = fading(points(decay)), None
    for worth, at in awards:
        if made is None:
            made = way.begin(worth, at)
        else:
            way.add(made, worth, at)
    return way, made


@pytest.mark.parametrize(
    ("decay", "expected"),
    [(LINEAR, [40, 40, 30, 20, 10, 0]), (GEOMETRIC, [40, 40, 30, 22.5, 16.875, 12.656])],
    ids=["linear", "geometric"],
)
def test_golden_steps(decay, expected):
    """p = 40, r = 25 %, T = 30 d at the ages 0, 29, 30, 60, 119 (linear: 119 is the third step) and 120."""
    way, made = fed(decay, [(40.0, 0)])
    ages = [0, 29, 30, 60, 119, 120]
    assert [way.read(made, age * DAY) for age in ages] == pytest.approx(expected, abs=5e-4)


def test_a_window_is_whole_and_then_nothing():
    """(now - W, now]: at the age of W it is gone."""
    way, made = fed(WINDOW, [(40.0, 0)])
    assert [way.read(made, at) for at in (0, 90 * DAY - 1, 90 * DAY)] == [40.0, 40.0, 0.0]


def test_inactivity_sets_down_and_to_nothing():
    """45 days without an award: no more than 50; 90 days: nothing. An award in between starts the silence anew."""
    way, made = fed(IDLE, [(80.0, 0)])
    assert [way.read(made, day * DAY) for day in (0, 44, 45, 89, 90)] == [80, 80, 50, 50, 0]
    way, made = fed(IDLE, [(80.0, 0), (10.0, 45 * DAY)])
    assert [way.read(made, day * DAY) for day in (45, 89, 90, 135)] == [60, 60, 50, 0]
    way, made = fed(HALVED, [(80.0, 0)])
    assert [way.read(made, day * DAY) for day in (29, 30, 300)] == [80, 40, 40]


awards = st.lists(st.tuples(st.floats(0.1, 100), st.integers(0, 400 * 24)), min_size=1, max_size=40).map(
    lambda found: [(worth, at * HOUR) for worth, at in found]
)
steps = st.builds(
    d.Steps, st.sampled_from([0.1, 0.25, 0.3, 1.0]), st.sampled_from([DAY, 7 * DAY, 30 * DAY]), st.booleans()
)


@given(steps, awards, st.randoms(), st.integers(0, 600))
def test_the_order_of_arrival_does_not_matter(decay, made, chance, day):
    """Cells are those of the awards' own times."""
    shuffled = list(made)
    chance.shuffle(shuffled)
    now = max(at for _, at in made) + day * DAY
    (way, one), (_, other) = fed(decay, made), fed(decay, shuffled)
    assert way.read(one, now) == pytest.approx(way.read(other, now), rel=1e-9, abs=1e-9)


@given(steps, awards, st.integers(0, 600))
def test_steps_are_the_sum_over_all_awards_within_a_cell(decay, made, day):
    """Never more than the sum at that instant, never less than the sum a cell's width later; exact where the cells do not share."""
    now = max(at for _, at in made) + day * DAY
    way, kept = fed(decay, made)

    def total(at):
        return sum(worth * keep(decay, at - then) for worth, then in made)

    assert total(now + cell_width(decay)) - 1e-6 <= way.read(kept, now) <= total(now) + 1e-6
    if len({at // cell_width(decay) for _, at in made}) == len(made):
        assert way.read(kept, now) == pytest.approx(total(now), rel=1e-9, abs=1e-9)


@given(steps, st.integers(1, 60))
def test_cells_are_bounded(decay, minutes):
    """However many awards."""
    way, kept = fed(decay, [(1.0, at * minutes * 1000 * MINUTE) for at in range(2000)])
    assert len(kept) <= 2 * (CELLS + 2)
    assert way.falling(kept)


@given(steps, awards)
def test_the_next_change_is_the_next_change(decay, made):
    """Nothing moves before it."""
    now = max(at for _, at in made)
    way, kept = fed(decay, made)
    due = way.changes(kept, now)
    assert due == 0 or due > now
    if due:
        assert way.read(kept, due - 1) == pytest.approx(way.read(kept, now))
        assert way.read(kept, due) < way.read(kept, now)


def test_scaling_scales_what_is_there():
    for decay in (None, LINEAR, GEOMETRIC, WINDOW, IDLE, HALVED):
        way, made = fed(decay, [(40.0, 0), (60.0, DAY)])
        for now in (DAY, 50 * DAY):
            before = way.read(made, now)
            way.scale(made, 0.5, now)
            assert way.read(made, now) == pytest.approx(before / 2)


def banded(decay) -> d.Journey:
    return d.Journey("j", "1.0", scores=(d.Score("s", (points(decay),), bands=(d.Band("low", 30, 25),)),))


@pytest.mark.parametrize(
    ("decay", "day"),
    [(LINEAR, 60), (GEOMETRIC, 60), (WINDOW, 90), (IDLE, 90), (HALVED, 30)],
    ids=lambda v: type(v).__name__,
)
def test_a_band_is_left_at_the_step(decay, day):
    """By time alone, to the microsecond."""
    assert run(banded(decay), event("A"), until=400 * DAY) == [(0, "band low"), (day * DAY, "band None")]


def test_contributors_show_what_is_left_of_each_rule():
    """The largest first, whatever its way of decay; a group that idles has lost alike."""
    rules = (
        points(LINEAR), points(HALVED, 60.0, B, "b"), points(HALVED, 20.0, A, "c"),
        d.Points("d", A, 8.0, half_life=60 * DAY),
    )  # fmt: skip
    machine = ScoreMachine(d.Score("s", rules))
    program = Program("test", [d.Journey("j", "1.0", scores=(d.Score("s", rules),))])
    profile = program.load("c", None)
    for each in (event("A"), event("B", DAY)):
        program.advance(profile, each)
    state = profile.journeys["j"].scores["s"]
    assert isinstance(state, ScoreState)
    now = START + 60 * DAY
    found = {each.rule: each.points_now for each in machine.contributors(state, now)}
    assert found == {"b": 30.0, "a": 20.0, "c": 10.0, "d": 4.0}
    assert list(found) == ["b", "a", "c", "d"]
    assert machine.value(state, now) == pytest.approx(64.0)


def test_negative_points_that_decay_let_a_score_rise_by_time_alone():
    """A threshold and a condition see it: 20 - 15·2^(-t/H) passes 10 after H·log2(1.5)."""
    rules = (d.Points("a", A, 20.0), d.Points("b", B, -15.0, half_life=10 * DAY))
    journey = d.Journey(
        "j", "1.0", scores=(d.Score("s", rules),),
        triggers=(d.Trigger("t", d.Threshold("score", "s", 10.0), d.Action("m")),),
    )  # fmt: skip
    found = run(journey, event("A"), event("B", HOUR), until=60 * DAY)
    assert [what for _, what in found] == ["t", "t"]
    assert (found[1][0] - HOUR) / DAY == pytest.approx(5.8496, abs=1e-3)
