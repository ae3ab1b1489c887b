"""CloudEvents 1.0 on Kafka, binary (attributes in `ce_*` headers) and structured (one JSON envelope), to interactions."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rumbo.core.interaction import Interaction, folded
from rumbo.intake.identity import read_id, read_message_id
from rumbo.intake.record import RawRecord
from rumbo.intake.reject import Reject
from rumbo.intake.segment import clean_name, read_segment
from rumbo.intake.source import SourceFormat
from rumbo.intake.text import NOTHING, exact, not_json, section
from rumbo.intake.times import pick_time, usual_time

_EMPTY: Final = msgspec.Raw(NOTHING)
_IDENTITIES: Final = ("userId", "user_id", "customerId", "customer_id", "customer", "anonymousId")


class Envelope(msgspec.Struct):
    """A structured CloudEvent; `data` stays raw."""

    specversion: Any = None
    id: Any = None
    type: Any = None
    source: Any = None
    subject: Any = None
    time: Any = None
    partitionkey: Any = None
    data: msgspec.Raw = _EMPTY
    data_base64: Any = None


_decode: Final = msgspec.json.Decoder(Envelope).decode
_plain: Final = msgspec.json.Decoder().decode


def attributes(record: RawRecord) -> dict[str, str]:
    """The `ce_*` headers (in any case), and `content-type`, as text; null values are absent."""
    found: dict[str, str] = {}
    for name, value in record.headers or ():
        lower = name.lower()
        if value is not None and (lower.startswith("ce_") or lower == "content-type"):
            found[lower.removeprefix("ce_")] = value.decode(errors="replace")
    return found


def read_binary(value: bytes, record: RawRecord, source: SourceFormat, flags: list[str]) -> Interaction | Reject:
    """Attributes from the headers, data from the value."""
    bad = exact(value)
    if bad is not None:
        return bad
    said = attributes(record)
    if any(name.startswith("CE_") for name, _ in record.headers or ()):
        flags.append("header_case")
    envelope = Envelope(
        specversion=said.get("specversion"), id=said.get("id"), type=said.get("type"), source=said.get("source"),
        subject=said.get("subject"), time=said.get("time"), partitionkey=said.get("partitionkey"), data=msgspec.Raw(value),
    )  # fmt: skip
    return _from(envelope, record, source, flags)


def read_structured(value: bytes, record: RawRecord, source: SourceFormat, flags: list[str]) -> Interaction | Reject:
    """Everything in one JSON envelope."""
    try:
        envelope = _decode(value)
    except msgspec.MsgspecError as error:
        return not_json(value, error)
    if envelope.specversion is None:
        return read_segment(value, record, source, flags)
    return _from(envelope, record, source, flags)


def _from(envelope: Envelope, record: RawRecord, source: SourceFormat, flags: list[str]) -> Interaction | Reject:
    name = clean_name(envelope.type, "type", flags)
    if not isinstance(name, str):
        return name
    data = section(envelope.data, "data")
    if not isinstance(data, bytes):
        return data
    customer = _customer(envelope, data, record, flags)
    if not isinstance(customer, str):
        return customer or Reject("no_identity", "no subject, and neither data nor the key says who it was", "subject")
    said, ms, future = envelope.time, record.timestamp, source.future
    at = usual_time(said, ms, future) or pick_time((said,), ms, future, flags)
    if at is None:
        return Reject("no_time", "no time that can be read, and the record has none", "time")
    return Interaction(
        customer, name, folded(name), read_message_id(envelope.id, record, flags), at,
        record.topic, record.partition, record.offset, data, format="cloudevents", flags=tuple(flags),
    )  # fmt: skip


def _customer(envelope: Envelope, data: bytes, record: RawRecord, flags: list[str]) -> str | Reject | None:
    found = read_id(envelope.subject, "subject", flags)
    if found is not None:
        return found
    if b"Id" in data or b"_id" in data or b"customer" in data:
        read = _plain(data)
        for name in _IDENTITIES:
            found = read_id(read.get(name), f"data.{name}", flags)
            if found is not None:
                return found
    key = record.key.decode(errors="replace") if record.key else None
    return read_id(envelope.partitionkey, "partitionkey", flags) or read_id(key, "key", flags)
