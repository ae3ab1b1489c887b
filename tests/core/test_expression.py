"""Expressions: what CEL says, with one stated exception (unknown), within limits, able to explain themselves."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumbo.core.expression import (
    Environment,
    ExpressionError,
    Signature,
    compile_expression,
    explain,
    is_unknown,
    parse,
    problems,
    truth,
    unparse,
)
from rumbo.core.expression.value import UNKNOWN

ENV = Environment(
    {"x": "dyn", "n": "number", "s": "string", "event": "dyn"},
    {"count": Signature(("string", "duration"), "number", 1)},
)


class Names:
    """Reads names from a mapping."""

    def field(self, path):
        def read(scope):
            found = scope
            for name in path:
                if not isinstance(found, dict) or name not in found:
                    return UNKNOWN
                found = found[name]
            return found

        return read

    def function(self, name, args):
        if name != "count":
            raise LookupError(f"{name} is not known")
        return lambda scope: scope.get("counts", {}).get(args[0], 0)

    def mistyped(self, _path, _wants):
        return None


def value(text: str, **scope):
    return compile_expression(parse(text), Names())(scope)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("-7 / 2", -3), ("-7 % 2", -1), ("7 % -2", 1), ("1.0 / 0.0", float("inf")),
        ("1 == 1.0", True), ("1 == 'a'", False), ("'a' < 'b'", True), ("2 in [1, 2]", True), ("'k' in x", True), ("x['k']", 1),
        ("!false && true || false", True), ("true ? 1 : 2", 1), ("size('héllo')", 5), ("'abc'.startsWith('ab')", True),
        ("'abc'.contains('d')", False), ("'a' + 'b'", "ab"), ("[1] + [2]", [1, 2]), ("int('42')", 42), ("double(2)", 2.0),
        ("duration('1h30m') > duration('89m')", True), ("timestamp('2026-01-01T00:00:00Z').getFullYear()", 2026),
        ("timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')", True),
        ("has(x.k)", True), ("has(x.gone)", False), ("count('A') >= 2", True), ("'\\u00e9\\n' == 'é\\n'", True), ("0x1F", 31),
        ("min(3, 1.5)", 1.5), ("null == null", True), ("[1, 2] == [1.0, 2]", True), ("false && 1 / 0 > 0", False),
    ],
)  # fmt: skip
def test_values(text, expected):
    """As the specification of CEL says."""
    assert value(text, x={"k": 1}, counts={"A": 2}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "gone == 1",
        "gone + 1",
        "!gone",
        "gone && true",
        "gone || false",
        "1 / 0",
        "9223372036854775807 + 1",
        "'a' < 1",
        "-gone",
        "gone ? 1 : 2",
        "x.k.deep",
        "[1][5]",
        "'a' && true",
        "gone.startsWith('a')",
    ],
)
def test_what_cannot_be_told_is_unknown(text):
    """A missing field, a wrong type, an overflow: unknown, which is no at the top."""
    found = value(text, x={"k": 1})
    assert is_unknown(found)
    assert not truth(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("gone && false", False), ("false && gone", False), ("gone || true", True), ("true || gone", True)],
)
def test_and_and_or_absorb_unknown(text, expected):
    assert value(text) is expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1", "`==`"), ("a ==", "ends too early"), ("a b", "not expected"), ("'open", "not closed"), ("a & b", "&&"), ("", "too early"),
        ("(" * 20 + "1" + ")" * 20, "levels deep"), ("!" * 5_000 + "x", "more than"), ("x.all(y, y)", "no loops"), ("1 < 2 < 3", "chained"),
        ("99999999999999999999999", "64-bit"), ("x.", "a name is expected"), ("for", "reserved"), ("a && " * 150 + "a", "parts"), ("'\\q'", "escape"),
    ],
)  # fmt: skip
def test_what_is_not_an_expression_says_where_and_how_to_mend_it(text, words):
    with pytest.raises(ExpressionError, match="character") as caught:
        parse(text)
    assert words in str(caught.value)


@given(st.text(max_size=3_000) | st.text(alphabet="()[]!-&|?:.'\"ab1 ", max_size=3_000))
def test_no_text_is_too_much(text):
    """Refused or read in milliseconds, never a crash."""
    begun = time.process_time()
    try:
        parse(text)
    except ExpressionError:
        pass
    assert time.process_time() - begun < 1


def calls(text: str) -> int:
    """How many functions are called to read, check and compile an expression."""
    count = 0

    def note(_frame, what, _found):
        nonlocal count
        count += what == "call"

    sys.setprofile(note)
    try:
        node = parse(text)
        problems(node, ENV)
        compile_expression(node, Names())
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("join", [" + ", " - ", " * ", " + 1 == 1 && x + ", " && ", " == 1 || "])
def test_an_expression_costs_no_more_than_the_square_of_its_length(join):
    """A chain of one operator: each part is looked at once, or once for each that it stands in."""
    assert calls(join.join("x" * 16)) < 20 * calls(join.join("x" * 4))


names = st.sampled_from(["x", "gone", "n", "s", "x.k"])
leaf = names | st.integers(0, 9).map(str) | st.sampled_from(["true", "false", "null", "'t'", "1.5"])
trees = st.recursive(
    leaf,
    lambda kids: (
        st.tuples(kids, st.sampled_from(["&&", "||", "==", "<", "+", "-", "*", "in"]), kids).map(
            lambda each: f"({each[0]} {each[1]} {each[2]})"
        )
        | kids.map(lambda each: f"!{each}")
        | st.tuples(kids, kids, kids).map(lambda each: f"({each[0]} ? {each[1]} : {each[2]})")
    ),
    max_leaves=6,
)
scopes = st.fixed_dictionaries(
    {
        "x": st.integers(0, 3) | st.fixed_dictionaries({"k": st.booleans()}),
        "n": st.floats(allow_nan=False),
        "s": st.text(max_size=3),
    }
)


@given(trees)
def test_the_canonical_text_reads_back_as_the_same_tree(text):
    """It is a key of state: one text for one tree."""
    try:
        node = parse(text)
    except ExpressionError:
        return
    assert parse(unparse(node)) == node


@given(trees, scopes)
def test_the_explanation_agrees_with_the_value(text, scope):
    """What a decision says is what decided it."""
    try:
        node = parse(text)
    except ExpressionError:
        return
    explained, computed = explain(node, Names(), scope).value, compile_expression(node, Names())(scope)
    assert repr(explained) == repr(computed)


def test_an_explanation_shows_each_leaf_with_what_it_saw():
    found = explain(parse("x.k > 1 && !(s == 'a') || gone == 2"), Names(), {"x": {"k": 3}, "s": "a"})
    assert [(leaf.text, leaf.holds, leaf.saw) for leaf in found.leaves] == [
        ("x.k > 1", True, {"x.k": 3}),
        ("s == 'a'", True, {"s": "a"}),
        ("gone == 2", None, {"gone": None}),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("evnet.x == 1", "did you mean `event"), ("cuont('A') > 1", "did you mean count()"), ("n == 'a'", "never be equal"), ("n < 'a'", "compares"),
        ("s && true", "is a string"), ("n + s", "does not work"), ("s.matches('a')", "use startsWith"), ("count(n) > 1", "literal"), ("1 in 2", "write a list"), ("size()", "argument"),
    ],
)  # fmt: skip
def test_what_cannot_fit_is_found_before_it_runs(text, words):
    assert words in " ".join(str(each) for each in problems(parse(text), ENV))


def test_a_good_expression_has_no_problem():
    assert (
        problems(parse("event.a.b > 1 && s.startsWith('x') && count('A', duration('7d')) >= 2"), ENV, wants="bool")
        == []
    )
