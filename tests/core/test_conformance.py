"""Where the subset has a construct, it means what the specification of CEL says: every case that it can express is run."""

from __future__ import annotations

from collections import Counter

from rumbo.core.expression import (
    Environment,
    ExpressionError,
    compile_expression,
    explain,
    is_unknown,
    parse,
    problems,
)
from tests.core.cel import UNKNOWN, cases, same
from tests.core.test_expression import Names

PASSED = 514
"""How many passed when this was written: the subset does not shrink."""
LIMITS = "beyond the limits of size and depth"


def outcome(case):
    """Empty when it passes; what came instead when it does not; the limit that keeps it out."""
    try:
        node = parse(case.text)
    except ExpressionError as error:
        return LIMITS if "nested more than" in error.message else str(error)
    env = Environment(dict.fromkeys(case.bindings, "dyn"), {})
    refused = problems(node, env) if case.checked else []
    try:
        found = compile_expression(node, Names())(case.bindings)
    except ExpressionError as error:
        found, refused = None, [error]
    if case.expected is UNKNOWN:
        return "" if refused or is_unknown(found) else f"{found!r}, not an error"
    if refused:
        return f"refused: {refused[0]}"
    if not same(explain(node, Names(), case.bindings).value, found):
        return "its explanation gives another value"
    return "" if same(found, case.expected) else f"{found!r}, not {case.expected!r}"


def test_every_case_that_the_subset_can_express_passes(capsys):
    """The figures are printed; what is excluded has a reason; nothing shrinks in silence."""
    suite = list(cases())
    excluded, failed, passed = Counter(), [], 0
    for case in suite:
        said = case.excluded or outcome(case)
        if case.excluded or said == LIMITS:
            excluded[said] += 1
        elif said:
            failed.append(f"{case.name}: {case.text!r} gives {said}")
        else:
            passed += 1
    with capsys.disabled():
        print(
            f"\nCEL conformance: {len(suite)} cases, {passed} run and passed, {len(failed)} failed, {sum(excluded.values())} excluded"
        )
        for reason, count in excluded.most_common():
            print(f"  {count:>4}  {reason}")
    assert failed == []
    assert passed >= PASSED
    assert passed + sum(excluded.values()) == len(suite)
