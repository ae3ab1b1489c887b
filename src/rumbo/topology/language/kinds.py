"""What a value of the language may be: a few kinds, each with its JSON Schema and its words for people."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, assert_never

import msgspec

_LENGTH: Final = r"^\s*(\d+(\.\d+)?(us|ms|s|m|h|d|w))+\s*$"


class Text(msgspec.Struct, frozen=True):
    """Text; `said` in words, `pattern` where not any will do."""

    said: str = "text"
    pattern: str | None = None


class Choice(msgspec.Struct, frozen=True):
    """One of a few words."""

    words: tuple[str, ...]


class Number(msgspec.Struct, frozen=True):
    """A number, between bounds where it has some."""

    least: float | None = None
    most: float | None = None


class Whole(msgspec.Struct, frozen=True):
    """A whole number within bounds."""

    least: int
    most: int


class Flag(msgspec.Struct, frozen=True):
    """True or false."""


class Length(msgspec.Struct, frozen=True):
    """A length of time."""


class Expression(msgspec.Struct, frozen=True):
    """An expression (a subset of CEL) that gives something."""

    gives: str = "yes or no"


class Nothing(msgspec.Struct, frozen=True):
    """No value at all."""


class Anything(msgspec.Struct, frozen=True):
    """Any value of YAML."""


class Of(msgspec.Struct, frozen=True):
    """A mapping of a described shape."""

    shape: str


class Many(msgspec.Struct, frozen=True):
    """A list; one value alone is a list of one."""

    of: Kind


class Named(msgspec.Struct, frozen=True):
    """A mapping whose keys the author chooses."""

    of: Kind
    key: str = "name"


class Single(msgspec.Struct, frozen=True):
    """A name alone, or a mapping with one name and its rules."""

    of: Kind
    alone: bool = False


class Either(msgspec.Struct, frozen=True):
    """One of several kinds."""

    of: tuple[Kind, ...]


Kind: TypeAlias = (
    Text
    | Choice
    | Number
    | Whole
    | Flag
    | Length
    | Expression
    | Nothing
    | Anything
    | Of
    | Many
    | Named
    | Single
    | Either
)


class Field(msgspec.Struct, frozen=True):
    """A key of a mapping: its name, kind and meaning; `default` in words, None where absent means absent; `example` as YAML."""

    name: str
    kind: Kind
    meaning: str
    example: str
    default: str | None = None
    needed: bool = False


class Shape(msgspec.Struct, frozen=True):
    """A mapping of the language. `one_of`: exactly one of these keys stands in it.

    `free` is a shape's name where other keys are the author's own: a mapping under one of them that has the first key of that
    shape is of it.
    """

    name: str
    title: str
    meaning: str
    fields: tuple[Field, ...]
    example: str
    one_of: tuple[str, ...] = ()
    free: str = ""


EVENTS: Final = Many(Text("name of an event"))
EVENT: Final = Either((Text("name of an event"), EVENTS, Of("event")))
CONDITION: Final = Either(
    (
        Text("name from `define`"),
        *(Of(name) for name in ("message_is", "happened", "idle", "dwell", "score_is", "stage_is", "reached", "segment_is", "where", "all", "any", "not")),
    )
)  # fmt: skip


CAP: Final = (
    Field("count", Whole(1, 64), "how many", "count: 2", needed=True),
    Field("within", Length(), "in any window of this length", "within: 7d"),
    Field("per", Choice(("day",)), "or in a day of the customer's zone", "per: day"),
    Field(
        "count_on",
        Choice(("emitted", "delivered")),
        "what counts: asked for, or delivered",
        "count_on: delivered",
        "emitted",
    ),
)
"""The fields that every frequency cap has."""


def schema(kind: Kind) -> dict[str, Any]:
    """The JSON Schema of a kind; shapes are under `#/$defs/`."""
    match kind:
        case _ if kind == EVENT:
            return {"$ref": "#/$defs/event_test"}
        case _ if kind == CONDITION:
            return {"$ref": "#/$defs/condition"}
        case Text(pattern=pattern):
            return {"type": "string"} | ({"pattern": pattern} if pattern else {})
        case Choice(words):
            return {"enum": list(words)}
        case Number(least, most):
            bounds = {"minimum": least, "maximum": most}
            return {"type": "number"} | {name: bound for name, bound in bounds.items() if bound is not None}
        case Whole(least, most):
            return {"type": "integer", "minimum": least, "maximum": most}
        case Flag():
            return {"type": "boolean"}
        case Length():
            return {"type": "string", "pattern": _LENGTH}
        case Expression():
            return {"type": "string", "minLength": 1, "maxLength": 2000}
        case Nothing():
            return {"type": "null"}
        case Anything():
            return {}
        case _:
            return _built(kind)


def _built(kind: Of | Many | Named | Single | Either) -> dict[str, Any]:
    match kind:
        case Of(shape):
            return {"$ref": f"#/$defs/{shape}"}
        case Many(of):
            return {"anyOf": [schema(of), {"type": "array", "items": schema(of)}]}
        case Named(of):
            return {"type": "object", "additionalProperties": schema(of)}
        case Single(of, alone):
            one = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": schema(of)}
            return {"anyOf": [{"type": "string"}, one]} if alone else one
        case Either(of):
            return {"anyOf": [schema(each) for each in of]}
        case _:
            assert_never(kind)


def words(kind: Kind) -> str:
    """A kind in words, for a table."""
    match kind:
        case _ if kind == EVENT:
            return "[event](#event)"
        case _ if kind == CONDITION:
            return "[condition](#conditions)"
        case Text(said=said):
            return said
        case Choice(each):
            return " or ".join(f"`{word}`" for word in each)
        case Number(least, most) | Whole(least, most):
            return ("whole number" if isinstance(kind, Whole) else "number") + _bounds(least, most)
        case Expression(gives):
            return f"[expression](expressions.md) that gives {gives}"
        case Flag() | Length() | Nothing() | Anything():
            return _WORDS[type(kind)]
        case _:
            return _built_words(kind)


_WORDS: Final = {Flag: "`true` or `false`", Length: "length of time", Nothing: "nothing", Anything: "any value"}


def _built_words(kind: Of | Many | Named | Single | Either) -> str:
    match kind:
        case Of(shape):
            return f"[{shape}](#{shape.replace('_', '-')})"
        case Many(of):
            return f"{words(of)}, or a list"
        case Named(of, key):
            return f"{key} → {words(of)}"
        case Single(of, alone):
            return ("a name, or " if alone else "") + f"one name → {words(of)}"
        case Either(of):
            return " or ".join(words(each) for each in of)
        case _:
            assert_never(kind)


def _bounds(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}" if most < 10**6 else f" from {least:g} on"
    return f" from {least:g} on" if least is not None else ""
