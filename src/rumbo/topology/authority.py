"""Who may say a customer's stage, as authors write it: the interactions that set it and those that release it; and when moves flap."""

from __future__ import annotations

from rumbo.core.definition import Authority, EventTest, Flaps, SetStage
from rumbo.topology.fields import Fields
from rumbo.topology.words import Words, event_fields, event_test
from rumbo.topology.yaml import Yaml

_SET = ("event", "where", "stage", "expires_after")


def authority(node: Yaml | None, words: Words) -> Authority:
    """`authority: {set: {event, where, stage, expires_after}, release: event}`; both may be lists."""
    if node is None:
        return Authority()
    fields = Fields(node, "authority", ("set", "release"), words.notes)
    if not fields.items("set"):
        words.notes.error(
            node.line,
            "authority: `set` is missing",
            "for example set: {event: Stage Set, stage: event.properties.stage}",
        )
    sets = tuple(_set(item, words) for item in fields.items("set"))
    found = fields.node("release")
    if found is None:
        return Authority(sets)
    if isinstance(found.value, list) and all(isinstance(item.value, dict) for item in found.value):
        return Authority(sets, tuple(_release(item, words) for item in found.value))
    return Authority(sets, (_release(found, words),))


def _release(node: Yaml, words: Words) -> EventTest:
    return event_test(node, "authority.release", words)


def _set(node: Yaml, words: Words) -> SetStage:
    where = "authority.set"
    fields = Fields(node, where, _SET, words.notes)
    events = event_fields(fields, where, words)
    stage = fields.needed(
        "stage", "an expression over the event, for example event.properties.stage, or 'churned' in quotes of its own"
    )
    if stage:
        words.expression(stage, fields.at("stage"), where, wants="string", event_only=True)
    return SetStage(events, stage or "''", fields.length("expires_after"))


def flaps(node: Yaml | None, words: Words) -> Flaps:
    """`unstable: {flips: 3, within: 7d}`: how many moves against the one before are let through."""
    if node is None:
        return Flaps()
    fields = Fields(node, "unstable", ("flips", "within"), words.notes)
    usual = Flaps()
    return Flaps(fields.whole("flips", usual.flips, least=1, most=20), fields.length("within") or usual.within)
