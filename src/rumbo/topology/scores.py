"""Scores as authors write them: groups, points, bands."""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise

from rumbo.core.definition import AtMost, Band, EventTest, Group, Points, Score
from rumbo.core.instant import DAY
from rumbo.core.state import SEEN_CAP
from rumbo.topology.conditions import condition
from rumbo.topology.decay import Fading, fading
from rumbo.topology.fields import Fields
from rumbo.topology.fit import disqualify, grades_of, resets, trait_rules
from rumbo.topology.problem import again
from rumbo.topology.words import Words, event_fields
from rumbo.topology.yaml import Yaml, plain

HALF_LIFE = 14 * DAY
_WORTH = frozenset({"points", "event", "group", "half_life", "decay"})
"""What says how much, not to whom."""
_POINTS = ("id", "event", "where", "when", "group", "points", "half_life", "decay", "once", "once_per", "at_most")
_SCORE = (
    "cap", "floor", "half_life", "decay", "groups", "points", "bands", "min_delta", "traits", "grades", "disqualify", "resets", "event_ids",
)  # fmt: skip


def bands_of(node: Yaml, name: str, words: Words) -> tuple[Band, ...]:
    """The bands (or grades) of a score, from low to high (read before the rest, so that conditions may name them)."""
    found: list[Band] = []
    lines: list[int] = []
    fields = Fields(node, f"scores.{name}", _SCORE, words.notes)
    if fields.has("grades"):
        if fields.has("bands"):
            words.notes.error(fields.at("grades"), f"scores.{name}: both `bands` and `grades`", "keep one of them")
        return grades_of(fields, f"scores.{name}", words)
    for item in fields.items("bands"):
        if not isinstance(item.value, dict) or len(item.value) != 1:
            words.notes.error(
                item.line, f"scores.{name}.bands: each is one name", "for example - mql: {enter: 60, leave: 45}"
            )
            continue
        band, limits = next(iter(item.value.items()))
        found.append(_band(band, limits, f"scores.{name}.bands.{band}", words))
        lines.append(item.line)
    for (lower, higher), line in zip(pairwise(found), lines[1:], strict=False):
        if higher.enter <= lower.enter or higher.leave < lower.leave:
            words.notes.error(
                line,
                f"scores.{name}: band '{higher.name}' is not above '{lower.name}'",
                "list bands from low to high",
            )
    return tuple(found)


def _band(name: str, node: Yaml, where: str, words: Words) -> Band:
    fields = Fields(node, where, ("enter", "leave"), words.notes)
    enter = fields.number("enter")
    if enter is None:
        words.notes.error(node.line, f"{where}: `enter` is missing", "for example {enter: 60, leave: 45}")
        enter = 0.0
    leave = fields.number("leave", enter) or 0.0
    if leave > enter:
        words.notes.error(
            fields.at("leave"), f"{where}: `leave` {leave:g} is above `enter` {enter:g}", "leave at or below enter"
        )
    return Band(name, enter, leave)


def score(name: str, node: Yaml, bands: tuple[Band, ...], words: Words) -> Score:
    """One score."""
    where = f"scores.{name}"
    fields = Fields(node, where, _SCORE, words.notes)
    inherited = fading(fields, Fading(HALF_LIFE), words)
    groups: dict[str, tuple[Group, Fading]] = {}
    for group, given in fields.mapping("groups").items():
        inner = Fields(given, f"{where}.groups.{group}", ("cap", "floor", "half_life", "decay"), words.notes)
        groups[group] = (Group(group, inner.number("cap"), inner.number("floor")), fading(inner, inherited, words))
    rules = [
        _points(item, f"{where}.points[{at}]", groups, inherited, words)
        for at, item in enumerate(fields.items("points"))
    ]
    traits = trait_rules(fields, where, words)
    if not rules and not traits:
        words.notes.error(
            node.line,
            f"{where}: no `points` and no `traits`, so it would always be 0",
            "for example points: [{event: Page Viewed, points: 1}]",
        )
    if rules and traits:
        words.notes.error(
            fields.at("traits"),
            f"{where}: both `points` and `traits`",
            "make two scores: what they do, and who they are",
        )
    lines = [item.line for key in ("points", "traits") for item in fields.items(key)]
    _unique([rule.key for rule in rules] + [rule.key for rule in traits], lines, where, words)
    return Score(
        name, tuple(rules), tuple(group for group, _ in groups.values()), bands,
        fields.number("cap"), fields.number("floor", None if traits else 0.0), fields.number("min_delta"),
        fields.whole("event_ids", 1, least=1, most=3),
        traits=traits, grades=fields.has("grades"), disqualify=disqualify(fields, where, words), resets=resets(fields, where, groups, words),
    )  # fmt: skip


def _unique(keys: list[str], lines: list[int], where: str, words: Words) -> None:
    for key, line, _ in again(zip(keys, lines, strict=True)):
        words.notes.error(line, f"{where}: two rules are called '{key}'", "give each its own `id`")


def _points(node: Yaml, where: str, groups: dict[str, tuple[Group, Fading]], inherited: Fading, words: Words) -> Points:
    fields = Fields(node, where, _POINTS, words.notes)
    events = event_fields(fields, where, words)
    group = fields.text("group") or ""
    if group and group not in groups:
        words.notes.unknown(fields.at("group"), f"{where}: group", group, groups)
    way = fading(fields, groups[group][1] if group in groups else inherited, words)
    when, once_per = fields.node("when"), fields.text("once_per")
    if once_per is not None:
        words.expression(once_per, fields.at("once_per"), where, wants="dyn", event_only=True)
    return Points(
        key=fields.text("id") or rule_key(events, node),
        events=events,
        points=_worth(fields, where, words),
        group=group,
        half_life=way.half_life,
        when=condition(when, where, words) if when is not None else None,
        once=fields.flag("once", default=False),
        once_per=once_per,
        at_most=_at_most(fields, where, words),
        decay=way.decay,
    )


def _worth(fields: Fields, where: str, words: Words) -> float | str:
    found = fields.node("points")
    if found is None:
        words.notes.error(fields.line, f"{where}: `points` is missing", "a number, or an expression over the event")
        return 0.0
    if isinstance(found.value, str):
        return words.expression(found.value, found.line, where, wants="number")
    return fields.number("points", 0.0) or 0.0


def _at_most(fields: Fields, where: str, words: Words) -> AtMost | None:
    found = fields.node("at_most")
    if found is None:
        return None
    inner = Fields(found, f"{where}.at_most", ("count", "within"), words.notes)
    within = inner.length("within")
    if within is None:
        words.notes.error(found.line, f"{where}.at_most: `within` is missing", "for example {count: 2, within: 1d}")
        return None
    return AtMost(inner.whole("count", 1, most=SEEN_CAP), within)


def rule_key(events: EventTest, node: Yaml) -> str:
    """A name for a rule that has no `id`: its event and, where it says more, a fingerprint of what decides whom it awards."""
    said = {key: value for key, value in plain(node).items() if key not in _WORTH}
    mark = blake2b(repr(sorted(said.items())).encode(), digest_size=3).hexdigest() if said else ""
    return f"{events.label}#{mark}" if mark else events.label
