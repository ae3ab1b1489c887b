"""`rumbo eval`: an author's scratch pad for expressions."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from rumbo.core.expression import ExpressionError, explain, is_unknown, parse, plain, problems
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
    made = explain(node, Words().resolver, _scope(event))
    value = "unknown" if is_unknown(made.value) else plain(made.value)
    if as_json:
        leaves = [{"leaf": leaf.text, "holds": leaf.holds, "saw": leaf.saw} for leaf in made.leaves]
        said: dict[str, Any] = {
            "value": None if is_unknown(made.value) else value,
            "unknown": is_unknown(made.value),
            "leaves": leaves,
        }
        click.echo(msgspec.json.encode(said).decode())
        return 0
    click.echo(value if isinstance(value, str) else msgspec.json.encode(value).decode())
    for leaf in made.leaves:
        answer = {True: "yes", False: "no", None: "unknown"}[leaf.holds]
        click.echo(f"  {answer:<8} {leaf.text}   saw {msgspec.json.encode(leaf.saw).decode()}")
    return 0


def _scope(event: str) -> Scope:
    read = reader(SourceFormat())(Record(value=event.encode(), timestamp=0))
    if isinstance(read, Skip | Reject):
        why = f"{read.reason}: {read.detail}" if isinstance(read, Reject) else "nothing there"
        raise click.BadParameter(f"the event would be rejected ({why})", param_hint="--event")
    scope = Scope()
    scope.state = JourneyState()
    scope.sees(Profile(read.customer, clock=read.at), read, read.at)
    return scope
