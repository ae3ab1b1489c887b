"""The core against a second implementation that recomputes everything from the full history: random journeys, random histories."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR, SECOND
from rumbo.core.interaction import Interaction
from tests.core.naive import Naive
from tests.core.test_step import MESSAGE, START, event, named, run

END = 30 * DAY
tests = st.sampled_from([named(name) for name in "ABCD"])
lengths = st.sampled_from([6 * HOUR, DAY, 2 * DAY, 5 * DAY])
happened = st.builds(d.Happened, tests, st.integers(1, 3), st.one_of(st.none(), lengths))
idle = st.builds(d.Idle, tests, lengths)
absent = st.builds(d.Not, happened)
"""Holds of everybody, until something has come."""
criteria = st.one_of(
    happened,
    absent,
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
        guards,
        st.builds(lambda one, other: d.All((one, other)), guards, guards),
        st.builds(lambda one, other: d.AnyOf((one, other)), guards, guards),
    )
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
        d.Segment(f"g{at}", draw(st.one_of(happened, idle, inside, absent))) for at in range(draw(st.integers(0, 2)))
    )
    return d.Journey("j", "1.0", (score,), stages, triggers, True, segments, d.Flaps(10**6, 1))


moments = st.one_of(st.integers(0, 20 * 24), st.integers(0, 40).map(lambda at: 6 * at))
"""Hours; half of them such that what the journey names ends at the instant of another interaction, or of several."""
histories = st.lists(st.tuples(moments, st.sampled_from("ABCDE")), max_size=20, unique=True).map(
    lambda found: [event(name, at * HOUR) for at, name in sorted(found)]
)


def near(found: list[tuple[int, str]]) -> list[tuple[str, int]]:
    """By what and when, to the second: a crossing that is halved may lie a microsecond beside one that has a formula."""
    return sorted((what, round(at / SECOND)) for at, what in found)


def assert_same(journey: d.Journey, history: list[Interaction]) -> None:
    """Both decide the same, up to where a definition goes round in circles."""
    naive = Naive(journey)
    expected = [(at - START, what) for at, what in naive.run(history, START + END) if at <= naive.told]
    found = [each for each in run(journey, *history, until=END) if each[0] <= naive.told - START]
    assert near(found) == near(expected)


@settings(max_examples=100, derandomize=True)
@given(journeys(), histories)
def test_random_journeys_decide_what_a_look_at_the_full_history_decides(journey, history):
    """Scores, bands, segments, stages with their ways back, stuck, and the triggers, with guards and cool-downs."""
    assert_same(journey, history)


@given(journeys(), histories, st.lists(moments, max_size=8))
def test_an_interaction_that_nothing_names_changes_nothing_also_at_an_instant_at_which_something_is_due(
    journey, history, others
):
    """Before or after others of that instant: what time changes then is changed after all of them."""
    strangers = [event("Nobody Asks", at * HOUR, f"{number}") for number, at in enumerate(sorted(others))]
    begin = [event("Nobody Asks", 0, "first")]
    among = sorted([*history, *strangers], key=lambda each: (each.at, each.id))
    assert run(journey, *begin, *among, until=END) == run(journey, *begin, *history, until=END)


def on_stages(draw) -> tuple[d.Trigger, ...]:
    names = st.sampled_from(["one", "two", "three", "out", "away"])
    on = st.one_of(
        st.builds(d.OnStage, names, st.sampled_from(["entered", "left"])),
        st.builds(d.OnEvent, tests),
        st.builds(d.OnCondition, happened),
    )
    here = st.builds(lambda name: d.InStage((name,)), names)
    return tuple(
        d.Trigger(f"t{at}", draw(on), MESSAGE, draw(st.one_of(st.none(), here)))
        for at in range(draw(st.integers(0, 2)))
    )


@st.composite
def places(draw) -> d.Journey:
    """Side stages, also each other's source, ways down, what somebody says, and going to and fro."""
    until = st.one_of(st.none(), happened, idle)
    stuck = st.one_of(st.none(), lengths)
    aside = st.one_of(criteria, idle)
    back = st.one_of(
        st.just(()), st.builds(lambda when, rest: (d.Back("one", when, rest),), idle, st.sampled_from([0, DAY]))
    )

    def side(name: str, *others: str) -> d.Stage:
        sources = tuple(draw(st.lists(st.sampled_from(["one", "two", "three", *others]), max_size=2, unique=True)))
        return d.Stage(name, draw(aside), side=True, sources=sources, until=draw(until), stuck_after=draw(stuck))

    stages = (
        d.Stage("one"),
        d.Stage("two", draw(criteria), back=draw(back), until=draw(until), stuck_after=draw(stuck)),
        d.Stage("three", draw(criteria), until=draw(until), min_dwell=draw(st.sampled_from([0, 6 * HOUR]))),
        side("out", "away"),
        *([side("away", "out")] if draw(st.booleans()) else []),
    )
    said = d.SetStage(named("Set"), "event.properties.stage", draw(st.one_of(st.none(), lengths)))
    flaps = d.Flaps(draw(st.integers(1, 8)), draw(lengths))
    authority = d.Authority((said,), (named("Release"),))
    return d.Journey("j", "1.0", (), stages, on_stages(draw), True, (), flaps, authority)


told = st.one_of(
    st.sampled_from("AABBCD").map(lambda name: (name, {})),
    st.sampled_from(["one", "two", "three", "out"]).map(lambda stage: ("Set", {"stage": stage})),
    st.just(("Release", {})),
)


def numbered(found: list) -> list:
    """By time, each with an id of its own."""
    return list(enumerate(sorted(found, key=lambda each: each[0])))


spoken = st.lists(st.tuples(moments, told), max_size=20).map(
    lambda found: [event(name, at * HOUR, str(number), **said) for number, (at, (name, said)) in numbered(found)]
)


@settings(max_examples=100, derandomize=True)
@given(places(), spoken)
def test_random_places_are_where_a_look_at_the_full_history_finds_them(journey, history):
    """Side stages, `until`, dwell, latches, authority with its expiry and suggestions, instability, stuck."""
    assert_same(journey, history)


@st.composite
def customers(draw) -> d.Journey:
    """A fit score from traits; points that are reset, and a score that is not reported."""
    made: d.Journey = draw(journeys())
    (score,) = made.scores
    group = st.sampled_from([None, None, "g"])
    resets = st.one_of(
        st.builds(
            lambda on, share, part: d.Reset(on, None, share, None, part), tests, st.sampled_from([0.5, 0.0]), group
        ),
        st.builds(lambda on, to: d.Reset(on, None, 1.0, to), tests, st.sampled_from([5.0, 0.0])),
        st.builds(
            lambda when, share: d.Reset(None, when, share),
            st.one_of(idle, happened, absent),
            st.sampled_from([0.5, 0.0]),
        ),
    )
    reasons = st.builds(d.Disqualify, st.one_of(happened, idle, absent), st.sampled_from(["spam", "rival"]))
    score = msgspec.structs.replace(
        score, resets=tuple(draw(st.lists(resets, max_size=2))), disqualify=tuple(draw(st.lists(reasons, max_size=2)))
    )
    fit = d.Score(
        "fit", (), (), (d.Band("B", 5, 5), d.Band("A", 20, 20)), None, None,
        traits=(d.Trait("seats", "traits.seats >= 50", 15.0, -10.0), d.Trait("age", "traits.age < 30", 10.0)), grades=True,
    )  # fmt: skip
    graded = d.Trigger("graded", d.OnBand("fit", "A"), MESSAGE)
    suits = d.Trigger("suits", d.OnEvent(named("A")), MESSAGE, d.InBand("fit", "B"))
    return d.Journey(
        "j", "1.0", (score, fit), made.stages, (*made.triggers, graded, suits), True, made.segments, made.unstable
    )


def says(at: int, key: str, traits: dict[str, int]) -> Interaction:
    made = event("Identified", at, key)
    made.traits_raw = msgspec.json.encode(traits)
    return made


lives = st.lists(
    st.tuples(
        moments,
        st.one_of(st.sampled_from("ABCDE"), st.dictionaries(st.sampled_from(["seats", "age"]), st.sampled_from([10, 40, 60]), min_size=1)),
    ),
    max_size=20,
).map(
    lambda found: [
        event(what, at * HOUR, str(number)) if isinstance(what, str) else says(at * HOUR, str(number), what)
        for number, (at, what) in numbered(found)
    ]
)  # fmt: skip


@settings(max_examples=100, derandomize=True)
@given(customers(), lives)
def test_random_customers_are_what_a_look_at_the_full_history_says(journey, history):
    """Fit and grades, resets by an interaction and by a condition, of all points and of a group, disqualification."""
    assert_same(journey, history)
