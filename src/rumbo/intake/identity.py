"""Whose interaction it is: ids as producers write them, and those that mean nobody."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

from rumbo.intake.record import RawRecord
from rumbo.intake.reject import Reject
from rumbo.intake.source import ID_LIMIT

_NOBODY: Final = frozenset({"", "null", "undefined", "none", "0", "anonymous", "nan", "nil"})

_NOBODY_BEGINS: Final = frozenset(word[0] for word in _NOBODY if word) | frozenset(
    word[0].upper() for word in _NOBODY if word
)
"""How those words, and ids of zeros, begin; in either case."""


def read_id(value: Any, path: str, flags: list[str]) -> str | Reject | None:
    """An id as text; None where it is absent or stands for nobody; a Reject where it cannot be an id."""
    if value is None:
        return None
    if type(value) is str and value.isalnum() and value[0] not in _NOBODY_BEGINS and len(value) <= ID_LIMIT:
        return value  # the usual case: a word that can be no other than it looks
    if type(value) is int:
        flags.append("id_from_number")
        value = str(value)
    elif type(value) is not str:
        kind = type(value).__name__.replace("dict", "object").replace("list", "array")
        return Reject("bad_identity", f"an id is text or a whole number, not {kind}", path)
    if len(value) > ID_LIMIT:
        return Reject("bad_identity", f"{len(value)} characters, more than {ID_LIMIT}", path)
    if "\x00" in value:
        flags.append("id_cleaned")
        value = value.replace("\x00", "�")
    text: str = value.strip()
    if text.casefold() in _NOBODY or not text.strip("0-"):
        if text:
            flags.append("id_of_nobody")
        return None
    if text != value:
        flags.append("id_cleaned")
    return text


def derived_id(record: RawRecord) -> str:
    """The id of an event that came without one: a hash of where it stood, so that every reading gives the same."""
    place = f"{record.topic}|{record.partition}|{record.offset}".encode()
    return blake2b(place, digest_size=16).hexdigest()


def read_message_id(value: Any, record: RawRecord, flags: list[str]) -> str:
    """The producer's id for the event, or a derived one."""
    if type(value) is str and value and len(value) <= ID_LIMIT:
        return value if "\x00" not in value else value.replace("\x00", "�")
    if type(value) is int:
        flags.append("id_from_number")
        return str(value)
    flags.append("id_derived")
    return derived_id(record)
