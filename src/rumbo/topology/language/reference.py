"""The reference page of the language, made from its description: each field with its meaning, kind, default and example."""

from __future__ import annotations

from typing import Final

from rumbo.topology.language.journey import JOURNEY
from rumbo.topology.language.kinds import Field, Shape, words
from rumbo.topology.language.outer import OUTER

_HEAD: Final = """# Reference of the journey language

Made from the description that editors' schemas are made from (`make schemas` writes both; [schemas/](../schemas)). What a field does with
others is told in [The journey language](language.md), step by step in the [guide](guide.md).

YAML 1.2: `20:00`, `NO` and `on` stay text. **Length of time**: `90s`, `30m`, `12h`, `14d`, `1d12h`. **Event names** compare without case, space,
underscore and hyphen. A needed field is marked **needed**; no other key is allowed, but where it says so. `rumbo check` finds every problem.

Give your editor the schema of a file with its first line (the folder that `rumbo init` makes has both):

    # yaml-language-server: $schema=.rumbo/journey.schema.json
"""
_CONDITIONS: Final = """## Conditions

A condition is the name of one in `define`, or a mapping of exactly one of these forms:
{forms}.
"""
_FORMS: Final = (
    "message_is",
    "happened",
    "idle",
    "dwell",
    "score_is",
    "stage_is",
    "reached",
    "segment_is",
    "where",
    "all",
    "any",
    "not",
)


def reference() -> str:
    """The page, as Markdown."""
    journey = [each for each in JOURNEY if each.name not in _FORMS]
    conditions = [each for each in JOURNEY if each.name in _FORMS]
    forms = ", ".join(f"[{each.title}](#{_anchor(each)})" for each in conditions)
    parts = [
        _HEAD,
        *map(_shape, OUTER),
        *map(_shape, journey),
        _CONDITIONS.format(forms=forms),
        *map(_shape, conditions),
    ]
    return "\n".join(parts)


def _anchor(shape: Shape) -> str:
    return shape.name.replace("_", "-")


def _shape(shape: Shape) -> str:
    lines = [f'<a id="{_anchor(shape)}"></a>', "", f"### {shape.title}", "", shape.meaning, ""]
    if shape.one_of:
        lines += [f"Exactly one of {', '.join(f'`{name}`' for name in shape.one_of)}.", ""]
    if shape.free:
        lines += ["Any other key is handed on as it is.", ""]
    if shape.fields:
        lines += [
            "| field | meaning | kind | default | example |",
            "|---|---|---|---|---|",
            *map(_row, shape.fields),
            "",
        ]
    lines += ["```yaml", shape.example.rstrip(), "```", ""]
    return "\n".join(lines)


def _row(field: Field) -> str:
    default = "**needed**" if field.needed else (field.default or "-")
    return f"| `{field.name}` | {_cell(field.meaning)} | {_cell(words(field.kind))} | {_cell(default)} | `{_cell(field.example)}` |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
