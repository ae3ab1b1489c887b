"""Thresholds: crossings of a number, each once, and by time alone."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, MINUTE
from rumbo.core.interaction import Interaction
from rumbo.core.program import Program
from tests.core.test_step import MESSAGE, START, A, B, event, run

SCORE = d.Score("s", (d.Points("a", A, 40.0, half_life=10 * DAY), d.Points("b", B, -30.0, half_life=10 * DAY)))


def over(name: str, limit: float, direction="up", of="score") -> d.Journey:
    trigger = d.Trigger("t", d.Threshold(of, name, limit, direction), MESSAGE)
    return d.Journey("j", "1.0", scores=(SCORE,) if of == "score" else (), triggers=(trigger,))


def said(at: int, **traits) -> Interaction:
    return Interaction(
        "c", "Identified", "identified", f"i{at}", START + at, "t", 0, 0, traits_raw=msgspec.json.encode(traits)
    )


def test_a_score_rises_to_a_number_once_each_time():
    """Not again while it stays above; again after it was below, also where time has taken it there."""
    found = run(over("s", 60), event("A"), event("A", 1), event("A", 2), event("A", 30 * DAY), event("A", 30 * DAY + 1))
    assert found == [(1, "t"), (30 * DAY + 1, "t")]


def test_a_score_falls_below_at_its_instant():
    """40 halves in ten days; exactly the number is not below it."""
    found = run(over("s", 20, "down"), event("A"), until=60 * DAY)
    assert [what for _, what in found] == ["t"]
    assert 10 * DAY < found[0][0] <= 10 * DAY + 1
    assert run(over("s", 20, "down"), event("A"), event("B", 1), until=60 * DAY) == [(1, "t")]


def test_a_trait_has_no_side_until_it_is_known():
    """Missing is not zero: the first value crosses nothing; text leaves the side as it was."""
    history = (
        said(0, seats=12),
        said(1, seats=3),
        said(2, seats="many"),
        said(3, seats=10),
        said(4, plan="x"),
        said(5, seats=11),
    )
    assert run(over("seats", 10, of="trait"), *history) == [(3, "t")]
    assert run(over("seats", 10, "down", of="trait"), *history) == [(1, "t")]


def test_a_threshold_says_what_it_saw():
    program = Program("test", [over("s", 60)])
    profile = program.load("c", None)
    program.advance(profile, event("A"))
    leaf = program.advance(profile, event("A", 1))[0].data.because.conditions[0]
    assert (leaf.condition, leaf.holds, leaf.saw) == ("score s rises to 60", True, {"s": 80.0})


@given(st.lists(st.integers(0, 40 * 24 * 60), max_size=20, unique=True), st.sampled_from([30, 55, 90]))
def test_crossings_are_those_of_the_formula(minutes, limit):
    """Ups and downs alternate, and each is where the sum over all awards crosses."""
    times = [at * MINUTE for at in sorted(minutes)]
    ups = run(over("s", limit), *(event("A", at) for at in times), until=100 * DAY)
    downs = run(over("s", limit, "down"), *(event("A", at) for at in times), until=100 * DAY)

    def value(now):
        return sum(40 * 2 ** ((at - now) / (10 * DAY)) for at in times if at <= now)

    inside, expected = False, []
    for at in times:
        if inside and value(at - 1) < limit:
            inside = False
        if not inside and value(at) >= limit:
            inside = True
            expected.append(at)
    assert [at for at, _ in ups] == expected
    assert len(downs) == len(expected)
    rounding = 1e-12  # of this sum of doubles; a microsecond is some 7e-11
    assert all(value(at) < limit + rounding and limit <= value(at - 2) + 1e-9 for at, _ in downs)
