"""The poison set: records that no broker stops, each with its documented verdict. Used by intake, `simulate` and the engine."""

from __future__ import annotations

import json
from typing import NamedTuple


class Poison(NamedTuple):
    """One record. `verdict` is a reject's reason, `ok`, or `skip`."""

    name: str
    value: bytes | None
    verdict: str


def event(**changes) -> bytes:
    """A good event with something else in it."""
    base = {
        "type": "track",
        "event": "Poisoned",
        "messageId": "p",
        "userId": "u",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {},
    }
    return json.dumps({key: value for key, value in {**base, **changes}.items() if value != "__absent__"}).encode()


POISON = [
    Poison("not JSON", b"hello", "not_json"),
    Poison("truncated JSON", event()[:40], "not_json"),
    Poison("a scalar", b"42", "not_an_object"),
    Poison("an array", b"[1,2]", "not_an_object"),
    Poison("literal null", b"null", "not_an_object"),
    Poison("an empty value", b"", "empty"),
    Poison("a tombstone", None, "skip"),
    Poison("33 KB", event(properties={"x": "y" * 33_000}), "too_large"),
    Poison("a 1 MB string", event(properties={"x": "y" * 1_000_000}), "too_large"),
    Poison("10,000 levels", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_large"),
    Poison("1,000 levels", b'{"a":' * 1_000 + b"1" + b"}" * 1_000, "too_deep"),
    Poison("levels in text are none", event(properties={"x": "{[" * 100}), "ok"),
    Poison("too many properties", event(properties={f"k{n}": 1 for n in range(2_000)}), "too_many_properties"),
    Poison("NaN", event().replace(b"{}", b'{"x": NaN}'), "not_json"),
    Poison("Infinity", event().replace(b"{}", b'{"x": Infinity}'), "not_json"),
    Poison("1e400", event().replace(b"{}", b'{"x": 1e400}'), "not_json"),
    Poison("-0.0", event(messageId="p1", properties={"x": -0.0}), "ok"),
    Poison("2^53+1", event(messageId="p2", properties={"x": 2**53 + 1}), "ok"),
    Poison("2^64", event(messageId="p3", properties={"x": 2**64}), "ok"),
    Poison("10,000 digits", event().replace(b"{}", b'{"x": ' + b"9" * 10_000 + b"}"), "not_json"),
    Poison("duplicate keys", event().replace(b'"userId": "u"', b'"userId": "v", "userId": "u"'), "ok"),
    Poison("invalid UTF-8", event().replace(b"Poisoned", b"Poi\xff\xfe"), "not_utf8"),
    Poison("a byte-order mark", b"\xef\xbb\xbf" + event(messageId="p4"), "ok"),
    Poison("a lone surrogate", event().replace(b"Poisoned", b"\\ud800"), "not_json"),
    Poison("NUL in an id", event(userId="a\x00b"), "ok"),
    Poison("a Cyrillic id", event(userId="а"), "ok"),
    Poison("an empty id", event(userId=""), "no_identity"),
    Poison("an id of nobody", event(userId="null"), "no_identity"),
    Poison("an id of zeros", event(userId="00000000-0000-0000-0000-000000000000"), "no_identity"),
    Poison("an id of 10,000 characters", event(userId="x" * 10_000), "bad_identity"),
    Poison("an id that is true", event(userId=True), "bad_identity"),
    Poison("an id that is a float", event(userId=1.5), "bad_identity"),
    Poison("an id that is an object", event(userId={"id": 1}), "bad_identity"),
    Poison("a numeric id", event(userId=42), "ok"),
    Poison("no id at all", event(userId="__absent__"), "no_identity"),
    Poison("no event name", event(event="__absent__"), "no_event_name"),
    Poison("a blank event name", event(event=" \n "), "no_event_name"),
    Poison("an event name that is a number", event(event=7), "no_event_name"),
    Poison("CR, LF and ANSI in a name", event(messageId="p5", event="a\r\nb\x1b[31m"), "ok"),
    Poison("an unknown type", event(type="purchase"), "unknown_type"),
    Poison("properties that are a list", event(properties=[1]), "bad_properties"),
    Poison("properties that are text", event(properties="x"), "bad_properties"),
    Poison("null properties", event(messageId="p6", properties=None), "ok"),
    Poison("no time", event(messageId="p7", timestamp="__absent__"), "ok"),
    Poison("epoch 0", event(messageId="p8", timestamp=0), "ok"),
    Poison("a negative time", event(messageId="p9", timestamp=-5), "ok"),
    Poison("year 9999", event(messageId="p10", timestamp="9999-12-31T23:59:59Z"), "ok"),
    Poison("year 292278994", event(messageId="p11", timestamp=9223372036854775807), "ok"),
    Poison("30 February", event(messageId="p12", timestamp="2026-02-30T00:00:00Z"), "ok"),
    Poison("a naive time", event(messageId="p13", timestamp="2026-01-01 10:00:00"), "ok"),
    Poison("seconds", event(messageId="p14", timestamp=1_767_225_600), "ok"),
    Poison("milliseconds", event(messageId="p15", timestamp=1_767_225_600_000), "ok"),
    Poison("a schema registry's frame", b"\x00\x00\x00\x00\x07abc", "framed"),
    Poison("Snowplow's TSV", b"a\t" * 130, "unsupported_format"),
    Poison("HTML and formulas", event(messageId="p16", properties={"x": "=cmd|' /C calc'!A0<script>"}), "ok"),
    Poison("missing message id", event(messageId="__absent__"), "ok"),
]

WRONG = {"a number": 7, "true": True, "a list": [1], "an object": {"a": 1}, "null": None}
"""Of each JSON type one; text has rows of its own."""
SPOILED: dict[str, dict[str | None, str]] = {
    "type": {"null": "ok", None: "unknown_type"},
    "event": {None: "no_event_name"},
    "messageId": {None: "ok"},
    "userId": {"a number": "ok", "null": "no_identity", None: "bad_identity"},
    "anonymousId": {None: "ok"},
    "timestamp": {None: "ok"},
    "originalTimestamp": {None: "ok"},
    "receivedAt": {None: "ok"},
    "groupId": {None: "ok"},
    "rudderId": {None: "ok"},
    "specversion": {None: "ok"},
    "properties": {"an object": "ok", "null": "ok", None: "bad_properties"},
    "context": {"an object": "ok", "null": "ok", None: "bad_properties"},
    "traits": {"an object": "ok", "null": "ok", None: "bad_properties"},
}
"""Field -> the verdict where it has this type; `None`: any other. What says who it was, what happened, or is read by rules must have its
type; what only helps (an id, a time, an account) is done without."""
POISON += [
    Poison(f"{field} is {name}", event(**{"messageId": f"w-{field}-{name}", field: wrong}), verdicts.get(name, verdicts[None]))
    for field, verdicts in SPOILED.items()
    for name, wrong in WRONG.items()
]  # fmt: skip
POISON += [
    Poison(f"anonymousId alone is {name}", event(messageId=f"w-alone-{name}", userId="__absent__", anonymousId=wrong), verdict)
    for (name, wrong), verdict in zip(WRONG.items(), ("ok", "bad_identity", "bad_identity", "bad_identity", "no_identity"), strict=True)
]  # fmt: skip


def is_rejected(poison: Poison) -> bool:
    """Whether it belongs in the dead letters."""
    return poison.verdict not in {"ok", "skip"}
