"""Who a customer is, as authors write it: fit scores with grades, disqualification, resets, and the matrix of two scores."""

from __future__ import annotations

from collections.abc import Container
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

from rumbo.core.definition import All, AnyOf, Band, Condition, Disqualify, InBand, Not, Reset, Segment, Trait
from rumbo.topology.conditions import condition
from rumbo.topology.fields import Fields
from rumbo.topology.words import Words, event_fields
from rumbo.topology.yaml import Yaml

NONE: Final = "none"
"""Below all bands."""


def grades_of(fields: Fields, where: str, words: Words) -> tuple[Band, ...]:
    """`grades: [{C: 0}, {B: 30}, {A: 60}]`: from the lowest to the highest, each with the least value that has it."""
    found: list[Band] = []
    for item in fields.items("grades"):
        entry = next(iter(item.value.items())) if isinstance(item.value, dict) and len(item.value) == 1 else None
        least = entry[1].value if entry is not None else None
        if entry is None or isinstance(least, bool) or not isinstance(least, int | float):
            words.notes.error(item.line, f"{where}.grades: each is one name and its least value", "for example - B: 30")
            continue
        found.append(Band(entry[0], float(least), float(least)))
    for lower, higher in pairwise(found):
        if higher.enter <= lower.enter:
            words.notes.error(
                fields.at("grades"),
                f"{where}: grade '{higher.name}' is not above '{lower.name}'",
                "list them from low to high",
            )
    return tuple(found)


def trait_rules(fields: Fields, where: str, words: Words) -> tuple[Trait, ...]:
    """`traits: [{where: traits.seats >= 50, points: 20, otherwise: -10}]`."""
    return tuple(_trait(item, f"{where}.traits[{at}]", words) for at, item in enumerate(fields.items("traits")))


def _trait(node: Yaml, where: str, words: Words) -> Trait:
    fields = Fields(node, where, ("id", "where", "points", "otherwise"), words.notes)
    text = fields.needed("where", "an expression over traits, for example traits.seats >= 50")
    if text:
        words.expression(text, fields.at("where"), where, traits_only=True)
    if not fields.has("points"):
        words.notes.error(node.line, f"{where}: `points` is missing", "a number")
    mark = blake2b(text.encode(), digest_size=3).hexdigest()
    return Trait(
        fields.text("id") or f"fit#{mark}",
        text or "false",
        fields.number("points", 0.0) or 0.0,
        fields.number("otherwise", 0.0) or 0.0,
    )


def disqualify(fields: Fields, where: str, words: Words) -> tuple[Disqualify, ...]:
    """`disqualify: [{when: condition, reason: competitor}]`."""
    found: list[Disqualify] = []
    for at, item in enumerate(fields.items("disqualify")):
        inner = Fields(item, f"{where}.disqualify[{at}]", ("when", "reason"), words.notes)
        when, reason = inner.node("when"), inner.needed("reason", "what is reported in place of the score")
        if when is None:
            words.notes.error(item.line, f"{inner.where}: `when` is missing", "a condition")
            continue
        made = condition(when, inner.where, words)
        if made is not None:
            found.append(Disqualify(made, reason))
    return tuple(found)


def resets(fields: Fields, where: str, groups: Container[str], words: Words) -> tuple[Reset, ...]:
    """`resets: [{event: Deal Lost, multiply: 0.5}, {when: condition, set: 0, group: g}]`."""
    made = (_reset(item, f"{where}.resets[{at}]", groups, words) for at, item in enumerate(fields.items("resets")))
    return tuple(each for each in made if each is not None)


def _reset(node: Yaml, where: str, groups: Container[str], words: Words) -> Reset | None:
    fields = Fields(node, where, ("event", "where", "when", "multiply", "set", "group"), words.notes)
    multiply, at_most, group, when = (
        fields.number("multiply"),
        fields.number("set"),
        fields.text("group"),
        fields.node("when"),
    )
    if not fields.has("event") and when is None:
        words.notes.error(node.line, f"{where}: nothing calls it", "`event`, or a condition in `when`")
        return None
    if fields.has("where") and not fields.has("event"):
        words.notes.error(fields.at("where"), f"{where}: `where` goes with `event`", "use `when`")
    if (multiply is None) is (at_most is None):
        words.notes.error(node.line, f"{where}: needs one of `multiply` and `set`", "for example multiply: 0.5")
        return None
    if (multiply is not None and not 0 <= multiply <= 1) or (at_most is not None and at_most < 0):
        words.notes.error(
            node.line, f"{where}: `multiply` is from 0 to 1, `set` not below 0", "points are given by rules"
        )
        return None
    if group is not None and group not in groups:
        words.notes.error(
            fields.at("group"), f"{where}: group '{group}' is not defined", "add it under `groups` of the score"
        )
    events = event_fields(fields, where, words) if fields.has("event") else None
    guard = condition(when, f"{where}.when", words) if when is not None else None
    return Reset(events, guard, multiply if multiply is not None else 1.0, at_most, group)


# The matrix of two scores ---------------------------------------------------------------------------------------------


def matrix_names(node: Yaml | None) -> tuple[str, ...]:
    """The names of its cells: each is a segment."""
    cells = node.value.get("cells") if node is not None and isinstance(node.value, dict) else None
    return tuple(cells.value) if cells is not None and isinstance(cells.value, dict) else ()


def matrix(node: Yaml | None, words: Words) -> tuple[Segment, ...]:
    """`matrix: {rows: fit, columns: engagement, cells: {hot_lead: [A/hot, A/mql, B/hot]}}`: named cells, each a segment."""
    if node is None:
        return ()
    fields = Fields(node, "matrix", ("rows", "columns", "cells"), words.notes)
    scores = tuple(fields.needed(key, "the name of a score with bands or grades") for key in ("rows", "columns"))
    for key, score in zip(("rows", "columns"), scores, strict=True):
        if score and not words.bands.get(score):
            words.notes.unknown(
                fields.at(key),
                f"matrix: `{key}`: score with bands",
                score,
                [each for each, bands in words.bands.items() if bands],
            )
            return ()
    if not fields.mapping("cells"):
        words.notes.error(node.line, "matrix: `cells` is missing", "for example cells: {hot_lead: [A/hot, B/hot]}")
    return (
        tuple(_cell(name, body, scores, words) for name, body in fields.mapping("cells").items()) if all(scores) else ()
    )


def _cell(name: str, node: Yaml, scores: tuple[str, ...], words: Words) -> Segment:
    items = node.value if isinstance(node.value, list) else [node]
    parts = [part for item in items if (part := _pair(item, name, scores, words)) is not None]
    return Segment(name, AnyOf(tuple(parts)))


def _pair(node: Yaml, name: str, scores: tuple[str, ...], words: Words) -> Condition | None:
    where, pair = f"matrix.cells.{name}", str(node.value).split("/")
    if len(pair) != len(scores):
        words.notes.error(node.line, f"{where}: '{node.value}' is no cell", "row/column, for example A/hot or B/none")
        return None
    made: list[Any] = []
    for score, band in zip(scores, pair, strict=True):
        if band != NONE and band not in words.bands[score]:
            words.notes.unknown(node.line, f"{where}: band of {score}", band, (*words.bands[score], NONE))
            return None
        made.append(_exactly(score, band, words.bands[score]))
    return All(tuple(made))


def _exactly(score: str, band: str, bands: tuple[str, ...]) -> Condition:
    """In this band and in none above it."""
    if band == NONE:
        return Not(InBand(score, bands[0]))
    above = bands[bands.index(band) + 1 :]
    return All((InBand(score, band), Not(InBand(score, above[0])))) if above else InBand(score, band)
