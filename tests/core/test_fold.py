"""What is said to hold always does, what is said never to hold never does, whatever the event."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core.expression import compile_expression, parse, verdict
from rumbo.core.interaction import Interaction
from rumbo.core.profile import Profile
from rumbo.core.scope import Scope
from rumbo.core.state import JourneyState
from rumbo.core.vocabulary import Words
from rumbo.intake import Record, SourceFormat, reader


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True), ("1 < 2", True), ("1 > 2", False), ("1 / 0 == 1", False), ("'a' in []", False), ("!(1 == 1)", False),
        ("event.properties.a == 1", None), ("event.properties.a == event.properties.a", None), ("event.properties.a in []", False),
        ("event.properties.a == 1 && event.properties.a == 2", False), ("event.properties.a == 'x' && 'y' == event.properties.a", False),
        ("event.properties.a > 5 && event.properties.a < 5", False), ("event.properties.a >= 5 && event.properties.a <= 5", None),
        ("event.properties.a > 5 && event.properties.a <= 5", False), ("event.properties.a == 3 && event.properties.a != 3", False),
        ("event.properties.a > 5 && event.properties.b < 5", None), ("event.properties.a == 1 && event.properties.a == 1.0", None),
        ("event.properties.a == 7 && event.properties.a < 7.5", None), ("event.properties.a == 8 && event.properties.a < 7.5", False),
        ("event.properties.a == 'x' && event.properties.a > 1", False), ("false || event.properties.a == 1", None),
        ("true || event.properties.a == 1", True), ("false && event.properties.a == 1", False), ("!(event.properties.a == 1 || true)", False),
        ("!(event.properties.a == 1 && event.properties.a == 2)", None), ("2 > 1 ? event.properties.a == 1 : false", None),
        ("2 > 1 ? true : event.properties.a == 1", True), ("event.properties.a == 1 ? false : 1 > 2", False), ("count('A') > 1 && count('A') < 1", False),
    ],
)  # fmt: skip
def test_constants_and_contradictions(text, expected):
    assert verdict(parse(text)) is expected


VALUES = ["1", "2", "2.5", "'x'", "'y'", "true", "null"]
atoms = st.builds(
    lambda left, op, right: f"{left} {op} {right}",
    st.sampled_from(["event.properties.a", "event.properties.b", *VALUES]), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.sampled_from(["event.properties.a", *VALUES]),
)  # fmt: skip
expressions = st.recursive(
    atoms | st.sampled_from(["true", "false", "event.properties.a in []", "event.properties.b"]),
    lambda inner: (
        st.builds(lambda a, op, b: f"({a} {op} {b})", inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds(lambda a: f"!({a})", inner)
        | st.builds(lambda a, b, c: f"({a} ? {b} : {c})", inner, inner, inner)
    ),
    max_leaves=6,
)
properties = st.dictionaries(
    st.sampled_from("ab"), st.sampled_from([1, 2, 3, 2.5, "x", "y", True, False, None, [1]]), max_size=2
)


@given(expressions, st.lists(properties, min_size=1, max_size=6))
def test_a_verdict_is_never_wrong(text, events):
    found, ask = verdict(parse(text)), compile_expression(parse(text), Words().resolver)
    for number, each in enumerate(events):
        answer = ask(scope(each, number))
        assert found is not True or answer is True
        assert found is not False or answer is not True


def scope(said, number) -> Scope:
    event = {
        "type": "track",
        "event": "A",
        "userId": "u",
        "messageId": str(number),
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": said,
    }
    read = reader(SourceFormat())(Record(value=msgspec.json.encode(event)))
    assert isinstance(read, Interaction)
    seen = Scope()
    seen.state = JourneyState()
    seen.sees(Profile("u", clock=read.at), read, read.at)
    return seen
