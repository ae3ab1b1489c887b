"""`rumbo simulate`: a history through a topology, with no broker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click
import msgspec

from rumbo.cli.lines import instant, records
from rumbo.core.decision import Decision
from rumbo.intake import RawRecord, Record, Reject, printable
from rumbo.local import Local, profile_view
from rumbo.output import Encoder
from rumbo.topology import load


@click.command("simulate")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "source",
    required=True,
    metavar="FILE",
    help="One JSON event or one Kafka record a line; - for standard input.",
)
@click.option("--until", metavar="INSTANT", help="Where timers stop; the last event's time by default.")
@click.option(
    "--profiles", type=click.Path(path_type=Path), metavar="FILE", help="Write one profile a line here at the end."
)
@click.option(
    "--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Write one rejected record a line here."
)
@click.option("--quiet", is_flag=True, help="No decisions, only the counts.")
def command(  # noqa: PLR0913  click hands options over so
    topology: Path, source: str, until: str | None, profiles: Path | None, rejects: Path | None, *, quiet: bool
) -> None:
    """Run FILE through TOPOLOGY: decisions to standard output, one CloudEvent a line, in the order decided."""
    end = instant(until, "--until")
    put_aside: list[bytes] = []
    local = Local(load(topology), rejected=lambda record, reject: put_aside.append(_aside(record, reject)))

    def refuse(record: Record, reject: Reject) -> None:
        local.counts["received"] += 1
        local.counts[f"rejected.{reject.reason}"] += 1
        put_aside.append(_aside(record, reject))

    write = _silent if quiet else _writer(local)
    for record in records(source, refuse):
        write(local.send(record))
    write(local.until(local.latest if end is None else end))
    sys.stdout.buffer.flush()
    if rejects is not None:
        rejects.write_bytes(b"".join(line + b"\n" for line in put_aside))
    if profiles is not None:
        _write_profiles(profiles, local, end)
    _summary(local)


def _silent(_decisions: Iterable[Decision]) -> None:
    return


def _writer(local: Local) -> Callable[[Iterable[Decision]], None]:
    encode, out = Encoder(local.topology.outputs).value, sys.stdout.buffer

    def write(decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            local.counts[f"decided.{decision.kind}"] += 1
            out.write(encode(decision) + b"\n")

    return write


def _aside(record: RawRecord, reject: Reject) -> bytes:
    return msgspec.json.encode(
        {
            "rejected": reject.reason, "detail": printable(reject.detail), "path": reject.path, "topic": record.topic,
            "partition": record.partition, "offset": record.offset, "value": record.value or b"",
        }
    )  # fmt: skip


def _write_profiles(path: Path, local: Local, end: int | None) -> None:
    now = local.latest if end is None else end
    with path.open("wb") as file:
        for _, profile in sorted(local.profiles.items()):
            file.write(msgspec.json.encode(profile_view(profile, local.program, now)) + b"\n")


def _summary(local: Local) -> None:
    counts = local.counts
    rejected = sum(count for name, count in counts.items() if name.startswith("rejected."))
    click.echo(
        f"{counts['received']} records, {counts['processed']} processed, {rejected} rejected, {len(local.profiles)} customers",
        err=True,
    )
    for name in sorted(counts):
        if "." in name or name in {"duplicate", "duplicate_conflict", "late", "timer"}:
            click.echo(f"  {counts[name]:>9}  {name}", err=True)
