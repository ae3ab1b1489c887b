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
SHORT: Final = 200
_STRUCTURED: Final = b"application/cloudevents+json; charset=UTF-8"
_JSON: Final = b"application/json"


class Outgoing(NamedTuple):
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


class Encoder:
    """Encodes the decisions of one topology."""

    def __init__(self, topics: OutputTopics, mode: Mode = "structured") -> None:
        self._topics, self._mode = topics, mode
        self._encode = msgspec.json.Encoder(decimal_format="number").encode
        self._fixed: dict[Kind, tuple[str, str, str, bytes]] = {}

    def __call__(self, decision: Decision) -> Outgoing:
        """The record of a decision; a `because` over 4 KB is cut, and says so."""
        kind = decision.kind
        fixed = self._fixed.get(kind)
        if fixed is None:
            name = event_type(kind)
            fixed = self._fixed[kind] = (
                self._topics.of(kind),
                name,
                f"urn:rumbo:schema:{schema_name(kind)}",
                name.encode(),
            )
        topic, name, schema, raw_name = fixed
        at, source, customer = isoformat(decision.at), f"/rumbo/{decision.journey}", decision.customer
        data, key = bounded(decision.data), customer.encode()
        if self._mode == "structured":
            value = self._encode(
                Envelope("1.0", decision.id, name, source, customer, at, "application/json", customer, schema, data)
            )
        else:
            value = self._encode(data)
        headers = [
            ("content-type", _STRUCTURED if self._mode == "structured" else _JSON),
            ("ce_specversion", b"1.0"),
            ("ce_id", decision.id.encode()),
            ("ce_type", raw_name),
            ("ce_source", source.encode()),
            ("ce_subject", key),
            ("ce_time", at.encode()),
        ]
        return Outgoing(topic, key, value, headers if self._mode != "plain" else headers[:1], decision.at // 1000)

    def value(self, decision: Decision) -> bytes:
        """The structured CloudEvent alone, whatever the mode: what `rumbo simulate` prints."""
        kind, customer = decision.kind, decision.customer
        source, schema = f"/rumbo/{decision.journey}", f"urn:rumbo:schema:{schema_name(kind)}"
        return self._encode(
            Envelope(
                "1.0", decision.id, event_type(kind), source, customer, isoformat(decision.at), "application/json",
                customer, schema, bounded(decision.data),
            )
        )  # fmt: skip


def bounded(data: Any) -> Any:
    """The data with its `because` within 4 KB: conditions are dropped from the end, then events, and `truncated` says so."""
    because: Because = data.because
    if len(because.conditions) <= 4 and len(because.events) <= 4 and _small(because):  # noqa: PLR2004  the usual case, without encoding
        return data
    if len(msgspec.json.encode(because)) <= BECAUSE_LIMIT:
        return data
    conditions, events = list(because.conditions), list(because.events)
    while conditions or events:
        (conditions or events).pop()
        because = msgspec.structs.replace(because, conditions=tuple(conditions), events=tuple(events), truncated=True)
        if len(msgspec.json.encode(because)) <= BECAUSE_LIMIT:
            break
    return msgspec.structs.replace(data, because=because)


def _small(because: Because) -> bool:
    """Whether nothing in it can be long: texts of events are bounded, so only conditions and the values they saw can be."""
    return all(
        len(leaf.condition) < SHORT and all(_short(seen) for seen in leaf.saw.values()) for leaf in because.conditions
    ) and all(len(event.id) + len(event.name) < SHORT for event in because.events)


def _short(seen: Any) -> bool:
    return not isinstance(seen, list | dict | str) or len(seen) < SHORT // 4
