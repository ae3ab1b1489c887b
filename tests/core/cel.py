"""The conformance suite of the CEL specification, from the source distribution that carries it; fetched by name, never kept here.

Reads Protocol Buffers' text format as far as the suite uses it, and says of each case which construct keeps it out of the subset.
"""

from __future__ import annotations

import math
import re
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.packages import CEL, fetched

UNKNOWN = object()
"""An error in CEL is unknown here."""


class Case(NamedTuple):
    """One case: the expression, the values of its names, what must come out (`UNKNOWN` for an error)."""

    name: str
    text: str
    bindings: dict[str, Any]
    expected: Any
    excluded: str
    """Why the subset cannot express it; empty where it can."""
    checked: bool
    """Whether the suite lets a checker see it first."""


def cases() -> Iterator[Case]:
    """Every case of every file, in order."""
    with tarfile.open(fetched(CEL)) as found:
        for member in sorted(found.getmembers(), key=lambda each: each.name):
            if member.name.endswith(".textproto"):
                file = found.extractfile(member)
                assert file is not None
                yield from _cases(Path(member.name).stem, read_text(file.read().decode()))


def _cases(stem: str, message: dict[str, list[Any]]) -> Iterator[Case]:
    for section in message.get("section", []):
        for test in section.get("test", []):
            yield _case(f"{stem}/{_one(section, 'name')}/{_one(test, 'name')}", test)


def _one(message: dict[str, list[Any]], name: str, default: Any = "") -> Any:
    found = message.get(name, [default])[0]
    return found.decode() if isinstance(found, bytes) else found


def _case(name: str, test: dict[str, list[Any]]) -> Case:
    text, why, bindings, expected = _one(test, "expr"), "", {}, None
    try:
        bindings = {_one(each, "key"): _bound(each["value"][0]) for each in test.get("bindings", [])}
        expected = _expected(test)
    except Outside as error:
        why = str(error)
    why = _construct(text) or why or _context(test, bindings)
    return Case(name, text, bindings, expected, why, checked="disable_check" not in test)


def _bound(given: dict[str, list[Any]]) -> Any:
    if "value" not in given:
        raise Outside("partial evaluation (unknown as an input)")
    return value(given["value"][0])


def _expected(test: dict[str, list[Any]]) -> Any:
    if "value" in test:
        return value(test["value"][0])
    if "eval_error" in test or "any_eval_errors" in test:
        return UNKNOWN
    if "typed_result" in test:
        raise Outside("types as results of a check")
    if "unknown" in test or "any_unknowns" in test:
        raise Outside("partial evaluation (unknown as an input)")
    return True


class Outside(Exception):
    """A value that the subset has none of."""


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "int64_value": int, "double_value": float, "string_value": bytes.decode, "bool_value": "true".__eq__,
    "null_value": lambda _: None, "list_value": lambda found: [value(each) for each in found.get("values", [])],
}  # fmt: skip
_OUTSIDE = {"uint64_value": "unsigned integers", "bytes_value": "bytes", "type_value": "types as values"}


def value(message: dict[str, list[Any]]) -> Any:
    """A CEL value as the subset computes with it."""
    (kind, (found, *_)), *_ = message.items() or [("null_value", [None])]
    if kind in _PLAIN:
        return _PLAIN[kind](found)
    if kind == "map_value":
        return _map(found)
    if kind == "object_value":
        return _well_known(found)
    raise Outside(_OUTSIDE.get(kind, "protobuf messages and enums"))


def _map(found: Any) -> dict[str, Any]:
    made = {}
    for each in found.get("entries", []):
        key = value(each["key"][0])
        if not isinstance(key, str):
            raise Outside("maps with keys other than text (JSON has none)")
        made[key] = value(each["value"][0])
    return made


def _well_known(found: Any) -> Any:
    """Timestamps and durations are messages in the suite and values in the language."""
    for name, (inner, *_) in found.items():
        seconds, nanos = int(_one(inner, "seconds", 0)), int(_one(inner, "nanos", 0))
        length = timedelta(seconds=seconds, microseconds=nanos // 1000) if abs(seconds) < 8e13 else None
        if length is None or nanos % 1000:
            raise Outside("times finer than a microsecond, or beyond the years 1 to 9999")
        if name.endswith("google.protobuf.Timestamp]"):
            return datetime(1970, 1, 1, tzinfo=UTC) + length
        if name.endswith("google.protobuf.Duration]"):
            return length
    raise Outside("protobuf messages and enums")


_CONSTRUCTS = [
    (r"google\.protobuf|TestAllTypes|\bproto[23]?\.|NestedEnum|GlobalEnum|\b[A-Z]\w*\s*\{|GlobalEnum|\.cel\.expr", "protobuf messages and enums"),
    (r"\.(all|exists|exists_one|existsOne|map|filter|transformList|transformMap|transformMapEntry)\(|cel\.(bind|block|index|iterVar|accuVar|@)", "macros (loops)"),
    (r"optional\.|\.\?|\[\?|\{\?|\.(or|orValue|hasValue|optMap|optFlatMap|value)\(", "optionals (an extension)"),
    (r"\bmath\.|\bbase64\.|\bstrings\.|\bcel\.|\.(charAt|indexOf|lastIndexOf|join|replace|split|substring|trim|lowerAscii|upperAscii|format|reverse|quote)\(|\bproto\.", "extension functions"),
    (r"\.matches\(|\bmatches\(", "regular expressions"),
    (r"\btype\(|\b(bool|int|uint|double|string|bytes|list|map|null_type|type)\b(?!\s*\()", "types as values"),
    (r"(?<![\w.])\d+[uU]\b|0x[0-9a-fA-F]+[uU]\b|\buint\(", "unsigned integers"),
    (r"(?<!\w)[rR]?[bB][rR]?(['\"])|\bbytes\(", "bytes"),
    (r"(?<!\w)[rR](['\"])|'''|\"\"\"", "raw and triple-quoted text"),
    (r"\{", "map literals (an author's maps are the event's)"),
    (r"\bf_unknown\(", "functions that do not exist (refused when a definition is loaded)"),
    (r"`", "quoted field names"),
    (r"//", "comments inside an expression (YAML has its own)"),
]  # fmt: skip
_TEXT = re.compile(r"(?s)(?<![bBrR])(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")


def _construct(text: str) -> str:
    if "'''" in text or '"""' in text:
        return "raw and triple-quoted text"
    if re.search(r"\.\d{7,9}Z'\)( \+|\)$)|\dns'", text):
        return "times finer than a microsecond, or beyond the years 1 to 9999"
    bare = _TEXT.sub("''", text)
    return next((reason for pattern, reason in _CONSTRUCTS if re.search(pattern, bare)), "")


def _context(test: dict[str, list[Any]], bindings: dict[str, Any]) -> str:
    if "container" in test or any("." in name for name in bindings):
        return "names resolved in a container"
    return "macros (loops)" if "disable_macros" in test else ""


def same(left: Any, right: Any) -> bool:
    """Equal in value and in type; NaN is NaN."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


# Text format ----------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    rb"""\s*(?:\#[^\n]*\s*)*(?:(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<name>\[[^\]]*[A-Za-z]/[^\]]*\]|[-+\w.]+)|(?P<mark>[{}<>:\[\],;])|(?P<end>\Z))"""
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL)
_SIMPLE = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def read_text(text: str) -> dict[str, list[Any]]:
    """A message: field name -> its values; text as bytes, numbers and words as text."""
    tokens = [(match.lastgroup, match.group(match.lastgroup or "end")) for match in _TOKEN.finditer(text.encode())]
    found, _ = _message(tokens, 0, b"")
    return found


def _message(tokens: list[Any], at: int, closing: bytes) -> tuple[dict[str, list[Any]], int]:
    found: dict[str, list[Any]] = {}
    while True:
        kind, token = tokens[at]
        at += 1
        if kind == "end" or token == closing:
            return found, at
        if token in {b",", b";"}:
            continue
        if tokens[at][1] == b":":
            at += 1
        made, at = _value(tokens, at)
        found.setdefault(token.decode(), []).extend(made if isinstance(made, list) else [made])


def _value(tokens: list[Any], at: int) -> tuple[Any, int]:
    kind, token = tokens[at]
    if kind == "text":
        whole = b""
        while tokens[at][0] == "text":
            whole += _ESCAPE.sub(_character, tokens[at][1][1:-1])
            at += 1
        return whole, at
    if token in {b"{", b"<"}:
        return _message(tokens, at + 1, b"}" if token == b"{" else b">")
    if token == b"[":
        items, at = [], at + 1
        while tokens[at][1] != b"]":
            if tokens[at][1] == b",":
                at += 1
                continue
            item, at = _value(tokens, at)
            items.append(item)
        return items, at + 1
    return token.decode(), at + 1


def _character(match: re.Match[bytes]) -> bytes:
    hexa, four, eight, octal, simple = match.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    if four or eight:
        return chr(int(four or eight, 16)).encode()
    return bytes([int(hexa, 16) if hexa else int(octal, 8)])
