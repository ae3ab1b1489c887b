"""`rumbo schema`: the contracts of what Rumbo writes and answers, and the schemas of what authors write."""

from __future__ import annotations

from pathlib import Path

import click

from rumbo.output.schemas import documents
from rumbo.serve import openapi
from rumbo.topology import language


@click.command("schema")
@click.argument("name", required=False)
@click.option(
    "--write", type=click.Path(path_type=Path), metavar="FOLDER", help="Write every document into this folder."
)
@click.option("--reference", is_flag=True, help="Print the reference page of the journey language instead.")
def command(name: str | None, write: Path | None, *, reference: bool) -> None:
    """Print one document (NAME), list them, or write them all."""
    made = documents() | openapi.documents() | language.documents()
    if reference:
        click.echo(language.reference(), nl=False)
    elif write is not None:
        write.mkdir(parents=True, exist_ok=True)
        for each, content in made.items():
            (write / each).write_bytes(content)
        click.echo(f"{len(made)} documents in {write}", err=True)
    elif name is None:
        for each in made:
            click.echo(each)
    elif name in made:
        click.echo(made[name].decode(), nl=False)
    else:
        raise click.BadParameter(f"no document is called {name}; there are {', '.join(made)}")
