"""The contracts as documents: a JSON Schema for each output, and an AsyncAPI 3 document over all of them, made from the structs."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from rumbo import __version__
from rumbo.core.decision import Kind
from rumbo.core.outputs import (
    AccountScoreChanged,
    AccountStageChanged,
    ActionRequested,
    ActionSuppressed,
    DecisionRetracted,
    EventQuarantined,
    ExposureRecorded,
    FlowChanged,
    ScoreChanged,
    SegmentChanged,
    StageChanged,
    StageStuck,
    StageSuggested,
    StageUnstable,
)
from rumbo.intake.reject import Reason
from rumbo.output.cloudevents import event_type, schema_name
from rumbo.output.topics import OutputTopics

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
DATA: Final[dict[Kind, type]] = {
    "stage.changed": StageChanged,
    "stage.stuck": StageStuck,
    "stage.unstable": StageUnstable,
    "stage.suggested": StageSuggested,
    "segment.changed": SegmentChanged,
    "score.changed": ScoreChanged,
    "action.requested": ActionRequested,
    "action.suppressed": ActionSuppressed,
    "exposure.recorded": ExposureRecorded,
    "event.quarantined": EventQuarantined,
    "flow.changed": FlowChanged,
    "decision.retracted": DecisionRetracted,
    "account.stage.changed": AccountStageChanged,
    "account.score.changed": AccountScoreChanged,
}
_TEXT: Final = {"type": "string"}


def schema(kind: Kind) -> dict[str, Any]:
    """The JSON Schema of one output: the CloudEvent and the data in it. Consumers must allow fields that they do not know."""
    made = msgspec.json.schema(DATA[kind])
    name = made["$ref"].rsplit("/", 1)[1]
    return {
        "$schema": DRAFT,
        "$id": f"urn:rumbo:schema:{schema_name(kind)}",
        "title": event_type(kind),
        **envelope(kind, {"$ref": f"#/$defs/{name}"}),
        "$defs": made["$defs"],
    }


def envelope(kind: Kind, data: dict[str, str]) -> dict[str, Any]:
    """The CloudEvent around one output's data."""
    properties = {
        "specversion": {"const": "1.0"}, "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "type": {"const": event_type(kind)},
        "source": {"type": "string", "pattern": "^/rumbo/"}, "subject": _TEXT, "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"}, "partitionkey": _TEXT, "dataschema": _TEXT, "data": data,
    }  # fmt: skip
    return {"type": "object", "required": list(properties), "properties": properties}


def dead_letter_schema() -> dict[str, Any]:
    """The headers of a dead letter."""
    names = ("dlq.detail", "dlq.topic", "dlq.partition", "dlq.offset", "dlq.time", "dlq.version", "dlq.truncated")
    properties: dict[str, Any] = {"dlq.reason": {"enum": list(get_args(Reason))}} | dict.fromkeys(names, _TEXT)
    required = ["dlq.reason", *names[:-1]]
    return {
        "$schema": DRAFT, "$id": "urn:rumbo:schema:dead-letter.v1.json", "title": "Headers of a dead letter",
        "type": "object", "required": required, "properties": properties,
    }  # fmt: skip


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of everything that Rumbo writes, with Kafka bindings and the default topic names."""
    topics = OutputTopics()
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for kind in DATA:
        topic = topics.of(kind)
        place = next(name for name in OutputTopics.__struct_fields__ if getattr(topics, name) == topic)
        channel = channels.setdefault(
            place, {"address": topic, "messages": {}, "bindings": {"kafka": {"topic": topic}}}
        )
        channel["messages"][_camel(kind)] = {"$ref": f"#/components/messages/{_camel(kind)}"}
        operations[f"send{place.capitalize()}"] = {"action": "send", "channel": {"$ref": f"#/channels/{place}"}}
    messages = {
        _camel(kind): {
            "name": event_type(kind),
            "contentType": "application/cloudevents+json",
            "payload": {"$ref": f"./{schema_name(kind)}"},
            "bindings": {"kafka": {"key": {"type": "string", "description": _key(kind)}}},
        }
        for kind in DATA
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rumbo",
            "version": __version__,
            "description": "Stage transitions, lead scores and triggered actions.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def documents() -> dict[str, bytes]:
    """Every document, by file name."""
    made: dict[str, Any] = {schema_name(kind): schema(kind) for kind in DATA}
    made["dead-letter.v1.json"] = dead_letter_schema()
    made["asyncapi.json"] = asyncapi()
    return {name: msgspec.json.format(msgspec.json.encode(each), indent=2) + b"\n" for name, each in made.items()}


def _key(kind: Kind) -> str:
    if kind == "decision.retracted":
        return "the customer, or the account"
    return "the account" if kind.startswith("account.") else "the customer"


def _camel(kind: str) -> str:
    first, *others = kind.split(".")
    return first + "".join(map(str.capitalize, others))
