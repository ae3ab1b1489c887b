"""Sessions by a gap of inactivity, and the time on each page: figures in any order of arrival, signals at their instant."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core import profile as record
from rumbo.core.instant import MINUTE, SECOND
from rumbo.core.interaction import Interaction, folded
from rumbo.core.program import Program
from rumbo.core.visit import PAGES, SPANS, VIEWS, by_page, dwell
from tests.core.one_customer import START, OneCustomer

GAP = 30 * MINUTE
VIEW = d.EventTest(("pageviewed", "click"), None, "Page Viewed or Click")
SESSIONS = d.Derived(d.Sessions(VIEW, GAP))


def on(name: str) -> d.Trigger:
    return d.Trigger(folded(name), d.OnEvent(d.EventTest((folded(name),), None, name)), d.Action("crm"))


SIGNALS = tuple(on(name) for name in ("Session Started", "Page Left", "Session Ended"))


def event(name: str, at: int, page: str | None = None, number: int = 0) -> Interaction:
    said = b"{}" if page is None else f'{{"path":"{page}"}}'.encode()
    return Interaction("c", name, folded(name), f"{name}-{at}-{number}", START + at, "t", 0, number, said)


class World(OneCustomer):
    def __init__(self, *triggers: d.Trigger, **parts) -> None:
        super().__init__(Program("test", [d.Journey("j", "1.0", triggers=triggers, **parts)], derived=SESSIONS))


def test_a_session_ends_when_its_gap_has_passed_and_an_interaction_at_that_instant_still_belongs_to_it():
    views = (event("Page Viewed", 0, "/a"), event("Click", GAP), event("Page Viewed", 2 * GAP, "/b"))
    assert World(*SIGNALS).hear(*views).until(9 * GAP).asked() == [
        (0, "sessionstarted"),
        (2 * GAP, "pageleft"),
        (3 * GAP, "pageleft"),
        (3 * GAP, "sessionended"),
    ]
    apart = (event("Page Viewed", 0, "/a"), event("Page Viewed", GAP + 1, "/b"))
    names = [name for _, name in World(*SIGNALS).hear(*apart).until(9 * GAP).asked()]
    assert names == ["sessionstarted", "pageleft", "sessionended"] * 2


def test_what_does_not_count_makes_no_session_and_prolongs_none():
    world = World(*SIGNALS).hear(event("Invoice Paid", 0), event("Page Viewed", MINUTE), event("Invoice Paid", GAP))
    assert [at for at, _ in world.until(9 * GAP).asked()] == [MINUTE, MINUTE + GAP]


def test_a_page_is_left_with_the_next_view_and_the_last_one_with_the_last_interaction():
    """Seconds of the signal, and of what is kept."""
    world = World(on("x")).hear(
        event("Page Viewed", 0, "/a"),
        event("Page Viewed", 10 * SECOND, "/b"),
        event("Click", 15 * SECOND),
        event("Page Viewed", 40 * SECOND, "/a"),
        event("Click", 45 * SECOND),
    )
    assert world.profile.visits is not None
    times = {page: (time // SECOND, views) for page, (time, views, _) in by_page(world.profile.visits).items()}
    assert times == {"/a": (15, 2), "/b": (30, 1)}


def test_time_on_pages_is_a_condition():
    """Of one visit or several, by name or by how it begins, of all that is kept or of the last session."""
    conditions = {
        "pricing": d.Dwell(60 * SECOND, ("/pricing*",)),
        "exact": d.Dwell(60 * SECOND, ("/pricing",)),
        "session": d.Dwell(40 * SECOND, ("/pricing*",), last_session=True),
        "any": d.Dwell(90 * SECOND),
    }
    rising = [d.Trigger(name, d.OnCondition(when), d.Action("crm")) for name, when in conditions.items()]
    world = World(*rising).hear(
        event("Page Viewed", 0, "/pricing"),
        event("Page Viewed", 30 * SECOND, "/pricing/team"),
        event("Page Viewed", 65 * SECOND, "/docs"),
        event("Click", 95 * SECOND),
        event("Page Viewed", GAP * 3, "/pricing"),
        event("Click", GAP * 3 + 30 * SECOND),
    )
    assert world.until(GAP * 9).asked() == [
        (65 * SECOND, "pricing"), (65 * SECOND, "session"), (95 * SECOND, "any"), (GAP * 3 + 30 * SECOND, "exact"),
    ]  # fmt: skip


def test_signals_count_and_score_like_any_event():
    """Three sessions in a window; points for each."""
    started = d.EventTest(("sessionstarted",), None, "Session Started")
    score = d.Score("s", (d.Points("p", started, 10.0),), bands=(d.Band("warm", 20, 10),))
    often = d.Trigger("often", d.OnCondition(d.Happened(started, 3, 20 * GAP)), d.Action("crm"))
    warm = d.Trigger("warm", d.OnBand("s", "warm"), d.Action("crm"))
    world = World(often, warm, scores=(score,)).hear(*(event("Click", at * 3 * GAP) for at in range(3)))
    assert world.until(9 * GAP).asked() == [(3 * GAP, "warm"), (6 * GAP, "often")]


def test_a_strict_sequence_is_not_broken_by_what_is_derived():
    steps = tuple(d.SequenceStep(d.EventTest(("pageviewed",), None, "Page Viewed"), strict=at > 0) for at in range(3))
    world = World(d.Trigger("three", d.Sequence(steps, GAP), d.Action("crm")), *SIGNALS[1:2])
    world.hear(*(event("Page Viewed", at * SECOND, f"/{at}") for at in range(3)))
    assert (2 * SECOND, "three") in world.until(SECOND * 3).asked()


histories = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from(["/a", "/b", None])), min_size=1, max_size=24, unique_by=lambda each: each[0]
)  # fmt: skip


def naive(history: list[tuple[int, str | None]]) -> dict[str, int]:
    """Time on each page, recomputed from the whole history."""
    found: dict[str, int] = {}
    for place, (at, page) in enumerate(history):
        if page is None:
            continue
        end = at
        for later, other in history[place + 1 :]:
            if later - end > GAP // MINUTE:
                break
            end = later
            if other is not None:
                break
        found[page] = found.get(page, 0) + end - at
    return found


@given(histories, st.randoms())
def test_the_figures_are_the_same_in_every_order_within_a_gap_and_equal_a_recomputation(history, chance):
    """Time on each page and the last sessions, shuffled within a lateness as long as the gap; recomputed where all sessions are kept.

    Of the oldest session that is kept only the sums count: one that is in two parts for a while takes its place.
    """
    history = sorted(history, key=lambda each: each[0])
    late = {at: at + chance.random() * GAP / MINUTE for at, _ in history}
    kept = []
    for each in (history, sorted(history, key=lambda each: late[each[0]])):
        profile = World().hear(*(event("Page Viewed", at * MINUTE, page, at) for at, page in each)).profile
        times = {page: dwell(profile, lambda name, page=page: name == page) for page in ("/a", "/b")}
        assert profile.visits is not None
        kept.append((profile.visits.spans[1 - SPANS :], times))
    assert kept[0] == kept[1]
    breaks = sum(later[0] - before[0] > GAP // MINUTE for before, later in pairwise(history))
    if breaks < SPANS:
        expected = naive(history)
        assert kept[0][1] == {page: expected.get(page, 0) * MINUTE for page in ("/a", "/b")}


@given(histories, st.data())
def test_a_producers_repeats_change_nothing(history, data):
    events = [event("Page Viewed", at * MINUTE, page, at) for at, page in history]
    world = World(*SIGNALS).hear(*events)
    before, said = record.dump(world.profile), len(world.decisions)
    world.hear(*events[data.draw(st.integers(0, len(events))) :])
    assert (record.dump(world.profile), len(world.decisions)) == (before, said)


@settings(max_examples=5)
@given(st.integers(0, 99))
def test_what_is_kept_is_bounded_and_what_goes_is_counted(seed):
    """Two thousand views of two hundred pages in many sessions: the time of what is kept adds up to no more than there was."""
    chance, world, at = random.Random(seed), World(*SIGNALS), 0
    for number in range(2000):
        at += chance.choice([SECOND, MINUTE, MINUTE, GAP * 2])
        world.decisions += world.program.advance(
            world.profile, event("Page Viewed", at, f"/{chance.randrange(200)}", number)
        )
    visits = world.profile.visits
    assert visits is not None
    assert (len(visits.spans), len(visits.views) <= VIEWS, len(visits.pages)) == (SPANS, True, PAGES)
    assert world.program.stats["pages_full"] > 0
    assert len(record.dump(world.profile)) < 16 * 1024
    assert 0 < dwell(world.profile, lambda _: True) <= at


def test_a_topology_without_sessions_keeps_none():
    program = Program("test", [d.Journey("j", "1.0", triggers=SIGNALS)])
    profile = program.load("c", None)
    program.advance(profile, event("Page Viewed", 0, "/a"))
    assert profile.visits is None
    assert profile.timers == {}
