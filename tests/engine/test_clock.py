"""When timers fire with no event: never before what is still to be read, never backwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rumbo.engine.clock import AHEAD, event_clock, live_clock
from rumbo.engine.position import Position, SourcePosition

DAY = 86_400_000_000
instants = st.integers(0, 10_000 * DAY)
sources = st.dictionaries(st.sampled_from("abcd"), st.tuples(instants, st.integers(0, DAY), st.booleans()), min_size=1)


def position(given_, now=0):
    """A position whose sources have seen these event times."""
    return Position(sources={name: SourcePosition(0, 1, clock=at) for name, (at, _, _) in given_.items()}, clock=now)


def lateness(given_):
    return {name: late for name, (_, late, _) in given_.items()}


def caught_up(given_):
    return {name: done for name, (_, _, done) in given_.items()}


@given(sources, instants)
def test_the_clock_never_goes_back(seen, now):
    """Whatever the sources say, and whatever the wall does."""
    at = position(seen, now)
    assert event_clock(at, lateness(seen), caught_up(seen)) >= now
    assert live_clock("live", at, lateness(seen), wall=0, broker=1) >= now


@given(sources)
def test_a_source_that_lags_holds_the_clock(seen):
    """Its next event may be as old as its clock less its lateness, and that instant itself is still open."""
    clock = event_clock(position(seen), lateness(seen), caught_up(seen))
    for at, late, done in seen.values():
        if not done:
            assert clock <= max(0, at - late - 1)


@given(sources)
def test_when_nothing_lags_the_furthest_source_leads(seen):
    """A source with no traffic does not hold the others for ever."""
    everything = dict.fromkeys(seen, True)
    wanted = max([at - late - 1 for at, late, _ in seen.values() if at], default=0)
    assert event_clock(position(seen), lateness(seen), everything) == max(0, wanted)


@given(sources, instants, instants.filter(bool))
def test_the_wall_is_held_by_the_brokers_time_and_the_lateness(seen, wall, broker):
    """A machine whose clock runs ahead fires nothing early."""
    late = max(lateness(seen).values())
    assert live_clock("live", position(seen), lateness(seen), wall=wall, broker=broker) <= max(
        0, min(wall, broker + AHEAD) - late - 1
    )


@given(sources, instants, instants)
def test_a_log_clock_never_looks_at_the_wall(seen, wall, broker):
    """Demo, replay and backfill are the same whenever they run."""
    assert live_clock("log", position(seen), lateness(seen), wall=wall, broker=broker) == 0
