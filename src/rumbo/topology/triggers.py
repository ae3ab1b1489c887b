"""Triggers as authors write them: what calls them, the action, and the policy they share."""

from __future__ import annotations

from typing import Any

from rumbo.core.definition import (
    Absence,
    Action,
    Choice,
    EventTest,
    Limits,
    On,
    OnBand,
    OnCondition,
    OnEvent,
    OnSegment,
    OnStage,
    Trigger,
)
from rumbo.core.instant import Duration
from rumbo.topology.conditions import condition
from rumbo.topology.fields import Fields
from rumbo.topology.limits import KEYS, limits
from rumbo.topology.patterns import PATTERNS
from rumbo.topology.words import Words, event_fields, event_test
from rumbo.topology.yaml import Yaml, plain

FORMS = ("event", "when", "absence", *PATTERNS, "entered", "left", "score", "segment")
_TRIGGER = ("id", *FORMS, "where", "only_if", "action", "cooldown", "again", "mode", "policy")
_ACTION = ("kind", "channel", "purpose", "expires_after", "priority")
_POLICY = ("purpose", "cooldown", "expires_after", "priority", *KEYS)


class Policy:
    """What several triggers share."""

    def __init__(self, name: str, node: Yaml, words: Words) -> None:
        fields = Fields(node, f"policies.{name}", _POLICY, words.notes)
        self.purpose, self.cooldown = fields.text("purpose"), fields.length("cooldown")
        self.limits = limits(fields, f"policies.{name}", words.notes)
        delivers = any(each.status == "delivered" for each in words.contact.messages)
        if not delivers and any(each.count_on == "delivered" for each in self.limits.caps):
            words.notes.error(fields.at("caps"), f"policies.{name}: nothing says that a message is delivered", "add contact.messages.delivered to the topology")  # fmt: skip
        self.expires_after, self.priority = fields.length("expires_after"), fields.whole("priority", 5, least=0, most=9)


def trigger(node: Yaml, at: int, policies: dict[str, Policy], words: Words) -> Trigger | None:
    """One trigger."""
    fields = Fields(node, f"triggers[{at}]", _TRIGGER, words.notes)
    name = fields.needed("id", "every trigger needs a name of its own")
    where = fields.where = f"triggers.{name or at}"
    on = called_by(fields, where, words)
    policy = policy_of(fields, where, policies, words)
    guard, action = fields.node("only_if"), fields.node("action")
    if action is None:
        words.notes.error(
            node.line, f"{where}: `action` is missing", "for example action: {kind: message, template: hello}"
        )
    made = action_of(action, where, policy, words) if action is not None else Action("none")
    only_if = condition(guard, f"{where}.only_if", words) if guard is not None else None
    if on is None:
        return None
    again = fields.choice(
        "again", ("always", "once", "per_entry"), "per_entry" if isinstance(on, Absence) else "always"
    )
    return Trigger(
        id=name, on=on, action=made, when=only_if,
        again="always" if isinstance(on, Absence) and again == "per_entry" else again,  # type: ignore[arg-type]  # one of the choices
        cooldown=fields.length("cooldown", policy.cooldown if policy is not None else None),
        mode=fields.choice("mode", ("live", "shadow"), "live"),  # type: ignore[arg-type]  # one of the choices
        limits=policy.limits if policy is not None else Limits(),
    )  # fmt: skip


def policy_of(fields: Fields, where: str, policies: dict[str, Policy], words: Words) -> Policy | None:
    """The policy that it names."""
    name = fields.text("policy")
    if name is not None and name not in policies:
        words.notes.error(
            fields.at("policy"), f"{where}: policy '{name}' is not defined", words.notes.meant(name, policies)
        )
    return policies.get(name) if name is not None else None


def called_by(fields: Fields, where: str, words: Words) -> On | None:
    """What calls it: exactly one of the forms; None with a problem noted."""
    forms = [form for form in FORMS if fields.has(form)]
    if len(forms) != 1:
        what = f"both `{forms[0]}` and `{forms[1]}` call it" if forms else "nothing calls it"
        words.notes.error(fields.line, f"{where}: {what}", f"exactly one of: {', '.join(FORMS)}")
        return None
    form = forms[0]
    node = fields.node(form)
    if form != "event" and fields.has("where"):
        words.notes.error(fields.at("where"), f"{where}: `where` goes with `event`", "use `only_if`")
    if node is None:
        return None
    if form in PATTERNS:
        return PATTERNS[form](node, f"{where}.{form}", words)
    match form:
        case "event":
            return OnEvent(event_fields(fields, where, words))
        case "when":
            made = condition(node, f"{where}.when", words)
            return OnCondition(made) if made is not None else None
        case "absence":
            return _absence(node, f"{where}.absence", words)
        case "score":
            return _on_band(node, f"{where}.score", words)
        case "segment":
            return _on_segment(node, f"{where}.segment", words)
        case _:
            return _on_stage(fields.text(form) or "", form, fields.at(form), where, words)


def _on_stage(stage: str, change: str, line: int, where: str, words: Words) -> OnStage | None:
    if stage not in words.stage_names:
        words.notes.unknown(line, f"{where}: stage", stage, words.stage_names)
        return None
    return OnStage(stage, change)  # type: ignore[arg-type]  # one of the two forms


def _on_band(node: Yaml, where: str, words: Words) -> OnBand | None:
    fields = Fields(node, where, ("name", "entered", "left"), words.notes)
    score, change = fields.needed("name"), "left" if fields.has("left") else "entered"
    band = fields.needed(change, "name the band")
    if score not in words.bands:
        words.notes.unknown(node.line, f"{where}: score", score, words.bands)
        return None
    if band not in words.bands[score]:
        words.notes.unknown(fields.at(change), f"{where}: band", band, words.bands[score])
        return None
    return OnBand(score, band, change)  # type: ignore[arg-type]  # one of the two forms


def _on_segment(node: Yaml, where: str, words: Words) -> OnSegment | None:
    fields = Fields(node, where, ("entered", "left"), words.notes)
    change = "left" if fields.has("left") else "entered"
    name = fields.needed(change, "name the segment, for example segment: {left: active}")
    if name not in words.segment_names:
        words.notes.unknown(fields.at(change), f"{where}: segment", name, words.segment_names)
        return None
    return OnSegment(name, change)  # type: ignore[arg-type]  # one of the two forms


def _absence(node: Yaml, where: str, words: Words) -> Absence | None:
    fields = Fields(node, where, ("of", "for", "since", "again"), words.notes)
    of, length, since = fields.node("of"), fields.length("for"), fields.node("since")
    if of is None or length is None:
        words.notes.error(node.line, f"{where}: needs `of` and `for`", "for example {of: Order Completed, for: 21d}")
        return None
    return Absence(_of(of, where, words), length, _since(since, f"{where}.since", words) if since is not None else None)


def _of(node: Yaml, where: str, words: Words) -> EventTest:
    """An event, or the name of a `define` that is one."""
    if isinstance(node.value, str) and node.value in words.defines:
        defined = words.defines[node.value]
        return event_test(defined, f"define.{node.value}", words)
    return event_test(node, f"{where}.of", words)


def _since(node: Yaml, where: str, words: Words) -> OnStage | EventTest | None:
    if isinstance(node.value, dict) and "stage" in node.value:
        fields = Fields(node, where, ("stage", "change"), words.notes)
        change = fields.choice("change", ("entered", "left"), "entered")
        return _on_stage(fields.text("stage") or "", change, node.line, where, words)
    return event_test(node, where, words)


def action_of(node: Yaml, where: str, policy: Policy | None, words: Words) -> Action:
    """The action, with what its policy says where it does not."""
    known = tuple(node.value) if isinstance(node.value, dict) else ()
    fields = Fields(node, f"{where}.action", (*_ACTION, *known), words.notes)
    kind = fields.needed("kind", "what downstream is asked for: message, content, crm, …")
    params: dict[str, Any] = {}
    choices: dict[str, Choice] = {}
    for name, value in (node.value if isinstance(node.value, dict) else {}).items():
        if name in _ACTION:
            continue
        if isinstance(value.value, dict) and "by" in value.value:
            choices[name] = _choice(value, f"{where}.action.{name}", words)
        else:
            params[name] = plain(value)
    purpose, expires = fields.text("purpose", policy.purpose if policy else None), _expiry(fields, policy)
    _declared(purpose, fields, where, words)
    if purpose is None and not words.contact.purposes:
        words.notes.warn(node.line, f"{where}: the action has no `purpose`", "downstream and consent go by it")
    if expires is None:
        words.notes.warn(node.line, f"{where}: the action never expires", "add expires_after: 1d, or to its policy")
    priority = fields.whole("priority", policy.priority if policy else 5, least=0, most=9)
    return Action(kind, params, choices, fields.text("channel"), purpose, expires, priority)


def _declared(purpose: str | None, fields: Fields, where: str, words: Words) -> None:
    """Where purposes are declared, each action has one of them: a misspelt one would not be asked for consent."""
    known = words.contact.purposes
    if known and purpose is None:
        words.notes.error(fields.line, f"{where}: the action has no `purpose`", f"one of: {', '.join(known)}")
    elif known and purpose not in known:
        words.notes.unknown(fields.at("purpose"), f"{where}: purpose", str(purpose), known)


def _expiry(fields: Fields, policy: Policy | None) -> Duration | None:
    return fields.length("expires_after", policy.expires_after if policy is not None else None)


def _choice(node: Yaml, where: str, words: Words) -> Choice:
    fields = Fields(node, where, ("by", "cases", "otherwise"), words.notes)
    by = words.expression(fields.needed("by"), fields.at("by"), where, wants="dyn")
    otherwise = fields.node("otherwise")
    cases = {name: plain(value) for name, value in fields.mapping("cases").items()}
    if not cases:
        words.notes.error(node.line, f"{where}: `cases` is missing", "for example cases: {A: image_a}")
    return Choice(by, cases, plain(otherwise) if otherwise is not None else None)
