"""Decisions to Kafka records: CloudEvents 1.0, structured, with the same attributes as `ce_*` headers.

The value stands alone (n8n shows neither key nor headers, the Connect HTTP sink drops them); the headers serve Knative.
Written by hand for speed; the tests read it back with the CloudEvents SDK.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import msgspec

from rumbo.core.decision import Because, Decision, Kind
from rumbo.core.instant import isoformat
from rumbo.output.topics import OutputTopics

Mode = Literal["structured", "binary", "plain"]
BECAUSE_LIMIT: Final = 4096
_CONTENT_STRUCTURED: Final = ("content-type", b"application/cloudevents+json; charset=UTF-8")
_CONTENT_JSON: Final = ("content-type", b"application/json")
_VERSION: Final = ("ce_specversion", b"1.0")


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record to be written. The timestamp is the decision's instant in milliseconds."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp_ms: int


class Envelope(msgspec.Struct, frozen=True):
    """A structured CloudEvent as we write it."""

    specversion: str
    id: str
    type: str
    source: str
    subject: str
    time: str
    datacontenttype: str
    partitionkey: str
    dataschema: str
    data: Any


def event_type(kind: Kind) -> str:
    """The CloudEvents type of a kind."""
    return f"io.rumbo.{kind}.v1"


def schema_name(kind: Kind) -> str:
    """The file in `schemas/` that describes a kind."""
    return f"{kind}.v1.json"


class _Fixed(NamedTuple):
    """What all records of one kind and journey have in common."""

    topic: str
    type: str
    schema: str
    source: str
    type_header: tuple[str, bytes]
    source_header: tuple[str, bytes]


class Encoder:
    """Encodes the decisions of one topology."""

    def __init__(self, topics: OutputTopics, mode: Mode = "structured") -> None:
        self._topics, self._mode = topics, mode
        self._encode = msgspec.json.Encoder(decimal_format="number").encode
        self._known: dict[tuple[Kind, str], _Fixed] = {}

    def __call__(self, decision: Decision) -> Outgoing:
        """The record of a decision; a `because` over 4 KB is cut, and says so."""
        fixed = self._known.get((decision.kind, decision.journey)) or self._fixed(decision)
        at, key = isoformat(decision.at), decision.customer.encode()
        structured = self._mode == "structured"
        value = self._structured(decision, fixed, at) if structured else self._short(decision.data)
        content = _CONTENT_STRUCTURED if structured else _CONTENT_JSON
        if self._mode == "plain":
            return Outgoing(fixed.topic, key, value, [content], decision.at // 1000)
        headers = [
            content,
            _VERSION,
            ("ce_id", decision.id.encode()),
            fixed.type_header,
            fixed.source_header,
            ("ce_subject", key),
            ("ce_time", at.encode()),
        ]
        return Outgoing(fixed.topic, key, value, headers, decision.at // 1000)

    def value(self, decision: Decision) -> bytes:
        """The structured CloudEvent alone, whatever the mode: what `rumbo simulate` prints."""
        fixed = self._known.get((decision.kind, decision.journey)) or self._fixed(decision)
        return self._structured(decision, fixed, isoformat(decision.at))

    def _structured(self, decision: Decision, fixed: _Fixed, at: str) -> bytes:
        customer, data = decision.customer, decision.data
        value = self._encode(_envelope(decision.id, fixed, customer, at, data))
        if len(value) <= BECAUSE_LIMIT:  # then the `because` in it is shorter
            return value
        return self._encode(_envelope(decision.id, fixed, customer, at, bounded(data)))

    def _short(self, data: Any) -> bytes:
        value = self._encode(data)
        return value if len(value) <= BECAUSE_LIMIT else self._encode(bounded(data))

    def _fixed(self, decision: Decision) -> _Fixed:
        kind, source = decision.kind, f"/rumbo/{decision.journey}"
        name, schema = event_type(kind), f"urn:rumbo:schema:{schema_name(kind)}"
        made = self._known[kind, decision.journey] = _Fixed(
            self._topics.of(kind), name, schema, source, ("ce_type", name.encode()), ("ce_source", source.encode())
        )
        return made


def _envelope(number: str, fixed: _Fixed, customer: str, at: str, data: Any) -> Envelope:
    return Envelope(
        "1.0", number, fixed.type, fixed.source, customer, at, "application/json", customer, fixed.schema, data
    )


def bounded(data: Any) -> Any:
    """The data with its `because` within 4 KB: conditions are dropped from the end, then events, and `truncated` says so."""
    because: Because = data.because
    if len(msgspec.json.encode(because)) <= BECAUSE_LIMIT:
        return data
    conditions, events = list(because.conditions), list(because.events)
    while conditions or events:
        (conditions or events).pop()
        because = msgspec.structs.replace(because, conditions=tuple(conditions), events=tuple(events), truncated=True)
        if len(msgspec.json.encode(because)) <= BECAUSE_LIMIT:
            break
    return msgspec.structs.replace(data, because=because)
