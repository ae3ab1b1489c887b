"""`rumbo acls`: the rights of a worker on the broker, and no more."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rumbo.config import settings
from rumbo.topology import load


@click.command("acls")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option("--principal", help="Who runs the workers, as the broker calls them.  [default: User:rumbo]")
@click.option("--create", is_flag=True, help="Grant them now, as whom RUMBO__USERNAME says; needs --principal.")
@click.option("--broker", help="Bootstrap servers (RUMBO__BROKER).")
@click.option("--json", "as_json", is_flag=True, help="One right a line as JSON.")
def command(topology: Path, principal: str | None, broker: str | None, *, create: bool, as_json: bool) -> None:
    """Print the least rights that a worker of TOPOLOGY needs, as commands of Kafka's own tool; nothing on the cluster is needed."""
    checked, known = load(topology), settings(broker=broker)
    from rumbo.engine.rights import commands, rights

    found = rights(checked)
    if create:
        if principal is None:
            raise click.UsageError("--create needs --principal: whom to grant it to")
        from rumbo.engine.admin import grant

        grant(found, principal, known)
        click.echo(f"{principal}: {len(found)} resources granted", err=True)
    if as_json:
        for each in found:
            click.echo(msgspec.json.encode(each).decode())
    elif not create:
        for line in commands(found, principal or "User:rumbo", known.broker):
            click.echo(line)
