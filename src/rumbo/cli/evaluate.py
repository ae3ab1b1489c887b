"""`rumbo eval`: an author's scratch pad for expressions."""

from __future__ import annotations

from time import time
from typing import Any

import click
import msgspec

from rumbo.core.expression import (
    ExpressionError,
    compile_expression,
    explain,
    is_unknown,
    leaves,
    parse,
    plain,
    problems,
)
from rumbo.core.profile import Profile
from rumbo.core.scope import Scope
from rumbo.core.state import JourneyState
from rumbo.core.vocabulary import Words
from rumbo.intake import Record, Reject, Skip, SourceFormat, reader
from rumbo.topology.words import EVENT_ENVIRONMENT


@click.command("eval")
@click.argument("expression")
@click.option("--event", required=True, metavar="JSON", help="The event, as a producer writes it.")
@click.option("--json", "as_json", is_flag=True, help="The value and the leaves as JSON.")
def command(expression: str, event: str, *, as_json: bool) -> int:
    """Print what EXPRESSION gives for one event, and each leaf with what it saw. Exit code 1 when it cannot be meant."""
    try:
        node = parse(expression)
        found = [str(problem) for problem in problems(node, EVENT_ENVIRONMENT)]
    except ExpressionError as error:
        node, found = None, [str(error)]
    if node is None or found:
        for problem in found:
            click.echo(
                msgspec.json.encode({"error": problem}).decode() if as_json else f"error: {problem}", err=not as_json
            )
        return 1
    resolver, scope = Words().resolver, _scope(event)
    made = explain(node, resolver, scope)
    answers = [compile_expression(leaf, resolver)(scope) for leaf in leaves(node)]
    if as_json:
        told = [
            {"leaf": leaf.text, "holds": leaf.holds, "saw": leaf.saw}
            | ({"value": plain(answer)} if _is_value(answer) else {})
            for leaf, answer in zip(made.leaves, answers, strict=True)
        ]
        whole: dict[str, Any] = {
            "value": plain(made.value),
            "unknown": is_unknown(made.value),
            "leaves": told,
        }
        click.echo(msgspec.json.encode(whole).decode())
        return 0
    click.echo("unknown" if is_unknown(made.value) else _shown(made.value))
    for leaf, answer in zip(made.leaves, answers, strict=True):
        said = _shown(answer) if _is_value(answer) else {True: "yes", False: "no", None: "unknown"}[leaf.holds]
        click.echo(f"  {said:<8} {leaf.text}   saw {msgspec.json.encode(leaf.saw).decode()}")
    return 0


def _is_value(answer: Any) -> bool:
    """Whether it is neither yes, no nor unknown."""
    return not isinstance(answer, bool) and not is_unknown(answer)


def _shown(answer: Any) -> str:
    value = plain(answer)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _scope(event: str) -> Scope:
    """The event as intake reads it; one that says no time is of now."""
    read = reader(SourceFormat())(Record(value=event.encode()))
    if isinstance(read, Reject) and read.reason == "no_time":
        read = reader(SourceFormat())(Record(value=event.encode(), timestamp=int(time() * 1000)))
    if isinstance(read, Skip | Reject):
        why = f"{read.reason}: {read.detail}" if isinstance(read, Reject) else "nothing there"
        raise click.BadParameter(f"the event would be rejected ({why})", param_hint="--event")
    scope = Scope()
    scope.state = JourneyState()
    scope.sees(Profile(read.customer, clock=read.at), read, read.at)
    return scope
