"""`rumbo simulate`: a history through a topology, with no broker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from rumbo.cli.lines import instant, records, until_the_end
from rumbo.core.decision import Decision
from rumbo.core.mistyped import Mistyped
from rumbo.intake import RawRecord, Record, Reject, printable
from rumbo.local import Local, account_view, profile_view
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
    "--accounts", type=click.Path(path_type=Path), metavar="FILE", help="Write one account a line here at the end."
)
@click.option(
    "--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Write one rejected record a line here."
)
@click.option("--quiet", is_flag=True, help="No decisions, only the counts.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="The counts as JSON: with --quiet to standard output, else to standard error.",
)
def command(  # noqa: PLR0913, PLR0917  click hands options over so
    topology: Path,
    source: str,
    until: str | None,
    profiles: Path | None,
    accounts: Path | None,
    rejects: Path | None,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run FILE through TOPOLOGY: decisions to standard output, one CloudEvent a line, in the order decided."""
    end = instant(until, "--until")
    put_aside: list[bytes] = []
    local = until_the_end(
        Local(load(topology), rejected=lambda record, reject: put_aside.append(_aside(record, reject)))
    )

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
    if accounts is not None:
        found = (account_view(each) for _, each in sorted(local.accounts.items()))
        accounts.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in found))
    if as_json:
        click.echo(msgspec.json.encode(_figures(local)), err=not quiet)
    else:
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


def _rejected(local: Local) -> int:
    return sum(count for name, count in local.counts.items() if name.startswith("rejected."))


def _shown(local: Local) -> dict[str, int]:
    """The counts that a reader of the summary is told."""
    said = {"duplicate", "duplicate_conflict", "late", "late_refolded", "late_beyond_journal", "timer"}
    return {name: count for name, count in sorted(local.counts.items()) if "." in name or name in said}


def _mistyped(local: Local) -> list[tuple[Mistyped, int]]:
    """The most frequent first."""
    return sorted(local.mistyped.items(), key=lambda each: (-each[1], each[0]))


def _figures(local: Local) -> dict[str, Any]:
    return {
        "records": local.counts["received"],
        "processed": local.counts["processed"],
        "rejected": _rejected(local),
        "customers": local.customers,
        "accounts": len(local.accounts),
        "counts": _shown(local),
        "mistyped": [{**met._asdict(), "interactions": count, "cure": met.cure} for met, count in _mistyped(local)],
    }


def _summary(local: Local) -> None:
    counts = local.counts
    click.echo(
        f"{counts['received']} records, {counts['processed']} processed, {_rejected(local)} rejected, {local.customers} customers",
        err=True,
    )
    for name, count in _shown(local).items():
        click.echo(f"  {count:>9}  {name}", err=True)
    mistyped = _mistyped(local)
    if mistyped:
        click.echo(
            "fields of another type than a rule needs, or outside of its scale, so unknown to it (interactions):",
            err=True,
        )
    for met, count in mistyped:
        rule = f"{met.journey}: {met.rule}" if met.journey else met.rule
        click.echo(f"  {count:>9}  {rule}: {met.field} came as {met.came}, needed is {met.needs}; {met.cure}", err=True)
