"""`rumbo why-not`: why a trigger did not act for a customer at an instant."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rumbo.cli.lines import HISTORY, TOPOLOGY, history, instant
from rumbo.cli.tree import branches, gates, standing
from rumbo.local.explain import Answer, explain_silence
from rumbo.topology import load


@click.command("why-not")
@click.argument("customer")
@click.argument("trigger")
@click.option("--at", "at", required=True, metavar="INSTANT", help="When it should have acted.")
@TOPOLOGY
@HISTORY
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
def command(customer: str, trigger: str, at: str, topology: Path, source: str, *, as_json: bool) -> int:  # noqa: PLR0913  click hands options over so
    """Say why TRIGGER did not act for CUSTOMER at an instant: each condition and gate, and what would have had to differ.

    A trigger on an event is looked at with the customer's last such interaction up to the instant. Exit code 1 when it did act.
    """
    moment = instant(at, "--at")
    try:
        found = explain_silence(load(topology), customer, trigger, moment or 0, history(source))
    except LookupError as error:
        raise click.BadParameter(str(error.args[0]), param_hint="TRIGGER") from None
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(_text(found)))
    return 1 if found.acted else 0


def _text(found: Answer) -> list[str]:
    lines = [
        f"trigger {found.trigger} of journey {found.journey}, for {found.customer} at {found.asked_at}: {found.summary}"
    ]
    if found.standing is None:
        return lines
    lines += [f"  looked at {found.looked_at}", f"  {standing(found.standing)}"]
    if found.acted is not None:
        return [*lines, f"  it did decide: rumbo explain {found.acted} says why"]
    asked = found.why_not
    if asked is None:
        return lines
    lines += ["called by", *branches([asked.called])]
    if asked.guard is not None:
        lines += ["only if", *branches([asked.guard])]
    lines += ["again", *branches([asked.again]), *(["gates", *gates(asked.gates)] if asked.gates else [])]
    if asked.differ:
        lines += ["what would have had to differ", *(f"  - {each}" for each in asked.differ)]
    return lines
