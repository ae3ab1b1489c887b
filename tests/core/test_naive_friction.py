"""Kinds of friction that are so many in a time, against a naive second implementation that looks at all that came."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.instant import DAY, MINUTE, SECOND
from rumbo.topology.friction import KINDS
from tests.core.test_friction import World, event, rule

COUNTED = ("rage_click", "form_error", "error_page", "repeated_ticket", "payment_failure")
UNIT = {"rage_click": SECOND // 2, "form_error": 2 * MINUTE, "error_page": 5 * MINUTE, "repeated_ticket": DAY, "payment_failure": MINUTE}  # fmt: skip
histories = st.lists(st.tuples(st.integers(0, 40), st.sampled_from("xy")), max_size=14, unique_by=lambda each: each[0]).map(sorted)  # fmt: skip


def naive(kind: str, history: list[tuple[int, str]]) -> list[tuple[int, str, str]]:
    """What has told once is spent; the others count until their time is over."""
    usual, unit = KINDS[kind], UNIT[kind]
    free: dict[str, list[int]] = defaultdict(list)
    told = []
    for step, place in history:
        at, where = step * unit, "" if kind in {"error_page", "payment_failure"} else place
        free[where].append(at)
        near = [each for each in free[where] if each > at - usual.within] if usual.count > 1 else [at]
        if len(near) >= usual.count:
            told.append((at, kind, place))
            free[where] = []
    return told


@given(st.sampled_from(COUNTED), histories)
def test_what_is_told_is_what_a_look_at_all_that_came_finds(kind, history):
    """The same instants and places, in order."""
    world = World(d.Friction((rule(kind),)))
    told = []
    for number, (step, place) in enumerate(history):
        before = len(world.told)
        world.hear(event(kind, step * UNIT[kind], place, number))
        told += world.last[-1:] if len(world.told) > before else []
    assert told == naive(kind, history)
