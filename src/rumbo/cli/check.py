"""`rumbo check`: every problem of a topology, with file, line, what and cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from rumbo.core.instant import format_duration
from rumbo.topology import Loaded, Problem, Topology

_LENGTHS = frozenset(
    {"within", "length", "half_life", "cooldown", "min_dwell", "stuck_after", "expires_after", "offset"}
)
"""Fields of the checked definition that hold microseconds."""


@click.command("check")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
@click.option("--expand", is_flag=True, help="Print the definition as it is after every short form was written out.")
@click.option("--json", "as_json", is_flag=True, help="Problems as JSON, one a line.")
@click.option(
    "--format", "style", type=click.Choice(["text", "github"]), default="text", help="`github` annotates pull requests."
)
def command(topology: Path, *, strict: bool, expand: bool, as_json: bool, style: str) -> int:
    """Check TOPOLOGY, a folder with topology.yaml. Exit code 78 when it must not run."""
    found = Loaded(topology)
    for problem in found.problems:
        click.echo(_line(problem, style=style, as_json=as_json))
    bad = len(found.problems) if strict else len(found.errors)
    if not bad and expand and found.topology is not None:
        click.echo(_expanded(found.topology))
    if bad:
        click.echo(f"{topology}: {bad} problem{'s' if bad != 1 else ''}", err=True)
        return 78
    if found.topology is not None:
        mild = len(found.problems)
        said = f"runs, with {mild} warning{'s' if mild != 1 else ''}" if mild else "fine"
        triggers = sum(len(journey.triggers) for journey in found.topology.journeys)
        counts = {"journey": len(found.topology.journeys), "trigger": triggers, "example": len(found.examples)}
        listed = ", ".join(f"{count} {name}{'s' if count != 1 else ''}" for name, count in counts.items())
        click.echo(f"{topology}: {said} ({listed})", err=True)
    return 0


def _expanded(topology: Topology) -> str:
    """The journeys as they run; the one whose stages accounts have, with the rules of accounts."""
    journeys = [msgspec.to_builtins(each) for each in topology.journeys]
    for each in journeys:
        if topology.accounts is not None and topology.accounts.journey == each["id"]:
            each["accounts"] = msgspec.to_builtins(topology.accounts)
    return msgspec.json.format(msgspec.json.encode(_said(journeys)), indent=2).decode()


def _said(value: Any, name: str = "") -> Any:
    """The definition with its lengths of time as authors write them."""
    if isinstance(value, dict):
        return {key: _said(each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_said(each) for each in value]
    if name in _LENGTHS and isinstance(value, int):
        return format_duration(value) if value >= 0 else f"-{format_duration(-value)}"
    return value


def _line(problem: Problem, *, style: str, as_json: bool) -> str:
    if as_json:
        return msgspec.json.encode(problem).decode()
    if style == "github":
        said = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
        return f"::{problem.severity} file={problem.file},line={problem.line}::{said}"
    return str(problem)
