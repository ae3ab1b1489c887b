"""`rumbo doctor`: what stands between this machine and a running worker, each with its cure."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from rumbo.config import Settings, settings
from rumbo.errors import RumboError
from rumbo.topology import Topology, load

_ROOM = 1_000_000_000


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at."""

    level: str
    what: str
    cure: str = ""


@click.command("doctor")
@click.argument("topology", type=click.Path(path_type=Path), required=False)
@click.option("--broker", help="Bootstrap servers (RUMBO__BROKER).")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where the stores are (RUMBO__STATE_DIR).")
@click.option("--json", "as_json", is_flag=True, help="One finding a line as JSON.")
def command(topology: Path | None, broker: str | None, state_dir: Path | None, *, as_json: bool) -> int:
    """Look at this machine, the broker and (with TOPOLOGY) its topics. Exit code 1 when something would keep a worker from running."""
    known = settings(broker=broker, state_dir=state_dir)
    findings = [*_machine(known), *_broker(known, load(topology) if topology is not None else None)]
    colours = {"ok": "green", "warn": "yellow", "FAIL": "red"}
    for each in findings:
        if as_json:
            click.echo(msgspec.json.encode(each).decode())
            continue
        cure = f"\n      {each.cure}" if each.cure else ""
        click.echo(f"{click.style(f'{each.level:<4}', fg=colours[each.level])}  {each.what}{cure}")
    return 1 if any(each.level == "FAIL" for each in findings) else 0


def _machine(known: Settings) -> Iterator[Finding]:
    version = ".".join(str(each) for each in sys.version_info[:3])
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding("ok" if fits else "FAIL", f"Python {version}", "" if fits else "use Python 3.11, 3.12 or 3.13")
    try:
        from rumbo.engine import selfcheck

        selfcheck.check()
        yield Finding("ok", "Faust, aiokafka and rocksdict are the pinned ones")
    except RumboError as error:
        yield Finding("FAIL", str(error), "make the environment from requirements.lock")
    yield _folder(known.state_dir)


def _folder(folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Finding(
            "FAIL",
            f"state directory {folder}: {error.strerror}",
            "set RUMBO__STATE_DIR to a folder that can be written",
        )
    free = shutil.disk_usage(folder).free
    level = "ok" if free > _ROOM else "warn"
    return Finding(
        level, f"state directory {folder}, {free // 1_000_000} MB free", "" if level == "ok" else "free some space"
    )


def _broker(known: Settings, topology: Topology | None) -> list[Finding]:
    from rumbo.engine.app import quiet_libraries

    quiet_libraries()
    return asyncio.run(_ask(known, topology))


async def _ask(known: Settings, topology: Topology | None) -> list[Finding]:
    from rumbo.engine.admin import check_rights
    from rumbo.engine.broker import Broker, check_topics
    from rumbo.errors import BrokerError, DefinitionError

    broker = Broker(known.connection())
    try:
        await broker.start()
    except BrokerError as error:
        return [Finding("FAIL", str(error))]
    found = [Finding("ok", f"broker {known.broker} answers")]
    try:
        if topology is not None:
            await asyncio.to_thread(check_rights, topology, known)
            partitions = await check_topics(broker, topology)
            found.append(Finding("ok", f"topics of {topology.name}: {partitions} partitions each"))
    except DefinitionError as error:
        found += [Finding("FAIL", problem) for problem in error.problems]
    finally:
        await broker.stop()
    return found
