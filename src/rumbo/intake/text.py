"""Bytes to JSON, strictly and within limits: what no rule may ever meet is refused here, whatever rules read."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from rumbo.intake.reject import Reject
from rumbo.intake.source import SourceFormat

_MARKS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:]', re.DOTALL)
_BOM: Final = b"\xef\xbb\xbf"
_plain: Final = msgspec.json.Decoder().decode
NOTHING: Final = b"{}"
KEY_BYTES: Final = 5
"""A key takes as many at least: `"":1,`."""
DEEP: Final = 64
_SHAPES: Final = bytes.maketrans(b"123456789+E", b"0000000000e")
"""Digits as 0, exponents as e. A plus is a digit too: one in an exponent may make it look longer, never shorter."""
LONG: Final = b"0" * 100


def plain(text: bytes) -> bool:
    """Whether no number in this text can be beyond every double. Of many texts in one it takes half of what one by one takes."""
    shape = text.translate(_SHAPES)
    return b"0e000" not in shape and LONG not in shape


def refused(value: bytes, source: SourceFormat, *, known_plain: bool = False) -> Reject | None:
    """Why these bytes are not read at all: size, text, depth, number of keys, numbers out of range (unless they are known to be `plain`).

    That they are JSON is for the format to say, which reads them all: a section kept raw is checked too, but for its numbers.
    """
    size = len(value)
    if size > source.max_bytes:
        return Reject("too_large", f"{size} bytes, more than {source.max_bytes}")
    if not value:
        return Reject("empty", "a value of no bytes")
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError as error:
            if value[0] == 0:
                return _framed()
            return Reject("not_utf8", f"byte {error.start} is no UTF-8")
    if value[0] == 0:
        return _framed()
    opened = (
        2 * size - len(value.replace(b"{", b"")) - len(value.replace(b"[", b""))
    )  # `count` takes four times as long
    if opened > source.max_depth or (size > KEY_BYTES * source.max_properties and _many(value, source)):
        too_much = _counted(value, source)
        if too_much is not None:
            return too_much
    if opened > DEEP or not (known_plain or plain(value)):  # numbers that may be beyond every double, or text like one
        return exact(value)
    return None


def _many(value: bytes, source: SourceFormat) -> bool:
    return value.count(b":") > source.max_properties


def _framed() -> Reject:
    return Reject("framed", "starts with a schema registry's magic byte; publish JSON, or decode before")


def _counted(value: bytes, source: SourceFormat) -> Reject | None:
    depth = deepest = keys = 0
    for mark in _MARKS.finditer(value):
        character = mark.group()
        if character in {b"{", b"["}:
            depth += 1
            deepest = max(deepest, depth)
        elif character in {b"}", b"]"}:
            depth -= 1
        elif character == b":":
            keys += 1
    if deepest > source.max_depth:
        return Reject("too_deep", f"nested {deepest} levels deep, more than {source.max_depth}")
    if keys > source.max_properties:
        return Reject("too_many_properties", f"{keys} keys, more than {source.max_properties}")
    return None


def exact(value: bytes) -> Reject | None:
    """Decode the whole once, where what is kept raw could hide a number that no double holds, or no JSON at all."""
    try:
        _plain(value if value[0] != _BOM[0] else value.removeprefix(_BOM))
    except msgspec.MsgspecError as error:
        return not_json(value, error)
    except RecursionError:
        return Reject("too_deep", "nested too deep to read")
    return None


def without_mark(value: bytes, flags: list[str]) -> bytes:
    """The bytes without a byte-order mark."""
    if value[:3] == _BOM:
        flags.append("byte_order_mark")
        return value[3:]
    return value


def not_json(value: bytes, error: Exception) -> Reject:
    """Why JSON could not be read as the object that was expected."""
    try:
        found = _plain(value)
    except (msgspec.MsgspecError, RecursionError) as worse:
        if value.count(b"\t") >= 100:  # noqa: PLR2004  Snowplow's enriched TSV has 131 columns
            return Reject("unsupported_format", "looks like Snowplow's TSV; publish its JSON instead")
        return Reject("not_json", str(worse))
    if not isinstance(found, dict):
        return Reject("not_an_object", f"a JSON {_kind(found)} where an object is needed")
    return Reject("not_json", str(error))


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"


def section(raw: bytes | msgspec.Raw, path: str) -> bytes | Reject:
    """A section that must be an object: null and nothing are the empty one."""
    text = bytes(raw)
    if text[:1] == b"{":
        return text
    if text in {b"", b"null"}:
        return NOTHING
    return Reject("bad_properties", "neither an object nor null", path)
