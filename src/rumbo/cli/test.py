"""`rumbo test`: a topology's examples on a virtual clock."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rumbo.errors import DefinitionError
from rumbo.local import Outcome, run_examples
from rumbo.topology import Loaded


@click.command("test")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One result a line as JSON.")
def command(topology: Path, *, as_json: bool) -> int:
    """Run the examples of TOPOLOGY. Exit code 1 when one does not hold."""
    found = Loaded(topology)
    if found.topology is None or found.errors:
        raise DefinitionError(str(topology), [str(each) for each in found.errors])
    outcomes = run_examples(found.topology, found.examples)
    for outcome in outcomes:
        click.echo(_json(outcome) if as_json else _text(outcome))
    failed = sum(not outcome.passed for outcome in outcomes)
    if not outcomes:
        click.echo(f"{topology}: no examples; add some to examples.yaml", err=True)
    else:
        click.echo(f"{len(outcomes) - failed} of {len(outcomes)} examples hold", err=True)
    return 1 if failed else 0


def _text(outcome: Outcome) -> str:
    lines = [
        f"{click.style('ok', fg='green') if outcome.passed else click.style('NO', fg='red')}  {outcome.example.name}"
    ]
    if not outcome.passed:
        lines.append(f"      {outcome.example.file}:{outcome.example.line}")
    lines += [f"      missing  {each}" for each in outcome.missing]
    lines += [f"      extra    {each}" for each in outcome.extra]
    return "\n".join(lines)


def _json(outcome: Outcome) -> str:
    said = {"name": outcome.example.name, "passed": outcome.passed, "missing": outcome.missing, "extra": outcome.extra}
    return msgspec.json.encode(said).decode()
