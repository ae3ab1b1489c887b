"""JSON Schemas of the author's files, for editors that complete and validate. They know forms; names and types are `check`'s work."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rumbo.topology.language.journey import JOURNEY
from rumbo.topology.language.kinds import CONDITION, EVENT, Field, Shape, schema
from rumbo.topology.language.outer import OUTER

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
FILES: Final = ("topology", "journey", "examples", "plan")
"""The shapes that are whole files."""


def documents() -> dict[str, bytes]:
    """File name to JSON Schema."""
    shapes = {shape.name: shape for shape in (*OUTER, *JOURNEY)}
    return {
        f"{name}.schema.json": msgspec.json.format(msgspec.json.encode(_document(shapes[name], shapes)), indent=2)
        + b"\n"
        for name in FILES
    }


def _document(root: Shape, shapes: dict[str, Shape]) -> dict[str, Any]:
    made = {name: _shape(shape, shapes) for name, shape in shapes.items()}
    made["event_test"] = _any(EVENT.of)
    made["condition"] = _any(CONDITION.of)
    used = _used(made[root.name], made)
    return {
        "$schema": DRAFT, "$id": f"urn:rumbo:schema:{root.name}.schema.json", "title": root.title, **made[root.name],
        "$defs": {name: made[name] for name in sorted(used)},
    }  # fmt: skip


def _any(kinds: tuple[Any, ...]) -> dict[str, Any]:
    return {"anyOf": [schema(each) for each in kinds]}


def _shape(shape: Shape, shapes: dict[str, Shape]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "object",
        "description": shape.meaning,
        "properties": {field.name: _field(field) for field in shape.fields},
        "additionalProperties": _others(shapes[shape.free]) if shape.free else False,
    }
    required = [field.name for field in shape.fields if field.needed]
    if required:
        made["required"] = required
    if shape.one_of:
        made["oneOf"] = [{"required": [name]} for name in shape.one_of]
    return made


def _others(shape: Shape) -> dict[str, Any]:
    mark = {"type": "object", "required": [shape.fields[0].name]}
    return {"if": mark, "then": {"$ref": f"#/$defs/{shape.name}"}}


def _field(field: Field) -> dict[str, Any]:
    default = f" Default: {field.default}." if field.default is not None else ""
    return {**schema(field.kind), "description": field.meaning[0].upper() + field.meaning[1:] + "." + default}


def _used(root: Any, made: dict[str, Any]) -> set[str]:
    """The shapes that a schema refers to, and those that these do."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            waiting += here.values()
            name = str(here.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in found:
                found.add(name)
                waiting.append(made[name])
        elif isinstance(here, list):
            waiting += here
    return found
