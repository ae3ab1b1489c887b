"""Survey answers: the latest of each survey, in every order of arrival, with its class and the stages that led to it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core import profile as record
from rumbo.core.answer import COMMENT, PATH, SURVEYS, answers_of, class_of
from rumbo.core.instant import DAY
from rumbo.core.interaction import Interaction, folded
from rumbo.core.mistyped import Mistyped
from rumbo.core.program import Program
from rumbo.local import profile_view
from tests.core.one_customer import START, OneCustomer

ANSWERED = d.EventTest(("surveyanswered",), None, "Survey Answered")
FIELDS = {"comment": "event.properties.comment"}
KINDS = d.AnswerRule(ANSWERED, "event.properties.kind", **FIELDS)
NPS = d.AnswerRule(ANSWERED, "'nps'", **FIELDS)
STAGES = ("one", "two", "three")


def staged(names) -> d.Journey:
    """A journey of stages that are entered on the event of their name."""
    made = (d.Stage(names[0]), *(d.Stage(each, d.Happened(d.EventTest((each,), None, each))) for each in names[1:]))
    return d.Journey("j", "1.0", stages=made)


def program(*rules: d.AnswerRule, stages=STAGES) -> Program:
    return Program("test", [staged(stages)], derived=d.Derived(answers=rules))


def event(name: str, at: int, number: int = 0, **said) -> Interaction:
    return Interaction("c", name, folded(name), f"e-{number:03}", START + at, "t", 0, number, msgspec.json.encode(said))


def answer(at: int, score, number: int = 0, survey: str = "s", **said) -> Interaction:
    return event("Survey Answered", at, number, survey=survey, score=score, **said)


def hear(machine: Program, *events: Interaction):
    return OneCustomer(machine).hear(*events).profile


SURVEY = st.sampled_from([f"s{n}" for n in range(SURVEYS + 4)])
GIVEN = st.lists(st.tuples(SURVEY, st.integers(0, 30), st.integers(0, 10)), max_size=40)


@settings(max_examples=150)
@given(GIVEN, st.data())
def test_the_same_answers_are_kept_in_every_order_of_arrival_and_repeats_change_nothing(given_, data):
    """The latest of each survey, of the surveys answered last: as many as there is room for."""
    events = [answer(at * DAY, score, n, survey) for n, (survey, at, score) in enumerate(given_)]
    again = data.draw(st.lists(st.sampled_from(events), max_size=10)) if events else []
    machine = program(NPS, stages=("one",))
    machine = Program("test", machine.journeys, ring_size=1, derived=d.Derived(answers=(NPS,)))  # repeats come through
    kept = answers_of(hear(machine, *data.draw(st.permutations(events + again))))
    latest: dict = {}
    for each, (survey, _, score) in sorted(zip(events, given_, strict=True), key=lambda one: (one[0].at, one[0].id)):
        latest[survey] = (each.at, each.id, score)
    last = sorted(latest.items(), key=lambda one: one[1][:2])[-SURVEYS:]
    assert {survey: (each.at, each.event, each.score) for survey, each in kept} == dict(last)


def test_beyond_the_cap_the_survey_answered_longest_ago_goes_and_is_counted():
    machine = program(NPS)
    profile = hear(machine, *(answer(n * DAY, 5, n, f"s{n}") for n in range(SURVEYS + 3)))
    assert [survey for survey, _ in answers_of(profile)] == [f"s{n}" for n in reversed(range(3, SURVEYS + 3))]
    assert machine.stats["answers_full"] == 3


@pytest.mark.parametrize(
    ("kind", "scores"),
    [
        ("nps", {"detractor": range(7), "passive": (7, 8), "promoter": (9, 10)}),
        ("csat", {"not_satisfied": (1, 2, 3), "satisfied": (4, 5)}),
        ("ces", {"not_easy": (1, 2, 3, 4), "easy": (5, 6, 7)}),
    ],
)
def test_every_score_of_a_scale_has_its_class(kind, scores):
    found = {score: name for name, those in scores.items() for score in those}
    least, most, _ = d.SCALES[kind]
    assert set(found) == set(range(least, most + 1))
    assert {score: class_of(kind, score) for score in found} == found


@pytest.mark.parametrize(
    ("kind", "score", "field", "needs", "came"),
    [
        ("nps", 11, "score", "a whole number from 0 to 10", "another number"),
        ("nps", -1, "score", "a whole number from 0 to 10", "another number"),
        ("NPS", 9.5, "score", "a whole number from 0 to 10", "another number"),
        ("csat", 0, "score", "a whole number from 1 to 5", "another number"),
        ("ces", 8, "score", "a whole number from 1 to 7", "another number"),
        ("nps", "9", "score", "number", "string"),
        ("nps", True, "score", "number", "boolean"),
        ("stars", 4, "kind", "one of nps, csat, ces", "another text"),
        (4, 4, "kind", "string", "number"),
    ],
)
def test_what_is_no_answer_is_counted_by_rule_and_field_and_what_was_known_stays(kind, score, field, needs, came):
    """It is not bent to fit, and the event goes on to everybody else."""
    machine = program(KINDS)
    profile = hear(
        machine, answer(0, 7, 1, kind="nps"), answer(DAY, score, 2, kind=kind), answer(2 * DAY, 3, 3, "t", kind="ces")
    )
    assert [(survey, each.score) for survey, each in answers_of(profile)] == [("t", 3), ("s", 7)]
    assert machine.mistyped == {Mistyped("", "answers", f"event.properties.{field}", needs, came): 1}
    assert machine.stats["answer_ignored"] == 1
    assert profile.events == 3
    assert next(iter(machine.mistyped)).cure.startswith("let the producer send ")


@pytest.mark.parametrize("survey", ["", "  ", None, 7])
def test_an_answer_to_no_survey_is_not_kept(survey):
    machine = program(NPS)
    assert hear(machine, answer(0, 7, survey=survey)).answers is None
    assert machine.stats["answer_ignored"] == 1


def test_a_guard_says_which_interactions_are_answers_and_whole_numbers_with_a_point_are_whole():
    rule = msgspec.structs.replace(
        NPS, events=d.EventTest(("surveyanswered",), "event.properties.done == true", "Survey Answered")
    )
    profile = hear(program(rule), answer(0, 1, 1, done=False), answer(-DAY, 9.0, 2, done=True))
    ((_, kept),) = answers_of(profile)
    assert (kept.score, type(kept.score)) == (9, int)


def test_an_answer_carries_the_stages_until_then_and_not_the_one_that_it_brings():
    """Also when it comes late: the stages of its own time, not of its arrival."""
    moves = (event("two", DAY, 1), event("three", 3 * DAY, 2))
    before = {"j": [["one", START], ["two", START + DAY]]}
    begin = event("Begin", 0, 8)
    inside, late = hear(program(NPS), begin, moves[0], answer(2 * DAY, 4, 3), moves[1]), hear(program(NPS), begin, *moves, answer(2 * DAY, 4, 3))  # fmt: skip
    assert [each.path for _, each in answers_of(inside)] == [before] == [each.path for _, each in answers_of(late)]
    own = Program("test", [staged(("one", "surveyanswered"))], derived=d.Derived(answers=(NPS,)))
    profile = hear(own, begin, answer(DAY, 4, 3))
    assert profile.journeys["j"].stage == "surveyanswered"
    assert [each.path for _, each in answers_of(profile)] == [{"j": [["one", START]]}]


def test_comment_and_path_are_cut_at_their_bounds_and_a_comment_is_kept_only_where_it_is_named():
    names = tuple(f"x{n}" for n in range(PATH + 5))
    moves = [event(name, n * DAY, n) for n, name in enumerate(names)]
    said = answer(40 * DAY, 4, 99, comment="ñ" * 1000)
    ((_, kept),) = answers_of(hear(program(NPS, stages=names), *moves, said))
    assert kept.comment == "ñ" * COMMENT
    assert [stage for stage, _ in kept.path["j"]] == list(names[-PATH:])
    ((_, bare),) = answers_of(hear(program(d.AnswerRule(ANSWERED, "'nps'")), said))
    assert bare.comment == ""


def test_a_topology_without_answers_keeps_none_and_a_profile_without_any_is_read():
    """One byte of a profile says that there are none."""
    profile = hear(program(), answer(0, 7))
    assert profile.answers is None
    kept = record.dump(profile)
    assert record.load(kept) == profile
    machine = program(NPS)
    again = machine.load("c", kept)
    machine.advance(again, answer(DAY, 8, 1))
    assert [each.score for _, each in answers_of(again)] == [8]


def test_a_late_answer_from_beyond_the_reach_of_refolds_counts_without_deciding():
    machine = program(NPS)
    profile = hear(machine, answer(5 * DAY, 2, 1))
    for late in (answer(DAY, 9, 2), answer(DAY, 9, 3, "other")):
        machine.absorb(profile, late)
    assert {survey: each.score for survey, each in answers_of(profile)} == {"s": 2, "other": 9}


def test_the_customer_view_shows_the_latest_first():
    machine = program(NPS)
    profile = hear(machine, event("Begin", 0, 8), answer(DAY, 9, 1), answer(2 * DAY, 3, 2, "after", comment="slow"))
    last, first = msgspec.json.decode(msgspec.json.encode(profile_view(profile, machine, START)))["answers"]
    assert last == {
        "survey": "after", "kind": "nps", "score": 3, "class": "detractor", "at": "2026-01-03T00:00:00Z", "event": "e-002", "comment": "slow",
        "path": {"j": [{"stage": "one", "at": "2026-01-01T00:00:00Z"}]},
    }  # fmt: skip
    assert (first["survey"], first["class"], first["comment"]) == ("s", "promoter", None)
