"""Flows against a naive second implementation: each beginning is followed for itself through the whole history."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.flowing import LIVE
from rumbo.core.instant import DAY, HOUR
from tests.core.test_flow import EXIT, ON_A, World, act, flow
from tests.core.test_step import C, event

END = 40 * DAY
Steps = list[tuple[str, int, str]]

steps = st.lists(
    st.one_of(
        st.just(("act", 0, "")),
        st.tuples(st.just("wait"), st.integers(1, 30), st.just("")),
        st.tuples(st.just("until"), st.integers(1, 30), st.sampled_from(["next", "leave"])),
    ),
    min_size=1, max_size=5,
)  # fmt: skip
histories = st.lists(st.tuples(st.integers(0, 90), st.sampled_from("AAABCCD")), max_size=24).map(
    lambda made: sorted(made, key=lambda each: each[0])
)
ways = st.sampled_from(["once", "after_exit", "cooldown", "always"])


def followed(start: int, history: list[tuple[int, str]], steps: Steps, *, exits: bool, goal: bool) -> tuple[list[tuple[int, str]], tuple[int, int] | None]:  # fmt: skip
    """What an instance that begins with this interaction says, and when it is over: (instant, the last interaction before that)."""
    now, seen, came = history[start][0] * HOUR, start, "A"
    out = [(now, "in")]
    for kind, hours, otherwise in steps:
        if kind == "act":
            out.append((now, "mail"))
            continue
        if kind == "until" and came == "C":  # what led here is here still
            continue
        due = now + hours * HOUR
        here = [(at, each) for at, each in enumerate(history) if at > seen and each[0] * HOUR <= due]
        for at, (hour, name) in here:
            if (name == "B" and exits) or (name == "D" and goal):
                return [*out, (hour * HOUR, "exit" if name == "B" else "goal")], (hour * HOUR, at)
            if name == "C" and kind == "until":
                now, seen, came = hour * HOUR, at, name
                break
        else:
            now, seen, came = due, here[-1][0] if here else seen, ""
            if kind == "until" and otherwise == "leave":
                return [*out, (now, "timeout")], (now, seen)
    return [*out, (now, "end")], (now, seen)


def naive(history: list[tuple[int, str]], steps: Steps, again: str, cooldown: int, *, exits: bool, goal: bool) -> list[tuple[int, str]]:  # fmt: skip
    out: list[tuple[int, str]] = []
    over: list[tuple[int, int]] = []
    for at, (hour, name) in enumerate(history):
        if name != "A":
            continue
        now = hour * HOUR
        live = [end for end in over if not (end[0] < now or (end[0] == now and end[1] < at and _by_hand(end, history)))]
        if (again == "once" and over) or (again in {"after_exit", "cooldown"} and live) or len(live) >= LIVE:
            continue
        if again == "cooldown" and over and now < over[-1][0] + cooldown:
            continue
        said, end = followed(at, history, steps, exits=exits, goal=goal)
        out += said
        assert end is not None
        over.append(end)
    return out


def _by_hand(end: tuple[int, int], history: list[tuple[int, str]]) -> bool:
    """Whether an interaction ended it, not a timer: those go after the interactions of their instant."""
    return history[end[1]][0] * HOUR == end[0]


@settings(max_examples=100)
@given(steps, histories, ways, st.integers(0, 20), st.booleans(), st.booleans())
def test_every_instance_is_what_following_it_alone_finds(made, history, again, hours, exits, goal):  # noqa: PLR0917  what is drawn
    """Entries by each rule of re-entry, waits, what ends them, exits and goals: the same, instant by instant."""
    words: dict[str, Any] = {
        "act": lambda _h, _o: act(),
        "wait": lambda hours_, _o: d.Wait(hours_ * HOUR),
        "until": lambda hours_, otherwise: d.Wait(hours_ * HOUR, until=d.Comes(C), otherwise=otherwise),
    }
    enter = d.Enter(ON_A, again=again, cooldown=hours * HOUR if again == "cooldown" else 0)
    parts = {**({"exit": EXIT} if exits else {}), **({"goal": d.Comes(d.EventTest(("d",), None))} if goal else {})}
    world = World(flow(*(words[kind](length, otherwise) for kind, length, otherwise in made), enter=enter, **parts))
    for number, (hour, name) in enumerate(history):
        world.run(event(name, hour * HOUR, f"{number:03}"), until=0)
    decided = [(at, what.split(" ")[0]) for at, what in world.run(until=END)]
    assert sorted(decided) == sorted(naive(history, made, again, hours * HOUR, exits=exits, goal=goal))
