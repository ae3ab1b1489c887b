"""Sequences: what follows what, within what, and that what waits is bounded and dies on time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR, MINUTE
from rumbo.core.program import Program
from rumbo.core.sequence import PARTIALS, PER_KEY
from tests.core.test_step import MESSAGE, START, A, B, C, event, run, triggers

Step = d.SequenceStep


def sequence(*steps: d.SequenceStep, within: int = DAY, per: str | None = None, skip="past_last") -> d.Journey:
    return triggers(d.Trigger("t", d.Sequence(steps, within, per, skip), MESSAGE))


def held(profile):
    return profile.journeys["j"].matches.get("t", [])


def test_followed_by_is_relaxed_and_next_is_strict():
    """Whatever lies between does not matter to the one, and ends the other."""
    history = (event("A"), event("C", 1), event("B", 2))
    assert run(sequence(Step(A), Step(B)), *history) == [(2, "t")]
    assert run(sequence(Step(A), Step(B, strict=True)), *history) == []
    assert run(sequence(Step(A), Step(B, strict=True)), *history, event("A", 3), event("B", 4)) == [(4, "t")]


def test_strict_begins_anew_with_what_broke_it():
    """A A B: the second A is not the B that the first waits for, and waits for one itself."""
    found = run(sequence(Step(A), Step(B, strict=True)), event("A"), event("A", 1), event("B", 2))
    assert found == [(2, "t")]


def test_not_between_ends_it():
    journey = sequence(Step(A), Step(B, unless=C))
    assert run(journey, event("A"), event("C", 1), event("B", 2)) == []
    assert run(journey, event("C"), event("A", 1), event("B", 2)) == [(2, "t")]


def test_what_completes_a_step_is_not_what_lies_before_it():
    journey = sequence(Step(A), Step(B, unless=d.EventTest(("b", "c"))))
    assert run(journey, event("A"), event("B", 1)) == [(1, "t")]


def test_within_ends_with_its_last_instant():
    """(A, A + W]: the last instant counts, the one after does not; nor does the instant of A itself."""
    journey = sequence(Step(A), Step(B))
    assert run(journey, event("A"), event("B", DAY)) == [(DAY, "t")]
    assert run(journey, event("A"), event("B", DAY + 1)) == []
    assert run(journey, event("A"), event("B", 0)) == []


def test_each_value_of_the_key_has_sequences_of_its_own():
    """Viewed and bought the same product; an interaction without a product takes part in none."""
    journey = sequence(Step(A), Step(B, strict=True), per="event.properties.p")
    assert run(journey, event("A", p="x"), event("B", 1, p="y"), event("B", 2)) == []
    assert run(journey, event("A", p="x"), event("C", 1, p="y"), event("C", 2), event("B", 3, p="x")) == [(3, "t")]


def test_skipping_past_the_last_drops_what_began_before():
    """A A B B: one match; with `none` each A has its own, and each has an id of its own."""
    history = (event("A"), event("A", 1), event("B", 2), event("B", 3))
    assert run(sequence(Step(A), Step(B)), *history) == [(2, "t")]
    assert run(sequence(Step(A), Step(B), skip="none"), *history) == [(2, "t"), (2, "t")]
    program = Program("test", [sequence(Step(A), Step(B), skip="none")])
    profile = program.load("c", None)
    made = [decision for each in history for decision in program.advance(profile, each)]
    assert len({each.id for each in made}) == 2
    assert [each.data.because.conditions[0].events for each in made] == [("A@0",), ("A@1",)]


def test_a_partial_match_dies_by_its_timer_and_nothing_is_left():
    """No event is needed for that."""
    program = Program("test", [sequence(Step(A), Step(B))])
    profile = program.load("c", None)
    empty = program.dump(profile)
    program.advance(profile, event("A"))
    assert held(profile)
    assert program.fire(profile, START + DAY - 1) == []
    assert held(profile)
    program.fire(profile, START + DAY)
    assert not held(profile)
    assert profile.timers == {}
    assert len(program.dump(profile)) < len(empty) + 120


def test_a_sequence_says_how_it_came_about():
    """Each step with its interaction."""
    program = Program("test", [sequence(Step(A), Step(B, unless=C))])
    profile = program.load("c", None)
    program.advance(profile, event("A"))
    because = program.advance(profile, event("B", 1))[0].data.because
    assert [(leaf.condition, leaf.events) for leaf in because.conditions] == [
        ("A", ("A@0",)),
        ("B, no C before it", ("B@1",)),
    ]


def test_a_flood_of_partial_matches_stays_in_bounds_and_is_counted():
    """Two definitions, three thousand beginnings without an end: 16 of a key, 64 in all, the latest; the rest is counted."""
    many = tuple(
        d.Trigger(f"t{at}", d.Sequence((Step(A), Step(B)), 30 * DAY, "event.properties.p" if at % 2 else None), MESSAGE)
        for at in range(2)
    )
    program = Program("test", [triggers(*many)])
    profile = program.load("c", None)
    for at in range(3000):
        program.advance(profile, event("A", at, p=at % 1000))
    matches = profile.journeys["j"].matches
    assert [len(matches[f"t{at}"]) for at in range(2)] == [PER_KEY, PARTIALS]
    assert matches["t0"][-1][3] == "A@2999"
    assert program.stats["sequence_partials"] == (3000 - PER_KEY) + (3000 - PARTIALS)
    assert len(program.dump(profile)) < 64 * 1024


# The definition itself ------------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(st.sampled_from("ABC"), st.booleans(), st.sampled_from([None, None, "A", "B", "C"])),
    min_size=2,
    max_size=4,
)
histories = st.lists(
    st.tuples(st.sampled_from("ABCD"), st.integers(0, 48 * 60), st.sampled_from("xy")),
    max_size=14,
    unique_by=lambda each: each[1],
).map(lambda found: sorted(found, key=lambda each: each[1]))


def matches(history, pattern, within, *, keyed: bool, skips: bool) -> list[tuple[int, int]]:
    """(end, begin) of every match, each begin followed through the whole history for itself."""
    found = []
    for at, (name, begun, key) in enumerate(history):
        if name != pattern[0][0]:
            continue
        step = 1
        for other, when, whose in history[at + 1 :]:
            if (keyed and whose != key) or when > begun + within:
                continue
            wanted, strict, unless = pattern[step]
            if other == wanted:
                step += 1
            elif strict or other == unless:
                break
            if step == len(pattern):
                found.append((when, begun, key))
                break
    found.sort()
    if not skips:
        return [(end, begin) for end, begin, _ in found]
    taken: dict[str, int] = {}
    chosen = []
    for end, begin, key in found:
        if begin > taken.get(key if keyed else "", -1):
            taken[key if keyed else ""] = end
            chosen.append((end, begin))
    return chosen


@given(steps, histories, st.integers(1, 40), st.booleans(), st.booleans())
def test_against_every_beginning_followed_for_itself(pattern, history, hours, keyed, skips):
    """The bounded machine finds what an unbounded look at the whole history finds."""
    made = [
        Step(
            d.EventTest((name.lower(),)),
            strict and at > 0,
            d.EventTest((unless.lower(),)) if unless and not strict and at else None,
        )
        for at, (name, strict, unless) in enumerate(pattern)
    ]
    plain = [
        (name, strict and at > 0, unless if not strict and at else None)
        for at, (name, strict, unless) in enumerate(pattern)
    ]
    journey = sequence(
        *made, within=hours * HOUR, per="event.properties.p" if keyed else None, skip="past_last" if skips else "none"
    )
    found = run(journey, *(event(name, at * MINUTE, p=key) for name, at, key in history), until=5 * DAY)
    expected = matches(
        [(name, at * MINUTE, key) for name, at, key in history], plain, hours * HOUR, keyed=keyed, skips=skips
    )
    assert [at for at, _ in found] == [end for end, _ in expected]
