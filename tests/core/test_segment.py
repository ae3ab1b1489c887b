"""Segments: entered and left at the instant, also where nothing happens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR, MINUTE
from rumbo.core.program import Program
from tests.core.test_step import MESSAGE, START, A, B, event, run

ACTIVE = d.Segment("active", d.Happened(A, 2, 7 * DAY))


def segments(*made: d.Segment, **parts) -> d.Journey:
    return d.Journey("j", "1.0", segments=made, **parts)


def test_a_segment_is_left_on_time_with_no_event():
    """Two within seven days; the first is seven days old at day 7, and nothing has happened."""
    found = run(segments(ACTIVE), event("A"), event("A", DAY), until=30 * DAY)
    assert found == [(DAY, "entered active"), (7 * DAY, "left active")]


def test_what_keeps_it_up_keeps_it():
    """Each new one moves the end, and the timer finds it."""
    found = run(segments(ACTIVE), *(event("A", at * DAY) for at in range(5)), until=30 * DAY)
    assert found == [(DAY, "entered active"), (10 * DAY, "left active")]


def test_silence_is_entered_on_time():
    quiet = d.Segment("quiet", d.Idle(A, 30 * DAY))
    found = run(segments(quiet), event("A"), event("A", DAY), event("A", 40 * DAY), until=80 * DAY)
    assert found == [(31 * DAY, "entered quiet"), (40 * DAY, "left quiet"), (70 * DAY, "entered quiet")]


def test_a_score_that_decays_leaves_the_segment_at_its_instant():
    """A level has no hysteresis: left at the first instant below, t0 + H log2(S/theta)."""
    score = d.Score("s", (d.Points("a", A, 40.0, half_life=10 * DAY),))
    warm = d.Segment("warm", d.Level("s", 20.0))
    found = run(segments(warm, scores=(score,)), event("A"), until=60 * DAY)
    assert [what for _, what in found] == ["entered warm", "left warm"]
    assert 10 * DAY <= found[1][0] <= 10 * DAY + 1


def test_what_holds_of_everybody_holds_from_the_first_interaction():
    """`not` an event that this one is not; where it is that event, the segment is never entered."""
    never_b = d.Segment("never_b", d.Not(d.Happened(B)))
    assert run(segments(never_b), event("A"), event("B", HOUR)) == [(0, "entered never_b"), (HOUR, "left never_b")]
    assert run(segments(never_b), event("B")) == []


def test_segments_of_segments_follow_at_the_same_instant():
    """Also by time alone, and however many in a row."""
    both = d.Segment("both", d.All((d.InSegment("active"), d.Happened(B))))
    most = d.Segment("most", d.InSegment("both"))
    found = run(segments(ACTIVE, both, most), event("B"), event("A"), event("A", DAY), until=30 * DAY)
    assert found == [(DAY, f"entered {name}") for name in ("active", "both", "most")] + [
        (7 * DAY, f"left {name}") for name in ("active", "both", "most")
    ]


def test_stages_and_triggers_hang_on_segments():
    """A stage whose criterion is a segment, a way back when it is left, and triggers on both changes."""
    back = d.Back("one", d.Not(d.InSegment("active")))
    journey = segments(
        ACTIVE,
        stages=(d.Stage("one"), d.Stage("two", d.InSegment("active"), back=(back,))),
        triggers=(
            d.Trigger("hello", d.OnSegment("active"), MESSAGE),
            d.Trigger("bye", d.OnSegment("active", "left"), MESSAGE),
        ),
    )
    found = run(journey, event("A"), event("A", DAY), until=30 * DAY)
    assert found == [
        (DAY, "entered active"),
        (DAY, "forward two"),
        (DAY, "hello"),
        (7 * DAY, "left active"),
        (7 * DAY, "backward one"),
        (7 * DAY, "bye"),
    ]


def test_a_segment_of_a_stage_changes_with_it():
    """Asked again after the move, so that membership is never behind the stage."""
    here = d.Segment("here", d.InStage(("two",)))
    journey = segments(here, stages=(d.Stage("one"), d.Stage("two", d.Happened(A))))
    assert run(journey, event("A")) == [(0, "forward two"), (0, "entered here")]


@given(st.lists(st.integers(0, 20 * 24 * 60), max_size=25))
def test_membership_is_what_the_window_says_at_every_change(minutes):
    """Against the definition itself: the times of the events, and nothing else."""
    times = sorted(set(minutes))
    found = run(segments(ACTIVE), *(event("A", at * MINUTE) for at in times), until=60 * DAY)

    def holds(now: int) -> bool:
        return sum(1 for at in times if now - 7 * DAY < at * MINUTE <= now) >= 2

    looks = sorted({at * MINUTE for at in times} | {at * MINUTE + 7 * DAY for at in times})
    expected, inside = [], False
    for now in looks:
        if holds(now) is not inside:
            inside = not inside
            expected.append((now, f"{'entered' if inside else 'left'} active"))
    assert found == expected


def test_membership_survives_storing():
    program = Program("test", [segments(ACTIVE)])
    profile = program.load("c", None)
    for each in (event("A"), event("A", DAY)):
        program.advance(profile, each)
    again = program.load("c", program.dump(profile))
    assert again.journeys["j"].segments == {"active": START + DAY}
    assert [each.data.change for each in program.fire(again, START + 30 * DAY)] == ["left"]
