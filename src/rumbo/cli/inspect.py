"""`rumbo inspect`: what intake makes of each record of a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from rumbo.cli.lines import records
from rumbo.intake import Record, Reject, SourceFormat, inspect
from rumbo.topology import load


@click.command("inspect")
@click.argument("file")
@click.option(
    "--topology", type=click.Path(path_type=Path), help="Read as this topology's sources say (flat maps, limits)."
)
def command(file: str, topology: Path | None) -> None:
    """Print one JSON line for each record of FILE (`-`: standard input): the interaction, or why it is rejected."""
    known = load(topology) if topology is not None else None
    out = sys.stdout.buffer

    def refuse(_record: Record, reject: Reject) -> None:
        out.write(
            msgspec.json.encode({"rejected": reject.reason, "detail": reject.detail, "path": reject.path}) + b"\n"
        )

    for record in records(file, refuse):
        source = known.source(record.topic).reading if known is not None else SourceFormat()
        out.write(msgspec.json.encode(inspect(record, source)) + b"\n")
    out.flush()
