"""The core against a second implementation that recomputes everything from the full history: random journeys, random histories."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR, SECOND
from tests.core.naive import Naive
from tests.core.test_step import MESSAGE, START, event, named, run

END = 30 * DAY
tests = st.sampled_from([named(name) for name in "ABCD"])
lengths = st.sampled_from([6 * HOUR, DAY, 2 * DAY, 5 * DAY])
happened = st.builds(d.Happened, tests, st.integers(1, 3), st.one_of(st.none(), lengths))
idle = st.builds(d.Idle, tests, lengths)
criteria = st.one_of(
    happened,
    st.lists(happened, min_size=2, max_size=2).map(lambda found: d.All(tuple(found))),
    st.lists(happened, min_size=2, max_size=2).map(lambda found: d.AnyOf(tuple(found))),
)
bands = (d.Band("low", 14.7, 9.3), d.Band("high", 33.1, 21.9))
rules = st.builds(
    d.Points,
    st.just(""),
    tests,
    st.sampled_from([5.0, 8.0, 12.0]),
    st.sampled_from(["", "g"]),
    half_life=st.sampled_from([None, DAY, 3 * DAY]),
    once=st.booleans(),
    at_most=st.one_of(st.none(), st.builds(d.AtMost, st.integers(1, 2), lengths)),
    decay=st.sampled_from(
        [None, None, d.Steps(0.25, DAY), d.Steps(0.5, 6 * HOUR, geometric=True), d.Steps(1.0, 6 * HOUR)]
    ),
)


@st.composite
def journeys(draw) -> d.Journey:
    made = draw(st.lists(rules, min_size=1, max_size=3))
    numbered = tuple(
        d.Points(
            f"r{at}",
            each.events,
            each.points,
            each.group,
            None if each.decay else each.half_life,
            None,
            each.once,
            None,
            each.at_most,
            each.decay,
        )
        for at, each in enumerate(made)
    )
    score = d.Score(
        "s", numbered, (d.Group("g", draw(st.sampled_from([None, 20.0]))),), bands, draw(st.sampled_from([None, 40.0]))
    )
    inside = st.builds(d.InBand, st.just("s"), st.sampled_from(["low", "high"]))
    here = st.builds(lambda name: d.InStage((name,)), st.sampled_from(["one", "two", "three"]))
    guards = st.one_of(
        happened, idle, inside, here, st.builds(d.Not, st.one_of(happened, inside)), st.just(d.Reached("two"))
    )
    rising = st.one_of(
        happened, idle, inside,
        st.builds(lambda one, other: d.All((one, other)), happened, guards),
        st.builds(lambda one, other: d.AnyOf((one, other)), happened, st.one_of(idle, inside)),
    )  # fmt: skip
    back = st.one_of(
        st.just(()),
        st.builds(
            lambda when, cooldown, dwell: (d.Back("one", when, cooldown, dwell),),
            idle,
            st.sampled_from([0, HOUR, DAY]),
            st.sampled_from([0, 6 * HOUR]),
        ),
    )
    stages = (
        d.Stage("one", stuck_after=draw(st.one_of(st.none(), lengths))),
        d.Stage("two", draw(criteria), back=draw(back), stuck_after=draw(st.one_of(st.none(), lengths))),
        d.Stage("three", draw(st.one_of(criteria, inside)) if not draw(st.booleans()) else draw(criteria)),
    )
    on = st.one_of(
        st.builds(d.OnEvent, tests),
        st.builds(d.OnCondition, rising),
        st.builds(d.OnBand, st.just("s"), st.sampled_from(["low", "high"]), st.sampled_from(["entered", "left"])),
        st.builds(d.OnStage, st.sampled_from(["one", "two", "three"]), st.sampled_from(["entered", "left"])),
        st.builds(d.Absence, tests, lengths, st.one_of(st.none(), tests)),
    )
    triggers = tuple(
        d.Trigger(
            f"t{at}", draw(on), MESSAGE, draw(st.one_of(st.none(), guards)), draw(st.sampled_from(["always", "always", "once"])),
            draw(st.sampled_from([None, None, DAY])), draw(st.sampled_from(["live", "live", "shadow"])),
        )
        for at in range(draw(st.integers(1, 4)))
    )  # fmt: skip
    segments = tuple(
        d.Segment(f"g{at}", draw(st.one_of(happened, idle, inside))) for at in range(draw(st.integers(0, 2)))
    )
    return d.Journey("j", "1.0", (score,), stages, triggers, True, segments, d.Flaps(10**6, 1))


histories = st.lists(
    st.tuples(st.integers(0, 20 * 24), st.sampled_from("ABCDE")), max_size=20, unique_by=lambda each: each[0]
).map(lambda found: [event(name, at * HOUR) for at, name in sorted(found)])


def near(found: list[tuple[int, str]]) -> list[tuple[str, int]]:
    """By what and when, to the second: a crossing that is halved may lie a microsecond beside one that has a formula."""
    return sorted((what, round(at / SECOND)) for at, what in found)


@settings(max_examples=100)
@given(journeys(), histories)
def test_random_journeys_decide_what_a_look_at_the_full_history_decides(journey, history):
    """Scores, bands, segments, stages with their ways back, stuck, and the triggers, with guards and cool-downs."""
    expected = [(at - START, what) for at, what in Naive(journey).run(history, START + END)]
    assert near(run(journey, *history, until=END)) == near(expected)
