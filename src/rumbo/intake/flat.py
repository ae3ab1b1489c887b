"""A flat custom JSON object, mapped by dotted paths, to interactions: six lines of YAML instead of an adapter."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rumbo.core.interaction import Interaction, folded
from rumbo.intake.identity import read_id, read_message_id
from rumbo.intake.record import RawRecord
from rumbo.intake.reject import Reject
from rumbo.intake.segment import clean_name
from rumbo.intake.source import FlatMap, SourceFormat
from rumbo.intake.text import NOTHING, not_json
from rumbo.intake.times import pick_time, usual_time

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def read_flat(value: bytes, record: RawRecord, source: SourceFormat, flags: list[str]) -> Interaction | Reject:
    """Read one object by the source's map."""
    mapping = source.map
    if mapping is None:
        return Reject("unsupported_format", "a flat source needs a `map`")
    try:
        found = _decode(value)
    except msgspec.MsgspecError as error:
        return not_json(value, error)
    name = clean_name(_at(found, mapping.event), f"$.{mapping.event}", flags)
    if not isinstance(name, str):
        return name
    customer = read_id(_at(found, mapping.identity), f"$.{mapping.identity}", flags)
    if not isinstance(customer, str):
        return customer or Reject("no_identity", "nothing there says who it was", f"$.{mapping.identity}")
    said, ms, future = _at(found, mapping.time), record.timestamp, source.future
    at = usual_time(said, ms, future) or pick_time((said,), ms, future, flags)
    if at is None:
        return Reject("no_time", "no time that can be read, and the record has none", f"$.{mapping.time}")
    properties = _properties(found, value, mapping)
    if not isinstance(properties, bytes):
        return properties
    account = read_id(_at(found, mapping.account), "", [])
    return Interaction(
        customer, name, folded(name), read_message_id(_at(found, mapping.id), record, flags), at,
        record.topic, record.partition, record.offset, properties,
        _account=account if isinstance(account, str) else None, format="flat", flags=tuple(flags),
    )  # fmt: skip


def _at(found: Any, path: str | None) -> Any:
    if path is None:
        return None
    for name in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def _properties(found: dict[str, Any], value: bytes, mapping: FlatMap) -> bytes | Reject:
    if mapping.properties is None:
        return value
    part = _at(found, mapping.properties)
    if part is None:
        return NOTHING
    if not isinstance(part, dict):
        return Reject("bad_properties", "neither an object nor null", f"$.{mapping.properties}")
    return msgspec.json.encode(part)
