"""`rumbo init`: a topology of your own to begin with."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import click

from rumbo.errors import DefinitionError
from rumbo.topology.language import documents

_FILES = ("topology.yaml", "journey.yaml", "examples.yaml")


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Write the B2B SaaS topology into FOLDER as a beginning; it passes `check` and `test` as it is.

    Editors with a YAML language server complete and validate it: the schemas are in FOLDER/.rumbo.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DefinitionError(str(folder), ["the folder is not empty; name a new one"])
    name = re.sub(r"[^a-z0-9-]+", "-", folder.resolve().name.lower()).strip("-") or "mine"
    template = Path(str(files("rumbo"))) / "template"
    source = template if template.is_dir() else Path(__file__).parents[3] / "topologies" / "saas"
    folder.mkdir(parents=True, exist_ok=True)
    for each in _FILES:
        text = (source / each).read_text(encoding="utf-8")
        text = text.replace("topology: saas", f"topology: {name}").replace("$schema=../../schemas/", "$schema=.rumbo/")
        (folder / each).write_text(text, encoding="utf-8")
    (folder / ".rumbo").mkdir()
    for each, schema in documents().items():
        (folder / ".rumbo" / each).write_bytes(schema)
    click.echo(f"wrote {folder}: edit journey.yaml, then `rumbo check {folder}` and `rumbo test {folder}`", err=True)
