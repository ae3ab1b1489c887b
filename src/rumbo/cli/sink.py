"""`rumbo sink`: what was decided, outside of Kafka, each decision once."""

from __future__ import annotations

from pathlib import Path

import click

from rumbo.config import settings
from rumbo.topology import load


@click.command("sink")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option(
    "--into",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The SQLite file; made where it is not there.",
)
@click.option("--once", is_flag=True, help="Read to the present end and leave; else until Ctrl-C.")
@click.option("--broker", help="Bootstrap servers (RUMBO__BROKER).")
def command(topology: Path, into: Path, *, once: bool, broker: str | None) -> int:
    """Read every decision of TOPOLOGY into a SQLite file, each once, by its id: for readers outside of Kafka.

    Table `decisions` has all, view `standing` those that were not withdrawn. Ended at any moment, it goes on where the file is.
    """
    checked, known = load(topology), settings(broker=broker)
    from rumbo.engine.sink import run
    from rumbo.output.sink import Sink

    sink = Sink(into, checked.name)
    try:
        taken = run(checked, known, sink, once=once)
        if once:
            said = f"{taken.new:,} new decisions, {taken.again:,} read again and dropped"
            foreign = f", {taken.foreign:,} records that are no decisions" if taken.foreign else ""
            click.echo(f"{into}: {said}{foreign}; {sink.withdrawn():,} of all do not stand any more", err=True)
    finally:
        sink.close()
    return 0
