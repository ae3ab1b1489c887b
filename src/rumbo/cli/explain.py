"""`rumbo explain`: why a decision was taken."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rumbo.cli.lines import HISTORY, TOPOLOGY, history, instant
from rumbo.cli.tree import branches, gates, standing
from rumbo.local.explain import Explanation, explain_decision
from rumbo.topology import load


@click.command("explain")
@click.argument("decision_id")
@TOPOLOGY
@HISTORY
@click.option("--until", metavar="INSTANT", help="Where timers stop; the last event's time by default.")
@click.option("--json", "as_json", is_flag=True, help="The explanation as JSON.")
def command(decision_id: str, topology: Path, source: str, until: str | None, *, as_json: bool) -> int:
    """Say why DECISION_ID (or the one decision that begins so) was taken. Exit code 1 when the history does not hold it."""
    found = explain_decision(load(topology), decision_id, history(source), instant(until, "--until"))
    if found is None:
        click.echo(
            f"no decision of this history begins with {decision_id}; is it the same topology, and does --until reach it?",
            err=True,
        )
        return 1
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(_text(found)))
    return 0


def _text(found: Explanation) -> list[str]:
    events = found.data["because"].get("events", ())
    lines = [
        f"{found.summary}, for {found.customer} at {found.at}",
        f"  {found.rule} of journey {found.journey} {found.data['version']}, id {found.id}",
        *(f"  because of {each['name']} {each['id']} at {each['time']} ({each['topic']}/{each['partition']} offset {each['offset']})" for each in events),
        *(["  because a timer was due"] if not events else []),
        f"  {standing(found.standing)}",
        *branches(found.tree),
        *gates(found.gates),
        *(["what would have had to differ", *(f"  - {each}" for each in found.differ)] if found.differ else []),
    ]  # fmt: skip
    params = found.data.get("params")
    return [*lines, *([f"  asked for {msgspec.json.encode(params).decode()}"] if params else [])]
