"""What intake puts aside, and why: a closed list of reasons, and the dead-letter record that keeps the original."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rumbo.intake.record import RawRecord

Reason = Literal[
    "too_large",  # more bytes than the limit
    "empty",  # a value of no bytes
    "not_utf8",  # bytes that are no UTF-8 text
    "not_json",  # truncated, NaN, a number out of range, a lone surrogate, a bare word
    "not_an_object",  # JSON, but an array, a string, a number or null
    "too_deep",  # nested beyond the limit
    "too_many_properties",  # more keys than the limit
    "framed",  # a schema registry's magic byte: Avro or Protobuf
    "unsupported_format",  # a format that is known and not read (Snowplow TSV, LZ4-wrapped PostHog)
    "unknown_type",  # a `type` that is none of Segment's calls
    "no_event_name",  # a track without a name
    "no_identity",  # neither userId nor anonymousId nor the mapped path
    "bad_identity",  # a boolean, float, object or array as id; an id over 256 characters
    "bad_properties",  # `properties`, `context` or `traits` neither object nor null
    "no_time",  # no readable time, and the record has none either
    "too_old",  # older than the source's `max_age`
    "not_a_control_record",  # on the control topic, and none of its kinds
    "not_a_record",  # a line of a file that is neither an event nor a record
]

VERSION: Final = "1"
_DETAIL: Final = 300


class Reject(msgspec.Struct, frozen=True):
    """A record put aside: the reason, where (a JSON path or header), and the likely cure."""

    reason: Reason
    detail: str = ""
    path: str = ""


def printable(text: str, most: int = _DETAIL) -> str:
    """Text from outside as logs and headers may show it: control characters escaped, cut to a length."""
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text[:most])
    return shown if len(text) <= most else shown + "…"


def dead_letter(
    record: RawRecord, reject: Reject, *, keep: bool = True, limit: int = 1_000_000
) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Key, value and headers of the dead-letter record: the original bytes (or none), and reason with coordinates.

    A value over `limit` bytes, which the topic would refuse, is left out and said so (`dlq.truncated`).
    """
    headers = [
        (name, value) for name, value in record.headers or () if value is not None and not name.startswith("dlq.")
    ]
    size = len(record.value or b"") + sum(len(name) + len(value) for name, value in headers)
    fits = size <= limit
    said = {
        "dlq.reason": reject.reason,
        "dlq.detail": printable(f"{reject.path}: {reject.detail}" if reject.path else reject.detail),
        "dlq.topic": record.topic,
        "dlq.partition": str(record.partition),
        "dlq.offset": str(record.offset),
        "dlq.time": str(record.timestamp),
        "dlq.version": VERSION,
    }
    if keep and not fits:
        said["dlq.truncated"] = str(size)
    ours = [(name, value.encode()) for name, value in said.items()]
    key = record.key if record.key is None or len(record.key) <= limit else None
    return (key, record.value, [*headers, *ours]) if keep and fits else (key, None, ours)
