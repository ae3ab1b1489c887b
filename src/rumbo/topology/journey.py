"""A journey file to a checked `core.definition.Journey`: scores' bands and stages' names first, since everything may name them."""

from __future__ import annotations

import re
from collections import Counter

from rumbo.core.definition import Act, Contact, Derived, Journey
from rumbo.topology.authority import authority, flaps
from rumbo.topology.conditions import condition
from rumbo.topology.fields import Fields
from rumbo.topology.fit import matrix, matrix_names
from rumbo.topology.flows import flow
from rumbo.topology.lint import lint
from rumbo.topology.problem import Notes, again
from rumbo.topology.scores import bands_of, score
from rumbo.topology.segments import segments
from rumbo.topology.stages import stage, stage_entries
from rumbo.topology.triggers import Policy, trigger
from rumbo.topology.words import Words
from rumbo.topology.yaml import Yaml

_JOURNEY = (
    "journey", "version", "define", "scores", "segments", "matrix", "stages", "allow_skip", "unstable", "authority", "policies", "triggers", "flows",
)  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_VERSION = re.compile(r"\d+(\.\d+){0,2}")


def build_journey(node: Yaml, notes: Notes, contact: Contact, derived: Derived | None = None) -> Journey:
    """The journey; problems are noted, and what could not be meant is left out."""
    words = Words(notes, contact, derived)
    fields = Fields(node, "journey", _JOURNEY, notes)
    name, version = _head(fields, notes)
    words.defines = fields.mapping("define")
    scores = fields.mapping("scores")
    bands = {each: bands_of(body, each, words) for each, body in scores.items()}
    words.bands = {each: tuple(band.name for band in found) for each, found in bands.items()}
    entries = stage_entries(fields.items("stages"), words)
    words.stage_names = tuple(each for each, _ in entries)
    words.segment_names = (*fields.mapping("segments"), *matrix_names(fields.node("matrix")))
    for each in sorted(each for each, count in Counter(words.segment_names).items() if count > 1):
        notes.error(fields.at("matrix"), f"matrix: a segment is called '{each}' already", "give the cell another name")
    for each in words.defines:
        condition(Yaml(each, fields.at("define")), "define", words)
    made_scores = tuple(score(each, body, bands[each], words) for each, body in scores.items())
    first = words.stage_names[0] if words.stage_names else ""
    made_stages = tuple(stage(each, body, first, words) for each, body in entries)
    if made_stages and made_stages[0].side:
        notes.error(
            entries[0][1].line,
            f"stages: '{first}' is a side stage, and everyone begins in the first",
            "put an ordered stage first",
        )
    policies = {each: Policy(each, body, words) for each, body in fields.mapping("policies").items()}
    triggers = tuple(
        filter(None, (trigger(item, at, policies, words) for at, item in enumerate(fields.items("triggers"))))
    )
    flows = tuple(filter(None, (flow(item, at, policies, words) for at, item in enumerate(fields.items("flows")))))
    for what in ("triggers", "flows"):
        _unique(fields.items(what), notes, what)
    made = Journey(
        name, version, made_scores, made_stages, triggers, fields.flag("allow_skip", default=True),
        segments=(*matrix(fields.node("matrix"), words), *segments(fields, words)), unstable=flaps(fields.node("unstable"), words),
        authority=authority(fields.node("authority"), words), flows=flows,
    )  # fmt: skip
    _messages(words, made)
    lint(made, node, words)
    return made


def _head(fields: Fields, notes: Notes) -> tuple[str, str]:
    name = fields.needed("journey", "give the journey a name, for example journey: onboarding")
    if name and not _NAME.fullmatch(name):
        notes.error(
            fields.at("journey"), f"journey: '{name}' is not a name", "small letters, digits, - and _, at most 63"
        )
    version = fields.needed("version", 'for example version: "1.0"')
    if version and not _VERSION.fullmatch(version):
        notes.error(
            fields.at("version"), f"version: '{version}' is not a version", 'write major.minor, for example "2.1"'
        )
    return name, version


def _unique(items: list[Yaml], notes: Notes, what: str) -> None:
    """Ids as they are written, whatever else is wrong with what they name."""
    ids = [item.value.get("id") for item in items if isinstance(item.value, dict)]
    for name, line, first in again(
        (each.value, each.line) for each in ids if each is not None and isinstance(each.value, str)
    ):
        notes.error(line, f"{what}: '{name}' stands twice (first on line {first})", "ids must differ")


def _messages(words: Words, made: Journey) -> None:
    """Conditions about messages name a rule of the journey, and the topology says how their status is known."""
    rules = {each.id for each in made.triggers}
    rules |= {f"{flow.id}.{step.name}" for flow in made.flows for step in flow.steps if isinstance(step.do, Act)}
    known = {each.status for each in words.contact.messages}
    for rule, status, line, where in words.messages:
        if rule not in rules:
            words.notes.unknown(line, f"{where}: message", rule, rules)
        if status != "sent" and status not in known:
            words.notes.error(line, f"{where}: nothing says that a message is {status}", f"add contact.messages.{status} to the topology")  # fmt: skip
