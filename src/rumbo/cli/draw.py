"""`rumbo draw`: the journey drawn from the definition that runs."""

from __future__ import annotations

from pathlib import Path

import click

from rumbo.serve.drawing import drawing
from rumbo.serve.mermaid import mermaid
from rumbo.serve.svg import svg
from rumbo.topology import load


@click.command("draw")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "svg"]),
    default="mermaid",
    show_default=True,
    help="What to write.",
)
@click.option("--journey", metavar="NAME", help="Only this journey; all of the topology's by default.")
def command(topology: Path, form: str, journey: str | None) -> None:
    """Draw the journeys of TOPOLOGY to standard output: stages, the ways between them with their conditions, triggers, flows."""
    known = load(topology)
    journeys = known.journeys
    chosen = [each for each in journeys if journey in {None, each.id}]
    if not chosen:
        raise click.BadParameter(
            f"no journey is called '{journey}'; there are {', '.join(each.id for each in journeys)}",
            param_hint="--journey",
        )
    drawings = [drawing(each, known.accounts) for each in chosen]
    click.echo(mermaid(drawings) if form == "mermaid" else svg(drawings), nl=False)
