"""`rumbo run`: a worker."""

from __future__ import annotations

from pathlib import Path

import click

from rumbo.config import settings
from rumbo.topology import load


@click.command("run")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option("--broker", help="Bootstrap servers (RUMBO__BROKER).")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where the stores are (RUMBO__STATE_DIR).")
@click.option("--web-port", type=int, help="Metrics and health; 0 for none (RUMBO__WEB_PORT).")
def command(topology: Path, broker: str | None, state_dir: Path | None, web_port: int | None) -> int:
    """Run a worker of TOPOLOGY until it is stopped (SIGTERM, Ctrl-C). Scale out by running more."""
    known = settings(broker=broker, state_dir=state_dir, web_port=web_port)
    checked = load(topology)
    from rumbo.engine.app import run
    from rumbo.observe.logs import configure

    configure(known)
    return run(checked, known)
