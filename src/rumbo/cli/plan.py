"""`rumbo plan`: the tracking plan that the definitions imply, and what a history holds of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from rumbo.cli.lines import records
from rumbo.core.tracking import FieldNeed, TrackingPlan, tracking_plan
from rumbo.local.plan import Comparison, FieldSeen, compare_plan
from rumbo.topology import load

_SHOWN = 40


@click.command("plan")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option(
    "--input", "source", metavar="FILE", help="A history, as `rumbo simulate` reads it; - for standard input."
)
@click.option(
    "--yaml", "as_yaml", is_flag=True, help="The plan as a file to declare in topology.yaml (plan: plan.yaml)."
)
@click.option("--json", "as_json", is_flag=True, help="The plan as one JSON document.")
def command(topology: Path, source: str | None, *, as_yaml: bool, as_json: bool) -> int:
    """Print the events and fields that TOPOLOGY needs, their types, and what uses them: what the producers must collect.

    With --input also what never came, what came with another type, and what came and is never mentioned; exit code 1 when
    the history lacks something.
    """
    known = load(topology)
    if source is None:
        plan = tracking_plan(known.journeys, known.contact, known.derived, known.accounts)
        lines = _declared(plan) if as_yaml else _plan(plan, known.name)
        click.echo(_json(plan) if as_json else "\n".join(lines))
        return 0
    found = compare_plan(known, records(source, lambda _record, _reject: None))
    if as_json:
        click.echo(_json({**msgspec.structs.asdict(found), "findings": found.findings}))
    else:
        click.echo("\n".join(_compared(found, known.name)))
    return 1 if found.findings else 0


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _plan(plan: TrackingPlan, name: str) -> list[str]:
    rows = [("event, field", "type", "used by")]
    for event in plan.events:
        rows.append((_called(event.event), "", ", ".join(event.used_by)))
        rows += [_row(field) for field in event.fields]
    rows += [("customer's traits", "", "")] * bool(plan.traits)
    rows += [_row(trait) for trait in plan.traits]
    return [*_table(rows), "", f"{name}: {_sum(plan.events)}"]


def _declared(plan: TrackingPlan) -> list[str]:
    """As `plan:` of a topology reads it: what the producers promise, to begin with what is needed."""
    lines = ["events:"]
    for event in plan.events:
        if event.event != "*":
            lines += [
                f"  {_key(event.event)}:",
                *(f"    {_key(each.field.removeprefix('event.'))}: {_type(each)}" for each in event.fields),
            ]
    traits = [f"  {_key(each.field.removeprefix('traits.'))}: {_type(each)}" for each in plan.traits]
    return [*lines, *(["traits:", *traits] if traits else [])]


def _key(name: str) -> str:
    return (
        msgspec.json.encode(name).decode()
        if not name.replace(" ", "").replace("_", "").replace(".", "").isalnum()
        else name
    )


def _type(field: FieldNeed) -> str:
    return field.types[0] if len(field.types) == 1 else "any"


def _row(field: FieldNeed) -> tuple[str, str, str]:
    return f"  {field.field}", " or ".join(field.types) or "any", ", ".join(field.used_by)


def _called(event: str) -> str:
    return "any event" if event == "*" else event


def _sum(events: Any) -> str:
    fields = sum(len(event.fields) for event in events)
    return f"{_some(sum(event.event != '*' for event in events), 'event')}, {_some(fields, 'field')}"


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _compared(found: Comparison, name: str) -> list[str]:
    rows = [("event, field", "expected", "seen", "as")]
    for event in found.events:
        rows.append((_called(event.event), "", f"{event.seen:,}" if event.seen else "never", ""))
        rows += [_seen(field, event.seen) for field in event.fields]
    rows += [("customer's traits", "", "", "")] * bool(found.traits)
    rows += [_seen(trait, None) for trait in found.traits]
    lines = [*_table(rows), ""]
    if found.unmentioned:
        shown = [f"{event} {count:,}" for event, count in list(found.unmentioned.items())[:_SHOWN]]
        more = len(found.unmentioned) - len(shown)
        lines += [
            f"came and is never mentioned: {', '.join(shown)}{f', and {more:,} more (--json has all)' if more else ''}"
        ]
    rejected = f", {found.rejected:,} rejected (see rumbo inspect)" if found.rejected else ""
    lines += [f"{name}: {_sum(found.events)}; {_some(found.records, 'record')}{rejected}"]
    problems = found.findings
    if problems:
        lines += [f"{_some(len(problems), 'thing')} to look at:", *(f"  - {each}" for each in problems)]
    else:
        lines += ["the history has everything that the definitions need"]
    return lines


def _seen(field: FieldSeen, among: int | None) -> tuple[str, str, str, str]:
    share = "never" if not field.present else f"{field.present:,}" + (f" of {among:,}" if among is not None else "")
    kinds = (
        ", ".join(f"{kind} {count:,}" for kind, count in field.types.items())
        if len(field.types) > 1
        else "".join(field.types)
    )
    return f"  {field.field}", " or ".join(field.expected) or "any", share, kinds


def _table(rows: list[Any]) -> list[str]:
    """Aligned columns; the last is as long as it likes."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
