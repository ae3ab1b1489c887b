"""`rumbo topics`: what a topology needs of the broker."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rumbo.config import settings
from rumbo.topology import load


@click.command("topics")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option("--create", is_flag=True, help="Make what is missing.")
@click.option("--diff", is_flag=True, help="Show what is otherwise on the broker; exit code 1 when something is.")
@click.option(
    "--partitions", type=click.IntRange(1, 1000), default=4, show_default=True, help="Of topics that are made."
)
@click.option(
    "--replicas",
    type=click.IntRange(1, 7),
    default=1,
    show_default=True,
    help="Of topics that are made; 3 in production.",
)
@click.option("--broker", help="Bootstrap servers (RUMBO__BROKER).")
@click.option("--json", "as_json", is_flag=True, help="One topic a line as JSON.")
def command(  # noqa: PLR0913  click hands options over so
    topology: Path, *, create: bool, diff: bool, partitions: int, replicas: int, broker: str | None, as_json: bool
) -> int:
    """List the topics of TOPOLOGY, compare them with the broker's, or create what is missing."""
    checked, known = load(topology), settings(broker=broker)
    from rumbo.engine.admin import create_topics, differences
    from rumbo.engine.broker import needed

    if create:
        made = create_topics(checked, known, partitions=partitions, replicas=replicas)
        for name in made:
            click.echo(msgspec.json.encode({"created": name}).decode() if as_json else f"created {name}")
        click.echo(f"{len(made)} topics created", err=True)
        return 0
    if diff:
        found = differences(checked, known)
        for each in found:
            click.echo(msgspec.json.encode(each).decode() if as_json else f"{each.topic} ({each.role}) {each.problem}")
        click.echo(f"{len(found)} differences" if found else "as it should be", err=True)
        return 1 if found else 0
    for topic in needed(checked, partitions):
        said = " ".join(f"{name}={value}" for name, value in topic.settings.items())
        click.echo(
            msgspec.json.encode(topic).decode() if as_json else f"{topic.name:<44} {topic.role:<13} {said}".rstrip()
        )
    return 0
