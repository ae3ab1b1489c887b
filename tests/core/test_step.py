"""Stages, triggers, timers and repeats: rules of the core, and properties about order, time and ids."""

from __future__ import annotations

import gc
import sys
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core import profile as profiles
from rumbo.core.instant import DAY, HOUR, MINUTE, parse_instant
from rumbo.core.interaction import Interaction, folded
from rumbo.core.outputs import (
    ActionRequested,
    ActionSuppressed,
    ScoreChanged,
    SegmentChanged,
    StageChanged,
    StageStuck,
    StageSuggested,
    StageUnstable,
)
from rumbo.core.program import Program
from rumbo.core.repeats import ID_BYTES, fingerprint

START = parse_instant("2026-01-01T00:00:00Z")
MESSAGE = d.Action("message", purpose="service")


def named(name: str, where: str | None = None) -> d.EventTest:
    return d.EventTest((folded(name),), where, name)


A, B, C = named("A"), named("B"), named("C")


def event(name: str, at: int = 0, key: str | None = None, **properties) -> Interaction:
    """An interaction at an offset from the start."""
    return Interaction(
        "c", name, folded(name), key or f"{name}@{at}", START + at, "t", 0, 0, msgspec.json.encode(properties)
    )


def run(journey: d.Journey, *events: Interaction, until: int = 0) -> list:
    """(offset, what) of every decision."""
    program = Program("test", [journey])
    profile = program.load("c", None)
    decisions = [decision for each in events for decision in program.advance(profile, each)]
    decisions += program.fire(profile, START + until)
    return [(each.at - START, brief(each.data)) for each in decisions]


def brief(data) -> str:
    match data:
        case StageChanged(to=to, direction=direction, implied=implied):
            return f"{direction} {to}{' implied' if implied else ''}"
        case StageStuck(stage=stage):
            return f"stuck {stage}"
        case StageUnstable(suggested=stage):
            return f"unstable {stage}"
        case StageSuggested(suggested=stage):
            return f"suggested {stage}"
        case SegmentChanged(segment=name, change=change):
            return f"{change} {name}"
        case ScoreChanged(band=band):
            return f"band {band}"
        case ActionSuppressed(trigger=trigger, gate=gate):
            return f"{gate} {trigger}"
        case ActionRequested(trigger=trigger):
            return trigger
    raise AssertionError(data)


def stages(*made: d.Stage, **parts) -> d.Journey:
    return d.Journey("j", "1.0", stages=made, **parts)


def triggers(*made: d.Trigger) -> d.Journey:
    return d.Journey("j", "1.0", triggers=made)


# Stages ---------------------------------------------------------------------------------------------------------------


def test_a_skip_emits_the_steps_between_as_implied():
    """Funnels never have holes."""
    journey = stages(
        d.Stage("one"), d.Stage("two", d.Happened(A)), d.Stage("three", d.Happened(B)), d.Stage("four", d.Happened(C))
    )
    assert run(journey, event("C")) == [(0, "forward two implied"), (0, "forward three implied"), (0, "forward four")]


def test_without_skips_one_step_an_input():
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A)), d.Stage("three", d.Happened(B)), allow_skip=False)
    assert run(journey, event("B"), event("B", 1)) == [(0, "forward two"), (1, "forward three")]


def test_backward_only_on_a_declared_edge_to_the_instant_and_latches_end():
    """Idle for 30 days takes the customer back; the criterion must be met anew to come forward again."""
    back = d.Back("one", d.Idle(B, 30 * DAY), cooldown=DAY)
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A), back=(back,)))
    found = run(journey, event("B"), event("A", DAY), event("C", 40 * DAY), event("A", 41 * DAY))
    assert found == [(DAY, "forward two"), (30 * DAY, "backward one"), (41 * DAY, "forward two")]


def test_a_side_stage_is_entered_by_silence_and_left_by_what_comes_after():
    """Lapsed exactly N days after the last one; `until` counts from the entry on."""
    lapsed = d.Stage("lapsed", d.Idle(A, 28 * DAY), side=True, until=d.Happened(A))
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A)), lapsed)
    found = run(journey, event("A"), event("A", 3 * DAY), event("A", 50 * DAY), until=90 * DAY)
    assert found == [
        (0, "forward two"),
        (31 * DAY, "aside lapsed"),
        (50 * DAY, "return two"),
        (78 * DAY, "aside lapsed"),
    ]


def test_a_side_stage_that_was_left_is_entered_anew():
    """What let the customer in belongs to that entry: a cancellation of last year does not cancel the renewal."""
    gone = d.Stage("gone", d.Happened(A), side=True, until=d.Happened(B))
    found = run(stages(d.Stage("one"), gone), event("A"), event("B", DAY), event("B", 9 * DAY), event("A", 10 * DAY))
    assert found == [(0, "aside gone"), (DAY, "return one"), (10 * DAY, "aside gone")]


def test_a_side_stage_whose_condition_holds_already_is_entered_at_the_instant_at_which_its_source_is():
    """After the move into the source, and after all interactions of that instant; the first stage is a source too."""
    gone = d.Stage("gone", d.Happened(B), side=True, sources=("two",))
    journey = stages(d.Stage("one"), d.Stage("two", d.Happened(A)), gone)
    assert run(journey, event("B"), event("A", 1), until=1) == [(1, "forward two"), (1, "aside gone")]
    assert run(journey, event("B"), event("A", 1), until=0) == [(1, "forward two")]
    quiet = d.Stage("quiet", d.Idle(A, DAY), side=True, sources=("two",), until=d.Happened(A))
    journey = stages(d.Stage("one"), d.Stage("two", d.Idle(B, 2 * DAY)), quiet)
    assert run(journey, event("A"), event("B"), until=9 * DAY) == [(2 * DAY, "forward two"), (2 * DAY, "aside quiet")]
    never = d.Stage("never", d.Not(d.Happened(A)), side=True, until=d.Happened(A))
    assert run(stages(d.Stage("one"), never), event("B"), until=1) == [(0, "aside never")]
    assert run(stages(d.Stage("one"), never), event("A"), until=1) == []


def test_stages_that_are_each_others_source_are_entered_once_an_instant():
    """Both conditions hold: the customer goes the round once, and stays until something comes."""
    quiet = d.Idle(A, DAY)
    x = d.Stage("x", quiet, side=True, sources=("one", "y"))
    y = d.Stage("y", quiet, side=True, sources=("x",))
    found = run(stages(d.Stage("one"), x, y), event("A"), event("A", 3 * DAY), until=30 * DAY)
    assert found == [(DAY, "aside x"), (DAY, "aside y"), (4 * DAY, "aside x"), (4 * DAY, "aside y")]


def test_stuck_is_said_once_an_entry():
    journey = stages(d.Stage("one", stuck_after=7 * DAY), d.Stage("two", d.Happened(A), stuck_after=DAY))
    assert run(journey, event("B"), event("A", 8 * DAY), until=30 * DAY) == [
        (7 * DAY, "stuck one"),
        (8 * DAY, "forward two"),
        (9 * DAY, "stuck two"),
    ]


@given(st.lists(st.sampled_from("ABC"), max_size=30))
def test_high_water_never_falls(names):
    """Whatever happens, and however often the customer goes back."""
    back = d.Back("one", d.Happened(C), cooldown=0)
    journey = stages(
        d.Stage("one"), d.Stage("two", d.Happened(A), back=(back,)), d.Stage("three", d.Happened(B, 2), back=(back,))
    )
    program = Program("test", [journey])
    profile, highest = program.load("c", None), -1
    for at, name in enumerate(names):
        program.advance(profile, event(name, at))
        rank = ("one", "two", "three").index(profile.journeys["j"].high_water)
        assert rank >= highest
        highest = rank


# Triggers -------------------------------------------------------------------------------------------------------------


def test_a_window_looks_back_from_just_after_its_beginning():
    """(now - W, now]: one exactly W ago does not count."""
    journey = triggers(d.Trigger("t", d.OnEvent(A), MESSAGE, when=d.Happened(A, 2, HOUR)))
    assert run(journey, event("A"), event("A", HOUR)) == []
    assert run(journey, event("A"), event("A", HOUR - 1)) == [(HOUR - 1, "t")]


def test_a_condition_fires_each_time_that_it_becomes_true():
    """A rising edge: not while it stays true, again after it was false."""
    journey = triggers(d.Trigger("t", d.OnCondition(d.Happened(A, 2, HOUR)), MESSAGE))
    found = run(journey, event("A"), event("A", 1), event("A", 2), event("A", 3 * HOUR), event("A", 3 * HOUR + 1))
    assert found == [(1, "t"), (3 * HOUR + 1, "t")]


def test_an_interaction_at_the_instant_at_which_a_condition_would_end_goes_first():
    """So it never ended, and does not become true again; one microsecond later it has."""
    journey = triggers(d.Trigger("t", d.OnCondition(d.Happened(A, 1, 6 * HOUR)), MESSAGE))
    assert run(journey, event("A"), event("A", 6 * HOUR)) == [(0, "t")]
    assert run(journey, event("A"), event("C", 6 * HOUR), event("A", 6 * HOUR)) == [(0, "t")]
    either = d.AnyOf((d.Happened(A, 1, 6 * HOUR), d.Happened(B, 2)))
    found = run(
        triggers(d.Trigger("t", d.OnCondition(either), MESSAGE)), event("A"), event("B", 6 * HOUR), event("A", 6 * HOUR)
    )
    assert found == [(0, "t")]
    assert run(journey, event("A"), event("A", 6 * HOUR + 1)) == [(0, "t"), (6 * HOUR + 1, "t")]


def test_what_time_takes_down_at_an_instant_falls_after_the_interactions_of_that_instant_which_read_scores_at_it():
    """Ten points that last six hours: at the sixth the score is nothing, the band is left after all that comes then."""
    score = d.Score(
        "s",
        (d.Points("a", A, 10.0, decay=d.Steps(1.0, 6 * HOUR)), d.Points("b", B, 1.0)),
        bands=(d.Band("low", 10, 5),),
    )
    made = (
        d.Trigger("in", d.OnEvent(C), MESSAGE, d.InBand("s", "low")),
        d.Trigger("five", d.OnEvent(C), MESSAGE, d.Level("s", 5)),
        d.Trigger("left", d.OnBand("s", "low", "left"), MESSAGE),
    )  # fmt: skip
    journey, at = d.Journey("j", "1.0", (score,), (), made), 6 * HOUR
    assert run(journey, event("A"), event("C", at), until=DAY) == [
        (0, "band low"),
        (at, "in"),
        (at, "band None"),
        (at, "left"),
    ]
    assert run(journey, event("A"), event("C", at + 1)) == [(0, "band low"), (at, "band None"), (at, "left")]
    kept = run(journey, event("A"), event("B", at), event("C", at), event("A", at), until=8 * HOUR)
    assert kept == [(0, "band low"), (at, "in")]
    assert run(journey, event("A"), event("B", at), until=8 * HOUR) == [
        (0, "band low"),
        (at, "band None"),
        (at, "left"),
    ]


def test_a_condition_that_a_new_version_has_ended_becomes_true_again():
    """The timer is still the old version's: what its shorter window ended is looked at before the next interaction."""
    before, after = (
        Program("test", [triggers(d.Trigger("t", d.OnCondition(d.Happened(A, 1, within)), MESSAGE))])
        for within in (6 * HOUR, HOUR)
    )
    profile = before.load("c", None)
    assert len(before.advance(profile, event("A"))) == 1
    assert [each.data.trigger for each in after.advance(profile, event("A", 3 * HOUR))] == ["t"]


def test_a_condition_that_time_alone_makes_true_fires_at_its_instant():
    journey = triggers(d.Trigger("t", d.OnCondition(d.All((d.Idle(A, DAY), d.Happened(B)))), MESSAGE))
    assert run(journey, event("A"), event("B", HOUR), until=3 * DAY) == [(DAY, "t")]


def test_an_absence_ends_when_it_comes_and_events_go_before_timers():
    """No B within 14 days after A; a B at the very instant that it is due still counts."""
    journey = triggers(d.Trigger("t", d.Absence(B, 14 * DAY, A), MESSAGE))
    assert run(journey, event("A"), until=30 * DAY) == [(14 * DAY, "t")]
    assert run(journey, event("A"), event("B", 14 * DAY), until=30 * DAY) == []
    assert run(journey, event("A"), event("B", 14 * DAY + 1), until=30 * DAY) == [(14 * DAY, "t")]


def test_an_absence_from_its_own_last_one_counts_anew():
    journey = triggers(d.Trigger("t", d.Absence(A, 5 * DAY), MESSAGE))
    found = run(journey, event("A"), event("A", 4 * DAY), event("A", 20 * DAY), until=60 * DAY)
    assert found == [(9 * DAY, "t"), (25 * DAY, "t")]


def test_a_silence_that_began_no_later_than_one_that_was_told_is_not_told_afterwards():
    """A late A was there before the silence that has called the trigger, or at its beginning: it begins none. A later one does."""
    journey = triggers(d.Trigger("t", d.Absence(A, 5 * DAY), MESSAGE))
    late = (event("A", DAY, "one"), event("A", DAY, "two"), event("A", 2 * DAY, "three"))
    assert run(journey, event("A", 2 * DAY), event("B", 9 * DAY), *late, until=60 * DAY) == [(7 * DAY, "t")]
    found = run(journey, event("A", 2 * DAY), event("B", 9 * DAY), event("A", 3 * DAY), until=60 * DAY)
    assert found == [(7 * DAY, "t"), (8 * DAY, "t")]
    journey = triggers(d.Trigger("t", d.Absence(B, 5 * DAY, A), MESSAGE))
    assert run(journey, event("A", 2 * DAY), event("C", 9 * DAY), *late, until=60 * DAY) == [(7 * DAY, "t")]


def test_a_silence_since_a_stage_counts_from_the_entry_also_where_a_late_interaction_leads_there():
    """The entry is at the customer's clock, and so is the beginning of the silence."""
    rule = d.Trigger("t", d.Absence(A, 5 * DAY, d.OnStage("two")), MESSAGE)
    journey = d.Journey("j", "1.0", stages=(d.Stage("one"), d.Stage("two", d.Happened(C))), triggers=(rule,))
    found = run(journey, event("B", 9 * DAY), event("C", DAY), until=60 * DAY)
    assert [at for at, what in found if what == "t"] == [14 * DAY]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 12)), max_size=12))
def test_no_silence_is_told_twice_in_whatever_order_interactions_come(came):
    """Of each trigger every id once, also where several late ones are of one instant."""
    on = (d.Absence(A, 2 * DAY), d.Absence(B, 2 * DAY, A), d.Absence(B, 2 * DAY, d.OnStage("gone")))
    gone = d.Stage("gone", d.Happened(C), side=True, until=d.Happened(A))
    rules = tuple(d.Trigger(f"t{number}", each, MESSAGE) for number, each in enumerate(on))
    program = Program("test", [d.Journey("j", "1.0", stages=(d.Stage("one"), gone), triggers=rules)])
    profile, made = program.load("c", None), []
    for number, (name, day) in enumerate(came):
        made += program.advance(profile, event(name, day * DAY, str(number)))
        made += program.fire(profile, profile.clock)
    made += program.fire(profile, START + 60 * DAY)
    assert max(Counter(each.id for each in made).values(), default=1) == 1


def test_the_cool_down_holds_back_and_says_so():
    journey = triggers(d.Trigger("t", d.OnEvent(A), MESSAGE, cooldown=HOUR))
    assert run(journey, event("A"), event("A", HOUR - 1), event("A", HOUR)) == [
        (0, "t"),
        (HOUR - 1, "cooldown t"),
        (HOUR, "t"),
    ]


def test_once_is_once_and_shadow_only_speaks():
    once = d.Trigger("once", d.OnEvent(A), MESSAGE, again="once")
    shadow = d.Trigger("shadow", d.OnEvent(A), MESSAGE, mode="shadow")
    assert run(triggers(once, shadow), event("A"), event("A", 1)) == [
        (0, "once"),
        (0, "shadow shadow"),
        (1, "shadow shadow"),
    ]


def test_parameters_choose_by_the_interaction():
    """Clicked mail A, image A."""
    action = d.Action(
        "content", {"slot": "hero"}, {"image": d.Choice("event.properties.mail", {"A": "a", "B": "b"}, "none")}
    )
    program = Program("test", [triggers(d.Trigger("t", d.OnEvent(A), action))])
    profile = program.load("c", None)
    made = [program.advance(profile, event("A", at, mail=mail))[0].data.params for at, mail in enumerate("ABC")]
    assert made == [{"slot": "hero", "image": "a"}, {"slot": "hero", "image": "b"}, {"slot": "hero", "image": "none"}]


def test_a_decision_says_why():
    """Rule, leaf conditions with what they saw, the event, each gate."""
    trigger = d.Trigger(
        "t", d.OnEvent(named("A", "event.properties.total >= 5")), MESSAGE, when=d.Happened(A, 1, HOUR), cooldown=HOUR
    )
    program = Program("test", [triggers(trigger)])
    because = program.advance(program.load("c", None), event("A", total=7))[0].data.because
    assert because.rule == "trigger t"
    assert [(leaf.condition, leaf.holds, leaf.saw) for leaf in because.conditions] == [
        ("event.properties.total >= 5", True, {"event.properties.total": 7}),
        ("A at least 1 within 1h", True, {"count": 1}),
    ]
    assert [(gate.gate, gate.passed) for gate in because.gates] == [("cooldown", True)]
    assert because.events[0].id == "A@0"


# Properties -----------------------------------------------------------------------------------------------------------

RICH = d.Journey(
    "rich",
    "1.0",
    scores=(
        d.Score(
            "s",
            (
                d.Points("a", A, 10.0, half_life=DAY),
                d.Points("b", B, 7.0, half_life=DAY, once=True),
                d.Points("c", C, -3.0, half_life=DAY),
            ),
            bands=(d.Band("low", 15, 10), d.Band("high", 40, 30)),
        ),
    ),
    stages=(
        d.Stage("one", stuck_after=2 * DAY),
        d.Stage("two", d.Happened(A, 2), back=(d.Back("one", d.Idle(A, 2 * DAY), HOUR),)),
        d.Stage("three", d.InBand("s", "high")),
        d.Stage("gone", d.Idle(B, 3 * DAY), side=True, until=d.Happened(B)),
    ),
    triggers=(
        d.Trigger("count", d.OnCondition(d.Happened(A, 3, 6 * HOUR)), MESSAGE, cooldown=HOUR),
        d.Trigger("quiet", d.Absence(C, DAY, B), MESSAGE),
        d.Trigger("fell", d.OnBand("s", "low", "left"), MESSAGE),
        d.Trigger("came", d.OnStage("two"), MESSAGE, again="once"),
    ),
)
EVERYTHING = msgspec.structs.replace(
    RICH,
    id="everything",
    scores=(
        d.Score(
            "s",
            (
                d.Points("a", A, 10.0, "g", decay=d.Steps(0.25, DAY)),
                d.Points("b", B, 7.0, "g", decay=d.Steps(0.3, 6 * HOUR, geometric=True), at_most=d.AtMost(2, DAY)),
                d.Points("c", C, 9.0, "h", decay=d.Idling((d.IdleStep(DAY, 0.5), d.IdleStep(3 * DAY, set=2.0)))),
                d.Points("d", A, -3.0, half_life=DAY),
            ),
            (d.Group("g", 40.0), d.Group("h")),
            (d.Band("low", 15, 10), d.Band("high", 40, 30)),
            min_delta=25.0,
            disqualify=(d.Disqualify(d.Happened(named("D"), 2, DAY), "too many"),),
            resets=(d.Reset(named("D"), None, 0.5), d.Reset(None, d.InStage(("gone",)), set=3.0, group="g")),
        ),
        d.Score(
            "fit",
            (),
            bands=(d.Band("C", 0, 0), d.Band("A", 5, 5)),
            grades=True,
            traits=(d.Trait("x", "traits.x > 1", 5.0),),
        ),
    ),
    segments=(d.Segment("both", d.All((d.InBand("s", "low"), d.InBand("fit", "C")))),),
    triggers=(
        *RICH.triggers,
        d.Trigger("follows", d.Sequence((d.SequenceStep(A), d.SequenceStep(B, unless=C)), DAY, skip="none"), MESSAGE),
        d.Trigger("next", d.Sequence((d.SequenceStep(A), d.SequenceStep(named("D"), strict=True)), 2 * DAY), MESSAGE),
        d.Trigger("rises", d.Threshold("score", "s", 20.0), MESSAGE),
        d.Trigger("falls", d.Threshold("score", "s", 12.0, "down"), MESSAGE),
        d.Trigger("few", d.Anomaly(A, 6 * HOUR, deviations=0.5, half_life=DAY, warm_up=2), MESSAGE),
        d.Trigger("many", d.Anomaly(B, DAY, "rise", 1.0, 2 * DAY, 1), MESSAGE),
        d.Trigger("joined", d.OnSegment("both"), MESSAGE),
    ),
)
rich = st.sampled_from([RICH, EVERYTHING])
histories = st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(0, 10 * 24 * 60)), max_size=40).map(
    lambda found: [
        event(name, at * MINUTE, f"{number}")
        for number, (name, at) in enumerate(sorted(found, key=lambda each: each[1]))
    ]
)


def play(history, journey=RICH, *, reload_every: int = 0):
    program = Program("test", [journey])
    profile, ids = program.load("c", None), []
    for number, each in enumerate(history):
        ids += [decision.id for decision in program.advance(profile, each)]
        if reload_every and number % reload_every == 0:
            profile = program.load("c", program.dump(profile))
    ids += [decision.id for decision in program.fire(profile, START + 20 * DAY)]
    return ids, profile


@settings(max_examples=40)
@given(histories, rich, st.integers(1, 5))
def test_storing_and_loading_between_any_two_inputs_changes_nothing(history, journey, every):
    """Bytes in, bytes out: the profile holds everything, and every id is the input's alone."""
    assert play(history, journey) == play(history, journey, reload_every=every)


@settings(max_examples=40)
@given(histories, rich, st.data())
def test_replaying_any_stretch_changes_nothing(history, journey, data):
    """Producers repeat events: decisions and state are those of the first time."""
    program = Program("test", [journey])
    profile = program.load("c", None)
    for each in history:
        program.advance(profile, each)
    before = program.dump(profile)
    begin = data.draw(st.integers(0, len(history)))
    for each in history[begin:]:
        assert program.advance(profile, each) == []
    assert program.dump(profile) == before
    assert program.stats["duplicate"] == len(history) - begin


@settings(max_examples=40)
@given(histories, rich)
def test_no_id_is_given_twice(history, journey):
    """Each decision has an id of its own."""
    ids, _ = play(history, journey)
    assert len(ids) == len(set(ids))


@settings(max_examples=40)
@given(histories, rich, st.lists(st.integers(0, 20 * 24 * 60), max_size=10))
def test_when_timers_are_looked_at_does_not_matter(history, journey, looks):
    """Firing what is due early, in pieces, or only with the next event: the same decisions."""
    program = Program("test", [journey])
    profile, ids = program.load("c", None), []
    inputs = sorted(
        [(each.at, 1, each) for each in history] + [(START + at * MINUTE - 1, 0, None) for at in looks],
        key=lambda each: each[:2],
    )
    for at, _, each in inputs:
        ids += [decision.id for decision in (program.advance(profile, each) if each else program.fire(profile, at))]
    ids += [decision.id for decision in program.fire(profile, START + 20 * DAY)]
    assert ids == play(history, journey)[0]


@settings(max_examples=30)
@given(st.integers(0, 400))
def test_a_profile_stays_small_and_bounded(count):
    """Under 1 KB at 20 events, and no collection grows without a cap."""
    _, profile = play([event("ABC"[at % 3], at * MINUTE, f"id-{at}") for at in range(count)])
    assert len(profile.ring) <= 640
    assert all(len(times) <= 64 for times in profile.windows.values())
    size = len(profiles.dump(profile))
    assert size < 1024 if count <= 20 else size < 4096


def test_the_same_id_with_another_body_is_told_apart():
    """The first wins; the conflict is counted."""
    program = Program("test", [RICH])
    profile = program.load("c", None)
    program.advance(profile, event("A", 0, "x", total=1))
    assert program.advance(profile, event("A", 0, "x", total=2)) == []
    assert program.stats["duplicate_conflict"] == 1


def test_events_of_a_late_hour_do_not_raise_a_score_into_the_past():
    """+30 at minute 0, +29.99 at minute 5, then nothing at minute -5: the score is read at the customer's clock, so no band."""
    score = d.Score(
        "s",
        (
            d.Points("a", A, 30.0, half_life=14 * DAY),
            d.Points("b", B, 29.99, half_life=14 * DAY),
            d.Points("c", C, 0.0001, half_life=14 * DAY),
        ),
        bands=(d.Band("hot", 60, 45),),
    )
    journey = d.Journey("j", "1.0", scores=(score,))
    assert run(journey, event("A", 5 * MINUTE), event("B", 10 * MINUTE), event("C", 0)) == []


@pytest.mark.parametrize("ids", [1, 2, 3])
def test_a_score_names_the_last_events_of_each_rule(ids):
    """As many as the score keeps; of a rule that is asked for fewer, those that there were."""
    rules = (d.Points("a", A, 10.0, half_life=14 * DAY), d.Points("b", B, 1.0, half_life=14 * DAY))
    score = d.Score("s", rules, bands=(d.Band("hot", 35, 5),), event_ids=ids)
    program = Program("test", [d.Journey("j", "1.0", scores=(score,))])
    profile, found = program.load("c", None), []
    for each in (event("B", 0, "b"), *(event("A", at, f"a{at}") for at in range(4))):
        found += program.advance(profile, each)
        profile = program.load("c", program.dump(profile))
    (changed,) = found
    assert [each.event_ids for each in changed.data.contributors] == [("a1", "a2", "a3")[-ids:], ("b",)]


@pytest.mark.parametrize("count", [64, 65, 200])
def test_long_windows_count_in_buckets_within_their_stated_error(count):
    """More than 64 within W are counted in buckets of W/32."""
    journey = triggers(d.Trigger("t", d.OnCondition(d.Happened(A, count, 32 * HOUR)), MESSAGE))
    events = [event("A", at * MINUTE) for at in range(count)]
    assert run(journey, *events) == [((count - 1) * MINUTE, "t")]


def test_traits_are_kept_only_where_a_rule_reads_them_and_only_small_ones():
    """The latest by event time; never an anonymous visitor's over a known one's; never a text that would swell the profile."""
    program = Program("test", [triggers(d.Trigger("t", d.OnEvent(A), MESSAGE, when=d.Where("traits.plan == 'pro'")))])
    profile = program.load("c", None)

    def identify(at, *, anonymous=False, **traits):
        made = event("Identified", at)
        made.traits_raw, made.anonymous = msgspec.json.encode(traits), anonymous
        program.advance(profile, made)
        return {name: kept[0] for name, kept in profile.traits.items()}

    assert identify(1, plan="pro", email="a@b.c") == {"plan": "pro"}
    assert identify(0, plan="old") == {"plan": "pro"}
    assert identify(2, anonymous=True, plan="free") == {"plan": "pro"}
    assert identify(3, plan="x" * 10_000) == {"plan": "pro"}
    assert program.stats["trait_too_large"] == 1
    assert [each.data.trigger for each in program.advance(profile, event("A", 5))] == ["t"]


def test_rules_that_cannot_fire_cost_nothing():
    """The calls that an interaction makes are those of the rules that listen to it, of a thousand as of ten."""

    def calls(rules: int) -> int:
        made = tuple(
            d.Trigger(f"t{at}", d.OnEvent(named("A" if at < 10 else f"X{at}", "event.properties.n > 5")), MESSAGE)
            for at in range(rules)
        )
        program = Program("test", [triggers(*made)])
        profile, counted = program.load("c", None), 0
        program.advance(profile, event("A", n=1))

        def count(_frame: object, what: str, _arg: object) -> None:
            nonlocal counted
            counted += what == "call"

        before, step = sys.getprofile(), event("A", 1, n=1)
        gc.disable()  # a collection calls whoever watches it, as Hypothesis does
        sys.setprofile(count)
        try:
            program.advance(profile, step)
        finally:
            sys.setprofile(before)
            gc.enable()
        return counted

    assert calls(1_000) == calls(10)


def test_an_ids_hash_that_stands_across_two_others_is_no_repeat():
    """Only a whole entry of the ring is an id that was met."""
    program, met = Program("test", [d.Journey("j", "1.0")]), event("A")
    profile = program.load("c", None)
    profile.ring = b"12345" + fingerprint(met)[:ID_BYTES] + b"1234567"
    assert not program.knows(profile, met)
    program.advance(profile, met)
    assert profile.events == 1
    assert program.knows(profile, met)
    program.advance(profile, met)
    assert profile.events == 1


def test_what_a_stage_has_for_those_who_are_in_it_goes_with_the_move_into_it():
    """Also with an implied one; a stage that has nothing says nothing, and no id hangs on it."""
    stages = (
        d.Stage("one", content={"hero": "hello"}),
        d.Stage("two", d.Happened(A), content={"hero": "first"}),
        d.Stage("three", d.Happened(B)),
    )

    def moved(*stages: d.Stage) -> list:
        program = Program("test", [d.Journey("j", "1.0", stages=stages)])
        return program.advance(program.load("c", None), event("B"))

    found, plain = moved(*stages), moved(*(msgspec.structs.replace(each, content=None) for each in stages))
    assert [(each.data.to, each.data.content) for each in found] == [
        ("two", {"hero": "first"}),
        ("three", msgspec.UNSET),
    ]
    assert [each.id for each in found] == [each.id for each in plain]
    program = Program("test", [d.Journey("j", "1.0", stages=stages)])
    assert (program.content("j", "one"), program.content("j", "three"), program.content("gone", "one")) == (
        {"hero": "hello"},
        {},
        {},
    )
