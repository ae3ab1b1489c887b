"""Withdrawing a decision: ids are a function of the input, and what is remembered for it is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rumbo.core.decision import Decision, decision_id
from rumbo.core.definition import Journey
from rumbo.core.identity import Identity
from rumbo.core.profile import Profile
from rumbo.core.retraction import Standing, remember, retraction, standing, take
from rumbo.core.scope import Scope
from tests.core.test_step import START, event

WHO = Identity("t", Journey("j", "2.1"))
WHAT = Standing("a" * 64, "action.requested", START)


def withdrawal(at):
    scope = Scope()
    scope.sees(Profile("u", clock=START + at), event("A", at), START + at)
    return retraction(WHO, scope, WHAT, "late_event", rule="late event")


def made(number):
    return Decision(str(number), "score.changed", "u", START, "j", None)


def test_a_retraction_names_what_it_withdraws_and_has_an_id_of_the_input():
    """The same withdrawal on the same input has the same id, wherever it is computed; on another input another one."""
    first = withdrawal(5)
    assert first.id == withdrawal(5).id != withdrawal(6).id
    assert first.id == decision_id("t", "j", "2", "u", f"retracted:{'a' * 64}", event("A", 5).id)
    assert (first.kind, first.data.retracts, first.data.retracted, first.data.reason) == (
        "decision.retracted",
        "a" * 64,
        "action.requested",
        "late_event",
    )
    assert first.data.because.events[0].id == event("A", 5).id


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=40),
    st.integers(1, 8),
    st.sets(st.integers(0, 5)),
)
def test_what_came_of_some_interactions_is_found_and_forgotten(decided, most, of):
    """The last ones of all that was decided, in their order; taken once, never again."""
    rows, dropped = [], 0
    for number, source in decided:
        dropped += remember(rows, made(number), str(source), most)
    kept = decided[-most:] if decided else []
    assert len(rows) == len(kept) == len(decided) - dropped
    names = {str(each) for each in of}
    assert take(rows, names) == [standing(made(number)) for number, source in kept if source in of]
    assert take(rows, names) == []
    assert len(rows) == sum(source not in of for _, source in kept)
