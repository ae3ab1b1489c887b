"""`rumbo demo`: a year of real shoppers, live."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click


@click.command("demo")
@click.option("--households", type=click.IntRange(1, 2469), help="Only the first so many households.")
@click.option(
    "--seconds", type=click.FloatRange(0, 3600), default=30.0, show_default=True, help="How long the year takes."
)
@click.option("--stay", is_flag=True, help="Go on serving the page when the year is over, until Ctrl-C.")
def command(households: int | None, seconds: float, stay: bool) -> None:  # noqa: FBT001  click's own flag
    """Start an embedded broker and a worker, play a year of real shoppers into them, and watch what is decided."""
    from rumbo.demo.show import show

    shipped = Path(str(files("rumbo"))) / "grocery"
    folder = shipped if shipped.is_dir() else Path(__file__).parents[3] / "topologies" / "grocery"
    show(folder, households, seconds, stay=stay)
