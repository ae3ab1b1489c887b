"""`rumbo diff`: two versions of a topology over the same history."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rumbo.cli.lines import HISTORY, instant, records, until_the_end
from rumbo.local.diff import CHANGES, Comparison, Diff, Difference, Side
from rumbo.topology import load


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@HISTORY
@click.option("--until", metavar="INSTANT", help="Where timers stop; the last event's time by default.")
@click.option("--sample", default=2, show_default=True, help="How many customers to show for each rule and change.")
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON document.")
def command(old: Path, new: Path, source: str, until: str | None, sample: int, *, as_json: bool) -> int:  # noqa: PLR0913  click hands options over so
    """Say which decisions NEW adds, removes, moves or changes against OLD over the same history. Exit code 1 when there are any.

    It says what would have been decided, not how people would have reacted.
    """
    end = instant(until, "--until")
    comparison = until_the_end(Comparison(load(old), load(new)))
    found = comparison.over(records(source, lambda _record, _reject: None), until=end, sample=sample)
    if as_json:
        totals = {change: found.total(change) for change in ("same", *CHANGES)}
        click.echo(msgspec.json.encode({"totals": totals, **msgspec.structs.asdict(found)}).decode())
    else:
        click.echo("\n".join(_text(found, f"--input {source} --topology {new}")))
    return 0 if found.empty else 1


def _text(found: Diff, where: str) -> list[str]:
    lines = [
        f"old: {found.old}", f"new: {found.new}",
        f"{found.events:,} records of {found.customers:,} customers; {found.customers_with_differences:,} would have been treated otherwise",
        "",
    ]  # fmt: skip
    lines += _table(found)
    lines += ["", *(line for each in found.sample for line in _sample(each, where))]
    return [*lines, f"This is {found.says}."]


def _table(found: Diff) -> list[str]:
    rows = [("rule", "outcome", "same", *CHANGES)]
    rows += [
        (row.rule, row.outcome, f"{row.same:,}", *(f"{getattr(row, change):,}" for change in CHANGES))
        for row in found.rows
    ]
    rows.append(("all", "", f"{found.total('same'):,}", *(f"{found.total(change):,}" for change in CHANGES)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))  # noqa: PLR2004  two columns of text
        for row in rows
    ]  # fmt: skip


def _sample(each: Difference, where: str) -> list[str]:
    lines = [f"{each.change} {each.rule} for {each.customer}" + (f": {', '.join(each.parts)}" if each.parts else "")]
    for side, name in ((each.old, "old"), (each.new, "new")):
        if side is not None:
            gate = f", held back by {side.gate}" if side.gate else ""
            lines.append(f"    {name}  {side.at}{gate}{_why(side)}")
    if each.new is None and each.rule.startswith("trigger ") and each.old is not None:
        trigger = each.rule.removeprefix("trigger ")
        lines.append(f"    why not: rumbo why-not {each.customer} {trigger} --at {each.old.at} {where}")
    return lines


def _why(side: Side) -> str:
    because = side.data.get("because", {})
    events = ", ".join(f"{event['name']} {event['id']}" for event in because.get("events", ()))
    seen = "; ".join(
        f"{leaf['condition']} ({', '.join(f'{name} {msgspec.json.encode(value).decode()}' for name, value in leaf.get('saw', {}).items())})"
        for leaf in because.get("conditions", ())
    )
    return f" because of {events or 'a timer due'}" + (f": {seen}" if seen else "")
