"""What a step costs follows the rules that could fire, not the rules that there are: calls of functions are counted, no time is measured."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import msgspec
import pytest

from rumbo.core import definition as d
from rumbo.core.instant import DAY, HOUR, parse_instant
from rumbo.core.interaction import Interaction, folded
from rumbo.core.program import Program

START = parse_instant("2026-01-01T00:00:00Z")
ACTION = d.Action("message")
NAMES = ("Page Viewed", "Product Viewed", "Order Completed", "Search Performed")
SCORE = d.Score(
    "engagement",
    tuple(d.Points(name, d.EventTest((folded(name),), None, name), 5.0, half_life=14 * DAY) for name in NAMES[:3]),
    bands=(d.Band("warm", 20, 12),),
)
STAGES = (
    d.Stage("first"),
    d.Stage("second", d.Happened(d.EventTest((folded(NAMES[1]),)), 3)),
    d.Stage("third", d.Happened(d.EventTest((folded(NAMES[2]),)), 2)),
    d.Stage("never", d.Happened(d.EventTest(("never",)))),
)


def never(number: int) -> d.EventTest:
    """Interactions that do not come."""
    return d.EventTest((f"never{number}",), None, f"Never {number}")


OTHERS: dict[str, Callable[[int], d.On]] = {
    "event": lambda number: d.OnEvent(never(number)),
    "condition": lambda number: d.OnCondition(d.Happened(never(number), 2)),
    "window": lambda number: d.OnCondition(d.Happened(never(number), 2, HOUR)),
    "absence": lambda number: d.Absence(never(number), DAY, never(number)),
    "absence in a stage": lambda number: d.Absence(never(number), DAY, d.OnStage("never")),
    "stage": lambda _: d.OnStage("never"),
    "sequence": lambda number: d.Sequence((d.SequenceStep(never(number)), d.SequenceStep(never(number + 1))), DAY),
}


def program(count: int, kind: str) -> Program:
    """Ten triggers that can match, and others that cannot."""
    can = [d.Trigger(f"t{number}", d.OnEvent(d.EventTest((folded(NAMES[number % 4]),))), ACTION) for number in range(5)]
    can += [
        d.Trigger(f"w{number}", d.OnCondition(d.InStage((STAGES[number % 3].name,))), ACTION) for number in range(5)
    ]
    cannot = [d.Trigger(f"n{number}", OTHERS[kind](number), ACTION) for number in range(count - len(can))]
    return Program("test", [d.Journey("j", "1.0", (SCORE,), STAGES, (*can, *cannot))])


def calls(made: Program) -> tuple[int, int]:
    """How many functions are called to step a history, and how many decisions come of it."""
    counted = 0
    history = [
        Interaction(
            "c", name, folded(name), f"m{at}", START + at * HOUR, "t", 0, at, msgspec.json.encode({"value": at})
        )
        for at, name in enumerate(NAMES * 5)
    ]

    def count(_frame, what, _arg):
        nonlocal counted
        counted += what == "call"

    step(made, history)  # the texts of its instants are kept from here on
    gc.collect()
    gc.disable()  # what other tests left must not be finalized in the middle
    sys.setprofile(count)
    try:
        decisions = step(made, history)
    finally:
        sys.setprofile(None)
        gc.enable()
    return counted, decisions


def step(made: Program, history: list[Interaction]) -> int:
    """A customer's whole history; how many decisions come of it."""
    profile = made.load("c", None)
    return sum(len(made.advance(profile, each)) for each in history)


@pytest.mark.parametrize("kind", OTHERS)
def test_triggers_that_cannot_match_cost_nothing(kind):
    """Of three hundred as much as of ten, also where a stage or a band changes."""
    assert calls(program(310, kind)) == calls(program(20, kind))


def test_what_can_match_is_counted():
    """The measure itself: a trigger more on an interaction that comes costs more."""
    more = d.Trigger("more", d.OnEvent(d.EventTest((folded(NAMES[0]),))), ACTION)
    ten = program(10, "event").journeys[0]
    eleven = Program("test", [msgspec.structs.replace(ten, triggers=(*ten.triggers, more))])
    assert calls(eleven)[0] > calls(program(10, "event"))[0]
