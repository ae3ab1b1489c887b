"""A raw record as Kafka hands it over, and the two line formats that files bring it in. Nothing here looks inside a value."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any, Protocol

import msgspec

from rumbo.errors import EventError


class RawRecord(Protocol):
    """What intake reads: the attributes of aiokafka's ConsumerRecord. `timestamp` is in milliseconds, -1 where there is none."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Any: ...


class Record(msgspec.Struct, frozen=True):
    """A raw record of our own making: from a file, from a test."""

    topic: str = "-"
    partition: int = 0
    offset: int = 0
    timestamp: int = -1
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class _Line(msgspec.Struct, gc=False):
    topic: str
    partition: int = 0
    offset: int | None = None
    key: bytes | None = None
    headers: Any = None
    timestamp_ms: int = -1
    value: bytes | None = None


class _Text(_Line, gc=False):
    """The same, whatever stands where base64 should."""

    key: str | None = None  # type: ignore[assignment]  # not yet decoded
    value: str | None = None  # type: ignore[assignment]  # not yet decoded


_lines = msgspec.json.Decoder(_Line)
_texts = msgspec.json.Decoder(_Text)
_KAFKA = b'"timestamp_ms"'


def from_line(line: bytes, number: int) -> Record:
    """The record in one line of a file; `number` counts lines from 0 and stands in for a missing offset.

    A line is a Kafka record (`topic`, `partition`, `offset`, `key`, `headers`, `timestamp_ms`, `value`; key, header values
    and value in base64) or simply one JSON event, which then comes from topic `-`, partition 0. Raises EventError for a
    Kafka record whose parts cannot be read.
    """
    text = line.strip(b"\r\n")
    if _KAFKA not in text and not (b'"topic"' in text and b'"value"' in text):
        return Record(offset=number, value=text)
    try:
        read = _lines.decode(text)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return _unread(text, number)
    offset = number if read.offset is None else read.offset
    try:
        headers = _headers(read.headers) if read.headers else ()
    except (Base64Error, ValueError, TypeError) as error:
        raise _not_base64(number, error) from None
    return Record(read.topic, read.partition, offset, read.timestamp_ms, read.key, read.value, headers)


def _unread(text: bytes, number: int) -> Record:
    """A record whose parts are no base64 (raises EventError), or an event of its own that only looks like one."""
    try:
        read = _texts.decode(text)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return Record(offset=number, value=text)
    try:
        key, value, headers = _bytes(read.key), _bytes(read.value), _headers(read.headers)
    except (Base64Error, ValueError, TypeError) as error:
        raise _not_base64(number, error) from None
    offset = number if read.offset is None else read.offset
    return Record(read.topic, read.partition, offset, read.timestamp_ms, key, value, headers)


def _not_base64(number: int, error: Exception) -> EventError:
    return EventError("not_a_record", f"line {number + 1}: key, header values and value must be base64 ({error})")


def _bytes(text: Any) -> bytes | None:
    return None if text is None else b64decode(text, validate=True)


def _headers(given: Any) -> tuple[tuple[str, bytes | None], ...]:
    if not given:
        return ()
    pairs = given.items() if isinstance(given, dict) else given
    return tuple((str(name), _bytes(value)) for name, value in pairs)
