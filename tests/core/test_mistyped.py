"""Fields of another type than a rule needs: unknown to it, counted by rule and field, once an interaction, and nothing else is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core import definition as d
from rumbo.core.expression import compile_expression, is_unknown, needs, parse
from rumbo.core.expression.value import UNKNOWN
from rumbo.core.interaction import Interaction
from rumbo.core.mistyped import Mistyped
from rumbo.core.program import Program
from rumbo.core.tracking import kind_of
from tests.core.test_step import MESSAGE, event, named

JSON = {"bool": "boolean", "number": "number", "string": "string", "list": "array"}


def met(journey: d.Journey, *events: Interaction, contact: d.Contact | None = None) -> dict[tuple[str, ...], int]:
    """What was counted: (rule, field, needed, came) to the number of interactions."""
    program = Program("test", [journey], contact=contact)
    profile = program.load("c", None)
    for each in events:
        program.advance(profile, each)
    return {(each.rule, each.field, each.needs, each.came): count for each, count in program.mistyped.items()}


def guarded(text: str, **parts: Any) -> d.Journey:
    trigger = d.Trigger("t", d.OnEvent(named("A", text)), MESSAGE, **parts)
    return d.Journey("j", "1.0", triggers=(trigger,))


@pytest.mark.parametrize(
    ("text", "value", "needed"),
    [
        ("event.properties.x > 5", "7", "number"), ("5 < event.properties.x", "7", "number"), ("event.properties.x == 'a'", 5, "string"),
        ("event.properties.x != 'a'", [], "string"), ("event.properties.x in ['a', 'b']", 5, "string"), ("event.properties.x in [1, 2]", "1", "number"),
        ("'a' in event.properties.x", 5, "array"), ("event.properties.x", "true", "boolean"), ("!event.properties.x", 1, "boolean"),
        ("event.properties.x && true", 1, "boolean"), ("true && event.properties.x", "yes", "boolean"), ("event.properties.x ? true : false", 1, "boolean"),
        ("event.properties.x.startsWith('a')", 5, "string"), ("event.properties.x.contains('a')", {}, "string"), ("'abc'.endsWith(event.properties.x)", 5, "string"),
        ("event.properties.x * 2 > 1", "2", "number"), ("event.properties.x - event.properties.y > 1", "2", "number"), ("-event.properties.x < 0", "2", "number"),
        ("timestamp(event.properties.x) > event.time", True, "string"), ("max(event.properties.x, 1) > 3", "2", "number"),
        ("event.properties['x'] > 5", "7", "number"), ("event.properties.x[0] == 1", 5, "array"), ("event.properties.x == size('abc')", "3", "number"),
        ("(true ? event.properties.x : false)", "t", "boolean"),
    ],
)  # fmt: skip
def test_each_construct_tells_of_a_field_that_does_not_fit(text, value, needed):
    """By rule and field, with the type that came and the one that is needed; the rule does not act."""
    assert met(guarded(text), event("A", x=value, y=1)) == {
        ("trigger t", "event.properties.x", needed, kind_of(value)): 1
    }


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("event.properties.x > 5", {"x": 7}), ("event.properties.x > 5", {"x": 7.5}), ("event.properties.x > 5.5", {"x": 7}), ("event.properties.x > 5", {}),
        ("event.properties.x > 5", {"x": None}), ("event.properties.x == null", {"x": 1}), ("has(event.properties.x)", {"x": 1}), ("event.properties.x == event.properties.y", {"x": 1, "y": "1"}),
        ("size(event.properties.x) > 1", {"x": "ab"}), ("double(event.properties.x) > 5.0", {"x": "7"}), ("'k' in event.properties.x", {"x": {"k": 1}}),
        ("false && event.properties.x > 5", {"x": "7"}), ("event.properties.x / 0 > 1", {"x": 1}), ("event.customer == 'c'", {}),
    ],
)  # fmt: skip
def test_what_fits_is_missing_or_is_not_read_is_not_counted(text, properties):
    """A null is an absence; where any type will do, none is wrong; an overflow or a division by zero is another unknown."""
    assert met(guarded(text), event("A", **properties)) == {}


def test_an_interaction_counts_once_for_each_rule_that_reads_the_field_and_listens():
    """However often it is read, and whoever shares the text; a rule on another event has not met it."""
    text = "event.properties.total > 5"
    journey = d.Journey(
        "j", "1.0", (d.Score("s", (d.Points("r", named("A", text), 1.0),)),),
        (d.Stage("one"), d.Stage("two", d.Happened(named("A", text), 2, 10**9)), d.Stage("three", d.Happened(named("B", text)))),
        (d.Trigger("t", d.OnCondition(d.Happened(named("A", text))), MESSAGE),),
    )  # fmt: skip
    bad = [event("A", total="7"), event("A", 1, total=[7]), event("A", 2, total=7)]
    assert met(journey, *bad, bad[0]) == {
        (rule, "event.properties.total", "number", came): 1
        for rule in ("score s", "stage two", "trigger t")
        for came in ("string", "array")
    }


def test_points_a_choice_and_the_terms_of_contact_are_rules_too():
    points = d.Journey("j", "1.0", (d.Score("s", (d.Points("r", named("A"), "event.properties.total"),)),))
    assert met(points, event("A", total="7")) == {("score s", "event.properties.total", "number", "string"): 1}
    contact = d.Contact(
        {"news": "marketing"}, messages=(d.MessageRule(named("Opened"), "event.properties.id", "opened"),)
    )
    assert met(points, event("Opened", id=5), contact=contact) == {
        ("messages", "event.properties.id", "string", "number"): 1
    }


def test_a_trait_is_counted_where_it_is_said():
    """Not at each later look at the customer."""
    journey = d.Journey(
        "j", "1.0", (d.Score("fit", (), traits=(d.Trait("r", "traits.seats > 10", 5.0),)),), (),
        (d.Trigger("t", d.Threshold("trait", "seats", 10), MESSAGE),),
    )  # fmt: skip
    said = event("Identified")
    said.traits_raw = msgspec.json.encode({"seats": "many", "name": 5})
    assert met(journey, said, event("A", 1), event("A", 2)) == {
        ("score fit", "traits.seats", "number", "string"): 1,
        ("trigger t", "traits.seats", "number", "string"): 1,
    }


def test_each_says_what_to_do():
    assert Mistyped("j", "trigger t", "event.properties.total", "number", "string").cure == (
        "let the producer send a number, or write double(event.properties.total)"
    )
    assert Mistyped("j", "trigger t", "traits.seats", "number", "string").cure == "let the producer send a number"


class _Names:
    """Reads fields of a mapping, and notes whom it is told of."""

    def __init__(self) -> None:
        self.told: set[tuple[tuple[str, ...], str]] = set()

    def field(self, path):
        return lambda scope: scope.get(path[-1], UNKNOWN)

    def function(self, name, _args):
        raise LookupError(name)

    def mistyped(self, path, wants):
        return lambda _scope, value: None if is_unknown(value) else self.told.add((path, wants))


fields = st.sampled_from(["x", "y"]).map(lambda name: f"event.{name}")
literals = st.sampled_from(["1", "2.5", "'a'", "true"])
parts = st.one_of(fields, literals)
leaves = st.one_of(
    st.builds(lambda a, op, b: f"{a} {op} {b}", parts, st.sampled_from(["==", "!=", "<", ">="]), parts),
    st.builds(lambda a, op: f"{a} {op} 1 > 0", fields, st.sampled_from(["-", "*", "/"])),
    st.builds(lambda a: f"{a}.contains('a')", fields), st.builds(lambda a: f"{a} in ['a', 'b']", fields), st.builds(lambda a: f"!{a}", fields), fields,
)  # fmt: skip
texts = st.recursive(leaves, lambda inner: st.builds(lambda a, op, b: f"({a} {op} {b})", inner, st.sampled_from(["&&", "||"]), inner), max_leaves=4)  # fmt: skip
values = st.one_of(
    st.booleans(), st.integers(0, 3), st.floats(0, 3), st.sampled_from(["a", "b"]), st.none(), st.just([1])
)


@given(texts, st.dictionaries(st.sampled_from(["x", "y"]), values, min_size=2))
def test_whatever_is_told_is_a_type_that_the_plan_does_not_expect_and_a_type_that_does_not_fit_is_told(text, scope):
    """The plan and the running expression say the same of what a field must be."""
    names, node = _Names(), parse(text)
    found = compile_expression(node, names, "bool")(scope)
    wrong = {
        (path, wants)
        for path, wants in needs(node, "bool")
        if wants in JSON and kind_of(scope[path[-1]]) not in {JSON[wants], "null"}
    }
    told = {
        (path, wants)
        for path, wants in names.told
        if scope[path[-1]] is not None and kind_of(scope[path[-1]]) != JSON[wants]
    }
    assert told <= wrong
    alone = not any(op in text for op in ("&&", "||"))
    comparable = " < " not in text and " >= " not in text  # of two fields neither says what the other must be
    if alone and comparable and is_unknown(found) and None not in scope.values():
        assert told
