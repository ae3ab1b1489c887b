"""Segment's and RudderStack's JSON: the six calls (identify, track, page, screen, group, alias) to interactions."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rumbo.core.interaction import Interaction, folded
from rumbo.intake.identity import read_id, read_message_id
from rumbo.intake.record import RawRecord
from rumbo.intake.reject import Reject, printable
from rumbo.intake.source import SourceFormat
from rumbo.intake.text import NOTHING, not_json, section
from rumbo.intake.times import pick_time, usual_time

NAMES: Final = {
    "page": "Page Viewed",
    "screen": "Screen Viewed",
    "identify": "Identified",
    "group": "Grouped",
    "alias": "Aliased",
}
_EMPTY: Final = msgspec.Raw(NOTHING)
_OPENS: Final = b"{"[0]
CLEAN: Final = 10_000
_clean: Final[dict[str, str]] = {}
"""Names that were met and need no cleaning, folded."""


class Call(msgspec.Struct, weakref=False, gc=False):
    """What is read of a call; sections stay raw."""

    type: Any = None
    event: Any = None
    userId: Any = None  # noqa: N815  the producers' names
    anonymousId: Any = None  # noqa: N815
    messageId: Any = None  # noqa: N815
    timestamp: Any = None
    originalTimestamp: Any = None  # noqa: N815
    receivedAt: Any = None  # noqa: N815
    rudderId: Any = None  # noqa: N815
    specversion: Any = None
    """Of a structured CloudEvent, which is no call."""
    groupId: Any = None  # noqa: N815
    properties: msgspec.Raw = _EMPTY
    context: msgspec.Raw = _EMPTY
    traits: msgspec.Raw = _EMPTY


_decode: Final = msgspec.json.Decoder(Call).decode
_plain: Final = msgspec.json.Decoder().decode


def read_call(value: bytes) -> Call | Reject:
    """What these bytes are as a call."""
    try:
        return _decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        return not_json(value, error)


def read_segment(value: bytes, record: RawRecord, source: SourceFormat, flags: list[str]) -> Interaction | Reject:
    """Read one call. `value` has passed `text.refused`."""
    call = read_call(value)
    return call if isinstance(call, Reject) else from_call(call, record, source, flags)


def from_call(call: Call, record: RawRecord, source: SourceFormat, flags: list[str]) -> Interaction | Reject:
    """The interaction that a call is."""
    name, kind = call.event, call.type
    key = _clean.get(name) if kind == "track" and type(name) is str else None
    if key is None:
        found = _name(call, flags)
        if not isinstance(found, str):
            return found
        name, key = found, folded(found)
    customer = read_id(call.userId, "$.userId", flags)
    anonymous = customer is None
    if anonymous:
        customer = read_id(call.anonymousId, "$.anonymousId", flags)
    if not isinstance(customer, str):
        return customer or Reject("no_identity", "neither userId nor anonymousId says who it was", "$.userId")
    properties, context = bytes(call.properties), bytes(call.context)
    if properties[0] != _OPENS:
        checked = section(properties, "$.properties")
        if isinstance(checked, Reject):
            return checked
        properties = checked
    if context[0] != _OPENS:
        checked = section(context, "$.context")
        if isinstance(checked, Reject):
            return checked
        context = checked
    traits = NOTHING if call.traits is _EMPTY and kind == "track" else _traits(call, context)
    if isinstance(traits, Reject):
        return traits
    at = usual_time(call.timestamp, record.timestamp, source.future) or pick_time(
        (call.timestamp, None if call.rudderId is not None else call.originalTimestamp, call.receivedAt),
        record.timestamp, source.future, flags,
    )  # fmt: skip
    if at is None:
        return Reject("no_time", "no time that can be read, and the record has none", "$.timestamp")
    return Interaction(
        customer, name, key, read_message_id(call.messageId, record, flags), at,
        record.topic, record.partition, record.offset,
        properties, context, traits,
        _grouped if call.groupId is None else _account(call.groupId), anonymous, "segment", tuple(flags) if flags else (),
    )  # fmt: skip


def _name(call: Call, flags: list[str]) -> str | Reject:
    kind = call.type
    if kind == "track" or (kind is None and call.event is not None):
        return clean_name(call.event, "$.event", flags)
    if isinstance(kind, str):
        name = NAMES.get(kind)
        if name is None and (folded_kind := kind.strip().casefold()) in {"track", *NAMES}:
            flags.append("type_cleaned")
            return clean_name(call.event, "$.event", flags) if folded_kind == "track" else NAMES[folded_kind]
        if name is not None:
            return name
        return Reject(
            "unknown_type", f"{printable(kind, 40)!r} is none of identify, track, page, screen, group, alias", "$.type"
        )
    if kind is None:
        return Reject("no_event_name", "neither `type` nor `event` says what happened", "$.type")
    return Reject("unknown_type", "`type` is not text", "$.type")


def clean_name(value: Any, path: str, flags: list[str]) -> str | Reject:
    """The event's name: trimmed, white space within made one space."""
    if not isinstance(value, str):
        return Reject(
            "no_event_name", "the event has no name" if value is None else "the event's name is not text", path
        )
    if value.isprintable() and value == value.strip() and "  " not in value and value:
        if len(_clean) < CLEAN:  # names come from outside: a producer must not fill the memory
            _clean[value] = folded(value)
        return value
    text = " ".join(value.split()).replace("\x00", "�")
    if not text:
        return Reject("no_event_name", "the event's name is blank", path)
    flags.append("name_cleaned")
    return text


def _traits(call: Call, context: bytes) -> bytes | Reject:
    """What an identify says of the person: at the root, else in the context (RudderStack's Python SDK)."""
    own = NOTHING if call.traits is _EMPTY else section(call.traits, "$.traits")
    if call.type != "identify" or own != NOTHING or b'"traits"' not in context:
        return own
    found = _plain(context).get("traits")
    return msgspec.json.encode(found) if isinstance(found, dict) else own


def _grouped(event: Interaction) -> str | None:
    """The account in the context, looked for when a rule asks."""
    return _account(event.context.get("groupId"))


def _account(found: Any) -> str | None:
    account = read_id(found, "$.context.groupId", []) if type(found) in {str, int} else None
    return account if isinstance(account, str) else None
