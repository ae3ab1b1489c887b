"""Friction of each kind at its instant, told once, from what is kept; the index is a score on it."""

from __future__ import annotations

import random
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core import profile as record
from rumbo.core.friction import FORM, LAST, MARKS, STUCK
from rumbo.core.instant import DAY, HOUR, MINUTE, SECOND
from rumbo.core.interaction import Interaction, folded
from rumbo.core.program import Program
from rumbo.topology.friction import KINDS
from tests.core.one_customer import START, OneCustomer, named


def rule(kind: str) -> d.FrictionRule:
    usual = KINDS[kind]
    until = named(usual.until) if usual.until else None
    return d.FrictionRule(
        kind, named(usual.event), usual.place, usual.weight, usual.count, usual.within, until
    )  # fmt: skip


EVERY = d.Friction(tuple(map(rule, KINDS)), stuck=4)
FRICTION = named("Friction Detected")
TOLD = d.Trigger("told", d.OnEvent(FRICTION), d.Action("crm"))
INDEX = d.Score("index", (d.Points("f", FRICTION, "event.properties.weight", half_life=7 * DAY),))


class World(OneCustomer):
    def __init__(self, friction: d.Friction = EVERY, sessions: d.Sessions | None = None, **parts) -> None:
        journey = d.Journey("j", "1.0", **({"triggers": (TOLD,), "scores": (INDEX,)} | parts))
        super().__init__(Program("test", [journey], derived=d.Derived(sessions, friction=friction)))

    @property
    def told(self) -> list[int]:
        """When something was told, by its decisions: all of it, not the last only."""
        return [each.at - START for each in self.decisions if each.kind == "action.requested"]

    @property
    def last(self) -> list[tuple[int, str, str]]:
        trouble = self.profile.trouble
        return [(at - START, kind, place) for at, kind, place, _ in trouble.last] if trouble is not None else []


def event(kind: str, at: int, place: str | None = "x", number: int = 0, name: str | None = None) -> Interaction:
    usual = KINDS[kind]
    called = name or usual.event
    said = b"{}" if place is None else f'{{"{usual.place.rsplit(".", 1)[-1]}":"{place}"}}'.encode()
    return Interaction("c", called, folded(called), f"{called}-{at}-{number}", START + at, "t", 0, number, said)


def test_three_fast_clicks_on_one_element_are_rage_and_are_spent():
    clicks = [event("rage_click", at * SECOND // 2, number=at) for at in range(6)]
    world = World().hear(*clicks)
    assert world.last == [(SECOND, "rage_click", "x"), (5 * SECOND // 2, "rage_click", "x")]
    assert world.told == [SECOND, 5 * SECOND // 2]
    slow = [event("rage_click", at * SECOND, number=at) for at in range(6)]  # the third comes when two seconds are over
    assert World().hear(*slow).last == []
    apart = [event("rage_click", at, str(at % 2), at) for at in range(4)]
    assert World().hear(*apart).last == []
    assert World().hear(*(event("rage_click", at, None, at) for at in range(9))).last == []


@pytest.mark.parametrize(
    ("kind", "within"), [("form_error", 10 * MINUTE), ("repeated_ticket", 7 * DAY)], ids=["form error", "ticket"]
)
def test_two_at_one_place_in_time(kind, within):
    assert World().hear(event(kind, 0), event(kind, within - 1)).last == [(within - 1, kind, "x")]
    assert World().hear(event(kind, 0), event(kind, within)).last == []
    assert World().hear(event(kind, 0), event(kind, 1, "y")).last == []


def test_error_pages_count_by_session_and_without_sessions_by_time():
    pages = [event("error_page", at * 20 * MINUTE, f"/{at}") for at in range(3)]
    assert World().hear(*pages).last == []
    sessions = d.Sessions(d.EventTest(("errorpageviewed",), None, "Error Page Viewed"), 30 * MINUTE)
    assert World(sessions=sessions).hear(*pages).last == [(40 * MINUTE, "error_page", "/2")]
    broken = [*pages[:2], event("error_page", 51 * MINUTE), event("error_page", 52 * MINUTE, "/3", 1)]
    assert World(sessions=sessions).hear(*broken).last == []  # the third comes a minute after the session
    new = [*pages[:2], *(event("error_page", 2 * HOUR + at) for at in range(2))]
    assert World(sessions=sessions).hear(*new).last == []


def test_two_pages_by_turns_are_back_and_forth():
    def views(text: str, pace: int = SECOND) -> list[Interaction]:
        return [event("back_and_forth", at * pace, page, at) for at, page in enumerate(text)]

    assert World().hear(*views("abab")).last == [(3 * SECOND, "back_and_forth", "b")]
    assert World().hear(*views("xabbaab")).last == [(6 * SECOND, "back_and_forth", "b")]
    for calm in ("abc", "abcab", "aabb", "abacab"):
        assert World().hear(*views(calm)).last == [], calm
    assert World().hear(*views("abab", 20 * SECOND)).last == []


def test_each_failed_payment_counts_with_or_without_a_place():
    world = World().hear(event("payment_failure", 0), event("payment_failure", 1, None))
    assert world.last == [(0, "payment_failure", "x"), (1, "payment_failure", "")]


def test_a_form_is_abandoned_at_its_instant_on_a_silent_topic_and_not_when_it_was_sent():
    due = 10 * MINUTE
    world = World().hear(event(FORM, 0, "a"), event(FORM, 1, "b"))
    assert world.until(due - 1).last == []
    assert world.until(due).last == [(due, FORM, "a")]
    assert world.until(DAY).last == [(due, FORM, "a"), (due + 1, FORM, "b")]
    sent = event(FORM, due, "a", name="Form Submitted")
    assert World().hear(event(FORM, 0, "a"), sent).until(DAY).last == []
    other = event(FORM, due - 1, "b", name="Form Submitted")
    assert World().hear(event(FORM, 0, "a"), other).until(DAY).last == [(due, FORM, "a")]
    again = World().hear(event(FORM, 0, "a"), event(FORM, MINUTE, "a")).until(DAY)
    assert again.last == [(due + MINUTE, FORM, "a")]


def test_forms_that_are_due_together_are_told_each():
    world = World().hear(event(FORM, 0, "a"), event(FORM, 0, "b", 1)).until(DAY)
    assert [place for _, _, place in world.last] == ["a", "b"]
    assert world.told == [10 * MINUTE] * 2
    ids = [each.id for each in world.decisions]
    assert len(ids) == len(set(ids))


def test_who_is_stuck_in_a_stage_has_friction_there():
    stages = (d.Stage("first", stuck_after=DAY), d.Stage("second", d.Happened(FRICTION)))
    world = World(stages=stages).hear(event("rage_click", 0)).until(2 * DAY)
    assert world.last == [(DAY, STUCK, "first")]
    assert world.profile.journeys["j"].stage == "second"
    silent = World(d.Friction(EVERY.rules), stages=stages).hear(event("rage_click", 0)).until(2 * DAY)
    assert silent.last == []


def test_the_index_is_a_score_by_weight():
    """8 and a week later 4, and another 8."""
    world = World().hear(event("payment_failure", 0), event("payment_failure", 7 * DAY))
    machine, state = world.program.scores("j")["index"], world.profile.journeys["j"].scores["index"]
    assert isclose(machine.value(state, START + 7 * DAY), 12.0)
    assert isclose(machine.value(state, START + 14 * DAY), 6.0)


def brute(clicks: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Of each element, by index: the third click after the last one that was spent, in less than two seconds."""
    found = []
    for element in {place for _, place in clicks}:
        times, free = [at for at, place in clicks if place == element], 0
        for last in range(2, len(times)):
            if last - 2 >= free and times[last] - times[last - 2] < 2 * SECOND:
                found.append((times[last], element))
                free = last + 1
    return sorted(found)


clicks = st.lists(st.tuples(st.integers(0, 1500), st.sampled_from("abc")), max_size=20).map(
    lambda found: [(sum(gap for gap, _ in found[: at + 1]) * 1000, place) for at, (_, place) in enumerate(found)]
)


@given(clicks)
def test_rage_clicks_equal_a_recomputation_from_all_clicks(found):
    world, said = World(), []
    for number, (at, place) in enumerate(found):
        before = len(world.told)
        world.hear(event("rage_click", at, place, number))
        said += [(at, place)] * (len(world.told) - before)
    assert sorted(said) == brute(found)


histories = st.lists(
    st.tuples(st.integers(0, 600), st.sampled_from([*KINDS, "sent"]), st.sampled_from(["x", "y", None])), max_size=30
)


def made(history) -> list[Interaction]:
    return [
        event(FORM, at * SECOND, place, number, "Form Submitted") if kind == "sent" else event(kind, at * SECOND, place, number)
        for number, (at, kind, place) in enumerate(history)
    ]  # fmt: skip


@given(histories, st.data())
def test_a_producers_repeats_change_nothing(history, data):
    """In any order, late ones too."""
    events = made(history)
    world = World().hear(*events)
    before, said = record.dump(world.profile), len(world.decisions)
    world.hear(*events[data.draw(st.integers(0, len(events))) :])
    assert (record.dump(world.profile), len(world.decisions)) == (before, said)


@given(histories)
def test_ids_differ_and_forms_equal_a_recomputation(history):
    """On ordered input: a form is abandoned where ten minutes pass without its being begun anew or sent."""
    history = sorted(history, key=lambda each: each[0])
    world = World(d.Friction((rule(FORM),))).hear(*made(history)).until(DAY)
    expected = []
    for place in (1, 2):
        name = "xy"[place - 1]
        mine = [(at * SECOND, kind) for at, kind, where in history if where == name and kind in {FORM, "sent"}]
        for each, (at, kind) in enumerate(mine):
            after = mine[each + 1][0] if each + 1 < len(mine) else DAY
            if kind == FORM and after > at + 10 * MINUTE:
                expected.append(at + 10 * MINUTE)
    assert world.told == sorted(expected)
    ids = [each.id for each in world.decisions]
    assert len(ids) == len(set(ids))


def test_a_late_interaction_counts_at_its_time_and_begins_no_form():
    errors = (event("form_error", 5 * MINUTE), event("form_error", MINUTE, number=1), event("form_error", 6 * MINUTE))
    assert World().hear(*errors).last == [(6 * MINUTE, "form_error", "x")]
    late = World().hear(event(FORM, MINUTE, name="Form Submitted"), event(FORM, 0)).until(DAY)
    assert late.last == []


@settings(max_examples=5)
@given(st.integers(0, 99))
def test_what_is_kept_is_bounded_and_what_goes_is_counted(seed):
    chance, world, at = random.Random(seed), World(), 0
    for number in range(2000):
        at += chance.choice([1, SECOND, MINUTE])
        kind, place = chance.choice(list(KINDS)), "p" * 500 + str(chance.randrange(300))
        place = place[-chance.choice([4, 500]) :]
        world.program.advance(world.profile, event(kind, at, place, number))
    trouble = world.profile.trouble
    assert trouble is not None
    assert all(len(marks) <= MARKS for marks in trouble.marks.values())
    assert len(trouble.last) == LAST
    assert world.program.stats["friction_full"] > 0
    assert len(record.dump(world.profile)) < 16 * 1024


def test_a_topology_without_friction_keeps_nothing():
    program = Program("test", [d.Journey("j", "1.0", triggers=(TOLD,))])
    profile = program.load("c", None)
    program.advance(profile, event("payment_failure", 0))
    assert (profile.trouble, profile.timers) == (None, {})
