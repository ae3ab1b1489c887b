"""The language is described once: the loader reads nothing that is not described, editors and readers get what it reads."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from rumbo.topology import Loaded, language
from rumbo.topology.language import SHAPES
from rumbo.topology.problem import Notes
from rumbo.topology.yaml import plain, read_yaml

ROOT = Path(__file__).parents[2]
LOADER = sorted(path for path in (ROOT / "src/rumbo/topology").glob("*.py") if path.stem != "__init__")
READERS = {
    "has",
    "node",
    "at",
    "text",
    "needed",
    "number",
    "whole",
    "flag",
    "length",
    "choice",
    "items",
    "names",
    "mapping",
}
OPEN = {
    "words.event_test",
    "triggers.action_of",
    "conditions._several",
    "conditions._stage",
    "decay._idle_step",
    "friction._trouble",
    "patterns._step",
}
"""Functions whose keys depend on what they find: their own keys are held against all that are described."""
KEYS = {frozenset(field.name for field in shape.fields): name for name, shape in SHAPES.items()}
DESCRIBED = {name for keys in KEYS for name in keys}
SHIPPED = sorted(path.parent for path in (ROOT / "topologies").glob("*/topology.yaml"))
DOCUMENTS = {name.removesuffix(".schema.json"): json.loads(body) for name, body in language.documents().items()}
CHECKS = {name: jsonschema_rs.Draft202012Validator(body) for name, body in DOCUMENTS.items()}


def mappings():
    """Each place where the loader reads a mapping: file:line, function, and the keys that it knows there."""
    for path in LOADER:
        module = importlib.import_module(f"rumbo.topology.{path.stem}")
        for function in (each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.FunctionDef)):
            for call in (each for each in ast.walk(function) if isinstance(each, ast.Call)):
                if isinstance(call.func, ast.Name) and call.func.id == "Fields":
                    yield f"{path.name}:{call.lineno}", f"{path.stem}.{function.name}", call.args[2], module


@pytest.mark.parametrize(
    ("place", "function", "keys", "module"), [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in mappings()]
)
def test_every_mapping_that_is_read_is_described(place, function, keys, module):
    """Add a field to the loader, and this fails until `topology/language` has it."""
    if function in OPEN:
        return  # `test_every_key_that_is_read_is_described` has these
    known = set(eval(ast.unparse(keys), vars(module)))  # noqa: S307  our own source
    nearest = min(KEYS, key=lambda each: len(each ^ known))
    assert known in map(set, KEYS), f"{place}: nearest is '{KEYS[nearest]}', which differs by {sorted(nearest ^ known)}"


def test_every_key_that_is_read_is_described():
    """Also where the keys of a mapping depend on what is found."""
    for path in LOADER:
        for call in (each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call)):
            if (
                isinstance(call.func, ast.Attribute)
                and call.func.attr in READERS
                and isinstance(call.func.value, ast.Name)
            ):
                key = call.args[0] if call.args else None
                if call.func.value.id in {"fields", "inner"} and isinstance(key, ast.Constant):
                    assert key.value in DESCRIBED, f"{path.name}:{call.lineno}: `{key.value}`"


def test_nothing_is_described_that_is_not_read():
    source = "".join(inspect.getsource(importlib.import_module(f"rumbo.topology.{path.stem}")) for path in LOADER)
    source += (ROOT / "src/rumbo/intake/source.py").read_text() + (ROOT / "src/rumbo/output/topics.py").read_text()
    for name in DESCRIBED:
        assert re.search(rf"\b{name}\b", source), name


def yaml(text: str):
    notes = Notes("x")
    node = read_yaml(text, notes)
    assert notes.problems == []
    assert node is not None
    return plain(node)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_what_ships_is_valid(folder):
    for path in folder.glob("*.yaml"):
        kind = path.stem if path.stem in CHECKS else "journey"
        assert [each.message for each in CHECKS[kind].iter_errors(yaml(path.read_text()))] == []


def definition(name: str) -> jsonschema_rs.Draft202012Validator:
    """A check of one shape, wherever it stands."""
    home = next(
        each for each in DOCUMENTS.values() if name in each["$defs"] or each["$id"].endswith(f":{name}.schema.json")
    )
    return jsonschema_rs.Draft202012Validator(
        home if name not in home["$defs"] else {**home["$defs"][name], "$defs": home["$defs"]}
    )


@pytest.mark.parametrize("shape", SHAPES.values(), ids=lambda shape: shape.name)
def test_every_example_is_valid_and_its_fields_are_too(shape):
    """Of the shape, and of each field alone in it (its needed neighbours aside)."""
    check, whole = definition(shape.name), yaml(shape.example)
    assert [each.message for each in check.iter_errors(whole)] == []
    for field in shape.fields:
        alone = yaml(field.example)
        assert set(alone) == {field.name}
        needed = {each.name: yaml(each.example)[each.name] for each in shape.fields if each.needed}
        one = {name: value for name, value in whole.items() if name in shape.one_of}
        said = {**needed, **(one if field.name not in shape.one_of else {}), **alone}
        assert [each.message for each in check.iter_errors(said)] == []


MISTAKES = {
    "topology": [
        "topology: x\nsorces: [{topic: a}]\njourneys: [j.yaml]\n", "topology: X Y\nsources: [a]\njourneys: [j.yaml]\n", "topology: x\njourneys: [j.yaml]\n",
        "topology: x\nsources: [{topic: a, format: xml}]\njourneys: [j.yaml]\n", "topology: x\nsources: [{topic: a, lateness: 5}]\njourneys: [j.yaml]\n",
        "topology: x\nsources: [{topic: a}]\njourneys: [j.yaml]\nduplicates: 0\n", "topology: x\nsources: [{topic: a}]\njourneys: [j.yaml]\nclock: wall\n",
    ],
    "journey": [
        "journey: j\nversion: 1.0\n", "journey: J J\nversion: '1'\n", "journey: j\n",
        *(
            f"journey: j\nversion: '1'\n{body}\n"
            for body in (
                "stages: [{a: {wen: {event: X}}}]", "stages: [{a: {when: {event: X, at_least: 0}}}]", "stages: [{a: {when: {evnt: X}}}]", "stages: [{a: {}, b: {}}]",
                "scores: {s: {points: [{event: A}]}}", "scores: {s: {points: [{event: A, points: 1, at_most: {count: 1}}]}}", "scores: {s: {resets: [{event: A}]}}",
                "triggers: [{event: A, action: {kind: m}}]", "triggers: [{id: t, event: A}]", "triggers: [{id: t, action: {kind: m}}]",
                "triggers: [{id: t, event: A, action: {kind: m, image: {by: event.name, cases: 3}}}]", "triggers: [{id: t, event: A, when: x, action: {kind: m}}]", "triggers: [{id: t, event: A, again: twice, action: {kind: m}}]",
                "triggers: [{id: t, absence: {of: A}, action: {kind: m}}]", "triggers: [{id: t, absence: {of: A, for: 3 days}, action: {kind: m}}]",
                "triggers: [{id: t, date: {trait: a, at: '25:00'}, action: {kind: m}}]", "policies: {p: {priority: 10}}", "allow_skip: maybe", "flws: []",
            )
        ),
    ],
    "examples": ["examples: [{name: x}]", "examples: [{name: x, given: [{after: 1d}], then: []}]", "examples: [{name: x, then: [{after: 1d}]}]", "examples: [{name: x, then: [{action: a, stage: b}]}]"],
    "plan": ["events: {A: {properties.x: int}}", "evnts: {}"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in MISTAKES.items() for text in texts])
def test_what_the_loader_refuses_for_its_form_the_schema_refuses_too(kind, text, tmp_path):
    """The editor says it before `check` does; and none of these passes `check`."""
    assert not CHECKS[kind].is_valid(yaml(text))
    files = {
        "topology": "topology: t\nsources: [a]\njourneys: [journey.yaml]\nplan: plan.yaml\n",
        "journey": "journey: j\nversion: '1'\n",
        "examples": "examples: []",
        "plan": "events: {}",
    }
    for name, body in {**files, kind: text}.items():
        (tmp_path / f"{name}.yaml").write_text(body)
    assert Loaded(tmp_path).errors


def test_schemas_and_reference_in_the_repository_are_current():
    """`make schemas` was run: a byte comparison."""
    for name, body in language.documents().items():
        assert (ROOT / "schemas" / name).read_bytes() == body
    assert (ROOT / "docs/reference.md").read_text() == language.reference()


def test_the_reference_has_every_field_and_its_links_lead_somewhere():
    text = language.reference()
    anchors = set(re.findall(r'<a id="([\w-]+)">', text)) | {"conditions"}
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors
    for shape in SHAPES.values():
        assert f'<a id="{shape.name.replace("_", "-")}">' in text
        for field in shape.fields:
            assert f"| `{field.name}` | {field.meaning}".replace("|", "|") in text
