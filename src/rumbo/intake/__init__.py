"""Intake: raw records to interactions, or to rejects with a reason. Strict about what could mislead, forgiving about habits.

It never raises on any bytes, never decides anything about a customer, and never reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from rumbo.core.instant import isoformat
from rumbo.core.interaction import Interaction
from rumbo.intake.cloudevents import read_binary, read_structured
from rumbo.intake.control import Clock, Control, Figures, Said, read_control
from rumbo.intake.flat import read_flat
from rumbo.intake.record import RawRecord, Record, from_line
from rumbo.intake.reject import Reason, Reject, dead_letter, printable
from rumbo.intake.segment import from_call, read_call, read_segment
from rumbo.intake.source import FlatMap, Format, SourceFormat
from rumbo.intake.text import plain, refused, without_mark

__all__ = [
    "SKIP", "Clock", "Control", "Figures", "FlatMap", "Format", "RawRecord", "Reader", "Reason", "Record", "Reject", "Said", "Skip",
    "SourceFormat", "all_plain", "dead_letter", "from_line", "inspect", "printable", "read_control", "reader",
]  # fmt: skip


class Skip:
    """A record that asks for nothing: a tombstone."""


SKIP: Final = Skip()


class Reader(Protocol):
    """Reads one record. Who has looked at the numbers of several at once (`all_plain`) says so."""

    def __call__(self, record: RawRecord, *, known_plain: bool = False) -> Interaction | Reject | Skip: ...


_Read = Callable[[bytes, RawRecord, SourceFormat, list[str]], Interaction | Reject]


def reader(source: SourceFormat) -> Reader:
    """A function that reads this source's records."""
    fixed: _Read | None = {"segment": read_segment, "flat": read_flat}.get(source.format)
    age = source.max_age

    def read(record: RawRecord, *, known_plain: bool = False) -> Interaction | Reject | Skip:
        value = record.value
        if value is None:
            return SKIP
        bad = refused(value, source, known_plain=known_plain)
        if bad is not None:
            return bad
        flags: list[str] = []
        if value[0] == 0xEF:  # noqa: PLR2004  the first byte of a byte-order mark
            value = without_mark(value, flags)
        read_as = fixed or (_detect(record) if record.headers else _read_by_envelope)
        made = read_as(value, record, source, flags)
        if age is not None and type(made) is Interaction and record.timestamp * 1000 - made.at > age:
            return Reject("too_old", f"{isoformat(made.at)} is older than the source's max_age")
        return made

    return read


def all_plain(records: Iterable[RawRecord]) -> bool:
    """Whether no number in any of these records can be beyond every double: one look at all takes half of a look at each."""
    return plain(b"".join([each.value or b"" for each in records]))


def _detect(record: RawRecord) -> _Read:
    """The format that a record's headers show; without any, what its envelope shows."""
    for name, said in record.headers or ():
        lower = name.lower()
        if lower == "content-type" and said is not None and said.startswith(b"application/cloudevents"):
            return read_structured
        if lower in {"ce_specversion", "ce_type", "ce_id"} and said is not None:
            return read_binary
    return _read_by_envelope


def _read_by_envelope(value: bytes, record: RawRecord, source: SourceFormat, flags: list[str]) -> Interaction | Reject:
    """Read a call, or what its fields show it to be."""
    call = read_call(value)
    if isinstance(call, Reject):
        return call
    if isinstance(call.specversion, str) and call.type is not None:
        return read_structured(value, record, source, flags)
    return from_call(call, record, source, flags)


def inspect(record: RawRecord, source: SourceFormat) -> dict[str, Any]:
    """What intake makes of a record, for people: the interaction's parts, or what was put aside and why."""
    read = reader(source)(record)
    if isinstance(read, Skip):
        return {"skipped": "a tombstone (null value) asks for nothing"}
    if isinstance(read, Reject):
        return {"rejected": read.reason, "detail": printable(read.detail), "path": read.path}
    return {
        "customer": read.customer,
        "name": read.name,
        "id": read.id,
        "time": isoformat(read.at),
        "properties": read.properties,
        "context": read.context,
        "traits": read.traits,
        "account": read.account,
        "anonymous": read.anonymous,
        "format": read.format,
        "coerced": list(read.flags),
    }
