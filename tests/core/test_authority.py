"""Who says where a customer is: the conditions, somebody with authority, and what holds a move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.authority import Order
from rumbo.core.instant import DAY, HOUR
from rumbo.core.program import Program
from rumbo.core.staging import figure
from tests.core.test_step import START, A, B, C, brief, event, named, run, stages

SAID = d.Authority(
    (d.SetStage(named("Set"), "event.properties.stage", 10 * DAY),),
    (named("Release"),),
)
THREE = (d.Stage("one"), d.Stage("two", d.Happened(A)), d.Stage("three", d.Happened(B)), d.Stage("out", side=True))


def test_what_somebody_says_wins_and_the_conditions_only_suggest():
    """Once for each suggestion, never in silence; at the release the conditions decide again."""
    journey = stages(*THREE, authority=SAID)
    found = run(
        journey,
        event("A"),
        event("Set", HOUR, stage="one"),
        event("C", 2 * HOUR),
        event("A", 3 * HOUR),
        event("B", 4 * HOUR),
        event("Release", 5 * HOUR),
    )
    assert found == [
        (0, "forward two"),
        (HOUR, "backward one"),
        (3 * HOUR, "suggested two"),
        (4 * HOUR, "suggested three"),
        (5 * HOUR, "forward two implied"),
        (5 * HOUR, "forward three"),
    ]


def test_a_suggestion_follows_where_the_move_would_go_now():
    """Time alone may change that, below and beside the stage that somebody has set: the newer place is said too."""
    within = d.Stage("three", d.Happened(A, 1, DAY))
    aside = d.Stage("out", d.Happened(A), side=True, until=d.Idle(A, 6 * HOUR))
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A)), within, aside, authority=SAID)
    found = run(journey, event("A"), event("Set", HOUR, stage="out"), until=3 * DAY)
    assert found == [(0, "aside out"), (6 * HOUR, "suggested three"), (DAY, "suggested two")]
    four = d.Stage("four", until=d.Idle(A, 6 * HOUR))
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A)), within, four, authority=SAID)
    found = run(journey, event("A"), event("Set", HOUR, stage="four"), until=3 * DAY)
    assert found[-2:] == [(6 * HOUR, "suggested three"), (DAY, "suggested two")]


def test_a_way_out_rests_as_a_way_back_does():
    """Left at hour 6, set again at hour 7: what the conditions say to it is suggested once the day of rest is over."""
    three = d.Stage("three", d.Happened(A), until=d.Idle(A, 6 * HOUR))
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A)), three, authority=SAID)
    found = run(journey, event("A"), event("Set", 7 * HOUR, stage="three"), until=3 * DAY)
    assert found[-3:] == [(6 * HOUR, "backward two"), (7 * HOUR, "forward three"), (30 * HOUR, "suggested two")]


def test_authority_ends_by_itself():
    """The expiry is a timer: the conditions decide at that very instant, with no event."""
    found = run(stages(*THREE, authority=SAID), event("Set", stage="out"), event("B", DAY), until=30 * DAY)
    assert found == [(0, "aside out")]  # a side stage without `until` keeps whom it has
    found = run(stages(*THREE, authority=SAID), event("Set", stage="two"), event("B", DAY), until=30 * DAY)
    assert found == [(0, "forward two"), (DAY, "suggested three"), (10 * DAY, "forward three")]


def test_steps_that_somebody_skips_are_implied_and_say_who_said_so():
    program = Program("test", [stages(*THREE, authority=SAID)])
    made = program.advance(program.load("c", None), event("Set", stage="three"))
    assert [(brief(each.data), each.data.reason) for each in made] == [
        ("forward two implied", "authority"),
        ("forward three", "authority"),
    ]


def test_a_stage_that_the_journey_lacks_is_counted_and_changes_nothing():
    program = Program("test", [stages(*THREE, authority=SAID)])
    assert program.advance(program.load("c", None), event("Set", stage="four")) == []
    assert program.stats["authority_unknown_stage"] == 1


def test_a_control_record_is_an_input_like_others():
    """Timers before it fire first, a repeat changes nothing, its decisions quote it."""
    program = Program("test", [stages(*THREE)])
    profile = program.load("c", None)
    said = event("Stage Set", HOUR, "control-1")
    made = program.instruct(profile, said, "j", Order("three", START + DAY))
    assert [brief(each.data) for each in made] == ["forward two implied", "forward three"]
    assert made[0].data.because.events[0].id == "control-1"
    assert program.instruct(profile, said, "j", Order("three")) == []
    assert program.stats["duplicate"] == 1
    assert program.instruct(profile, event("Stage Set", HOUR, "x"), "nope", Order("three")) == []


def test_what_the_conditions_say_to_an_order_is_told_at_once():
    """Never ignored in silence, also where nothing happens after it."""
    journey = stages(d.Stage("one"), d.Stage("two", d.Idle(A, DAY)), authority=SAID)
    found = run(journey, event("A"), event("Set", 2 * DAY, stage="one"), until=5 * DAY)
    assert found == [(DAY, "forward two"), (2 * DAY, "backward one"), (2 * DAY, "suggested two")]


# Leaving downwards ----------------------------------------------------------------------------------------------------


def test_until_leaves_an_ordered_stage_to_the_highest_earlier_one_that_holds():
    """Counted from the entry on, not before `min_dwell`, and not again within a day."""
    journey = stages(
        d.Stage("one"),
        d.Stage("two", d.Happened(A)),
        d.Stage("three", d.Happened(B), until=d.Happened(C), min_dwell=HOUR),
    )
    found = run(journey, event("C"), event("A", 1), event("B", 2), event("C", 3), until=2 * HOUR)
    assert found == [(1, "forward two"), (2, "forward three"), (HOUR + 2, "backward two")]


@pytest.mark.parametrize("criterion", [d.Happened(A), d.Happened(A, 1, 30 * DAY), d.Happened(A, 65, 32 * DAY)], ids=["life", "window", "buckets"])  # fmt: skip
def test_what_let_a_customer_in_counts_until_the_stage_is_left(criterion):
    """A stage that is left by `until`, or by somebody's word, is entered again by new interactions only."""
    many = [event("A", at, f"a{at}") for at in range(criterion.at_least)]
    journey = stages(d.Stage("one"), d.Stage("two", criterion, until=d.Happened(B)), authority=SAID)
    entered = len(many) - 1
    found = run(journey, *many, event("B", DAY), event("A", 3 * DAY, "again"))
    assert found[:2] == [(entered, "forward two"), (DAY, "backward one")]
    assert found[2:] == ([(3 * DAY, "forward two")] if len(many) == 1 else [])
    said = run(journey, *many, event("Set", DAY, stage="one"), event("Release", 2 * DAY))
    assert said == [(entered, "forward two"), (DAY, "backward one")]


def test_a_side_stage_whose_until_holds_at_the_entry_is_left_at_that_instant():
    """On a silent topic too, as a way back is."""
    side = d.Stage("out", d.Happened(B), side=True, until=d.Idle(A, DAY))
    found = run(stages(d.Stage("one"), side), event("A"), event("B", 3 * DAY), until=30 * DAY)
    assert found == [(3 * DAY, "aside out"), (3 * DAY, "return one")]


def test_a_way_back_that_is_open_at_the_entry_is_taken_at_that_instant():
    """On a silent topic too: the interaction moves the customer forward, and the silence of another takes them back."""
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(B), back=(d.Back("one", d.Idle(A, DAY)),)))
    found = run(journey, event("A"), event("B", 3 * DAY), until=30 * DAY)
    assert found == [(3 * DAY, "forward two"), (3 * DAY, "backward one")]
    dwells = stages(
        d.Stage("one"), d.Stage("two", d.Happened(B), back=(d.Back("one", d.Idle(A, DAY), min_dwell=HOUR),))
    )
    found = run(dwells, event("A"), event("B", 3 * DAY), until=30 * DAY)
    assert found == [(3 * DAY, "forward two"), (3 * DAY + HOUR, "backward one")]


def test_an_unstable_customer_is_held_and_told_of():
    """Three flips in seven days are let through; the fourth waits until the first is seven days old."""
    back = d.Back("one", d.Happened(B, 1, 1), cooldown=0)
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A, 1, 1), back=(back,)))
    history = [event("AB"[at % 2], at * HOUR, f"e{at}") for at in range(8)]
    assert run(journey, *history) == [
        (0, "forward two"),
        (1 * HOUR, "backward one"),
        (2 * HOUR, "forward two"),
        (3 * HOUR, "backward one"),
        (4 * HOUR, "unstable two"),
    ]


def test_what_was_held_is_done_when_it_is_calm_again():
    back = d.Back("one", d.Happened(B, 1, HOUR), cooldown=0)
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A, 1, 30 * DAY), back=(back,)))
    history = [event("A"), event("B", 1), event("A", DAY), event("B", DAY + 1), event("A", 2 * DAY)]
    assert run(journey, *history, until=20 * DAY)[-2:] == [(2 * DAY, "unstable two"), (7 * DAY + 1, "forward two")]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 40)), max_size=60))
def test_never_more_flips_than_allowed_in_any_window(history):
    """Over random histories: at most three reversals in any seven days."""
    back = d.Back("one", d.Happened(B, 1, 1), cooldown=0)
    side = d.Stage("out", d.Happened(C, 1, 1), side=True, until=d.Happened(A))
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A, 1, 1), back=(back,)), side)
    at, events = 0, []
    for number, (name, hours) in enumerate(history):
        at += hours * HOUR
        events.append(event(name, at, f"e{number}"))
    moves = [(when, what) for when, what in run(journey, *events, until=at) if not what.startswith("unstable")]
    rises = [what.startswith(("forward", "return two")) or what == "return one" for _, what in moves]
    flips = [
        when
        for (before, rose), (when, rise) in zip(
            [(when, rise) for (when, _), rise in zip(moves, rises, strict=True)],
            [(when, rise) for (when, _), rise in zip(moves[1:], rises[1:], strict=True)],
            strict=False,
        )
        if rose is not rise and when - before < 7 * DAY
    ]
    assert all(sum(1 for other in flips if when - 7 * DAY < other <= when) <= 3 for when in flips)


# Stuck by the cohort --------------------------------------------------------------------------------------------------


def test_stuck_goes_by_the_cohorts_frozen_figure():
    """Without figures the fixed length; with them the figure, also where it has moved since the entry."""
    journey = stages(d.Stage("one", stuck_after=5 * DAY, stuck_cohort="p90"))
    assert run(journey, event("A"), until=30 * DAY) == [(5 * DAY, "stuck one")]
    program = Program("test", [journey])
    profile = program.load("c", None)
    program.reads({figure("j", "one", "p90"): 3 * DAY})
    program.advance(profile, event("A"))
    program.reads({figure("j", "one", "p90"): 4 * DAY})
    made = program.fire(profile, START + 30 * DAY)
    assert [(each.at - START, each.data.limit_seconds) for each in made] == [(4 * DAY, 4 * 86_400.0)]
