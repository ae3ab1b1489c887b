"""Flows as authors write them: what begins one, what ends it, and its steps in order."""

from __future__ import annotations

import re
from typing import Any

from rumbo.core.definition import (
    Act,
    All,
    AnyOf,
    BranchTo,
    Comes,
    Condition,
    Enter,
    Flow,
    FlowStep,
    Go,
    Goal,
    Happened,
    Leave,
    Limits,
    Not,
    SetTrait,
    Split,
    Variant,
    Wait,
)
from rumbo.core.zone import find_zone
from rumbo.topology.conditions import condition
from rumbo.topology.fields import Fields, kind
from rumbo.topology.limits import time_of_day
from rumbo.topology.problem import Notes
from rumbo.topology.triggers import FORMS, Policy, action_of, called_by, policy_of
from rumbo.topology.words import Words
from rumbo.topology.yaml import Yaml, plain

FLOW = ("id", "enter", "exit", "goal", "steps", "in_flight", "moved")
ENTER = (*FORMS, "where", "only_if", "per", "again")
STEPS = ("wait", "branch", "split", "action", "set", "goal", "go", "exit")
STEP = ("id", *STEPS, "policy", "cooldown", "mode", "otherwise")
WAIT = ("for", "until", "zone", "at_most", "otherwise")
AGAIN = ("once", "after_exit", "per_key", "always")
MOST = 50
"""Steps of a flow."""
TARGETS = ("next", "leave")
_TIME = re.compile(r"\d\d:\d\d")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def flow(node: Yaml, at: int, policies: dict[str, Policy], words: Words) -> Flow | None:
    """One flow; None with a problem noted."""
    fields = Fields(node, f"flows[{at}]", FLOW, words.notes)
    name = fields.needed("id", "every flow needs a name of its own")
    if name and not _NAME.fullmatch(name):
        words.notes.error(
            fields.at("id"), f"flows: '{name}' is not a name", "small letters, digits, - and _, at most 63"
        )
    where = fields.where = f"flows.{name or at}"
    enter = _enter(fields.node("enter"), fields, where, words)
    steps = _steps(fields, where, policies, words)
    made = Flow(
        name, enter or Enter(None), steps, _ends(fields, "exit", where, words), _ends(fields, "goal", where, words),  # type: ignore[arg-type]  # left out below
        fields.choice("in_flight", ("finish", "migrate", "abort"), "finish"),  # type: ignore[arg-type]  # one of the choices
        _moved(fields, {each.name for each in steps}, where, words),
    )  # fmt: skip
    return made if enter is not None and steps else None


def _enter(node: Yaml | None, fields: Fields, where: str, words: Words) -> Enter | None:
    if node is None:
        words.notes.error(fields.line, f"{where}: `enter` is missing", "for example enter: {event: Product Added}")
        return None
    inner = Fields(node, f"{where}.enter", ENTER, words.notes)
    on, guard, per = called_by(inner, f"{where}.enter", words), inner.node("only_if"), inner.text("per")
    if per is not None:
        words.expression(per, inner.at("per"), f"{where}.enter", wants="dyn", event_only=True)
    only_if = condition(guard, f"{where}.enter.only_if", words) if guard is not None else None
    again, cooldown = _again(inner, words)
    if again == "per_key" and per is None:
        words.notes.error(
            inner.at("again"), f"{where}.enter: `again: per_key` needs `per`", "per: event.properties.cart_id"
        )
    return Enter(on, only_if, per, again, cooldown) if on is not None else None  # type: ignore[arg-type]  # one of the modes


def _again(fields: Fields, words: Words) -> tuple[str, int]:
    node = fields.node("again")
    if node is None or not isinstance(node.value, dict):
        return fields.choice("again", AGAIN, "after_exit"), 0
    inner = Fields(node, f"{fields.where}.again", ("cooldown",), words.notes)
    length = inner.length("cooldown")
    if length is None:
        words.notes.error(node.line, f"{fields.where}: `again` needs a `cooldown`", "again: {cooldown: 7d}, or a word: " + ", ".join(AGAIN))  # fmt: skip
    return "cooldown", length or 0


def _ends(fields: Fields, key: str, where: str, words: Words) -> Condition | None:
    node = fields.node(key)
    return _now(condition(node, f"{where}.{key}", words)) if node is not None else None


def _now(found: Condition | None) -> Condition | None:
    """In a flow an event without number and window is that very interaction: what came before it began does not count."""
    match found:
        case Happened(events=events, at_least=1, within=None):
            return Comes(events)
        case All(of=parts):
            return All(tuple(made for part in parts if (made := _now(part)) is not None))
        case AnyOf(of=parts):
            return AnyOf(tuple(made for part in parts if (made := _now(part)) is not None))
        case Not(of=part):
            inner = _now(part)
            return Not(inner) if inner is not None else None
        case _:
            return found


def _moved(fields: Fields, names: set[str], where: str, words: Words) -> dict[str, str]:
    """Step of an older version -> step of this one."""
    moved = {}
    for old, node in fields.mapping("moved").items():
        if node.value not in names:
            words.notes.unknown(node.line, f"{where}.moved: step", str(node.value), names)
        moved[old] = str(node.value)
    return moved


# Steps -----------------------------------------------------------------------------------------------------------------


def _steps(fields: Fields, where: str, policies: dict[str, Policy], words: Words) -> tuple[FlowStep, ...]:
    nodes = fields.items("steps")
    if not nodes:
        words.notes.error(
            fields.line, f"{where}: `steps` is missing", "for example steps: [{wait: {for: 1h}}, {action: …}]"
        )
    if len(nodes) > MOST:
        words.notes.error(fields.at("steps"), f"{where}: {len(nodes)} steps", f"at most {MOST}; make it two flows")
    names = _names(nodes, where, words)
    made = [_step(node, names, f"{where}.{name}", policies, words) for node, name in zip(nodes, names, strict=True)]
    return tuple(FlowStep(name, do) for name, do in zip(names, made, strict=True) if do is not None)


def _names(nodes: list[Yaml], where: str, words: Words) -> list[str]:
    """Each step's own name, else its kind and its place among its kind."""
    names: list[str] = []
    counts: dict[str, int] = {}
    for node in nodes:
        value = node.value if isinstance(node.value, dict) else {}
        form = "exit" if node.value == "exit" else next((each for each in STEPS if each in value), "step")
        counts[form] = counts.get(form, 0) + 1
        own = value.get("id")
        name = str(own.value) if own is not None else f"{form}_{counts[form]}"
        if name in names or name in TARGETS:
            words.notes.error(node.line, f"{where}: step '{name}' " + ("stands twice" if name in names else "is a word of its own"), "give it another id")  # fmt: skip
        names.append(name)
    return names


def acts_of(flow: Yaml) -> list[str]:
    """`flow.step` of each action of a flow as it is written, whatever else is wrong with it."""
    own, steps = (flow.value.get(key) if isinstance(flow.value, dict) else None for key in ("id", "steps"))
    if own is None or steps is None or not isinstance(steps.value, list):
        return []
    names = _names(steps.value, "", Words(Notes("")))
    return [
        f"{own.value}.{name}"
        for node, name in zip(steps.value, names, strict=True)
        if isinstance(node.value, dict) and "action" in node.value
    ]


def step_lines(flow: Yaml) -> dict[str, int]:
    """Where each step of a flow is written, by its name."""
    steps = flow.value.get("steps") if isinstance(flow.value, dict) else None
    if steps is None or not isinstance(steps.value, list):
        return {}
    names = _names(steps.value, "", Words(Notes("")))
    return {name: node.line for name, node in zip(names, steps.value, strict=True)}


def _step(node: Yaml, names: list[str], where: str, policies: dict[str, Policy], words: Words) -> Any:
    if node.value == "exit":
        return Leave()
    fields = Fields(node, where, STEP, words.notes)
    forms = [each for each in STEPS if fields.has(each)]
    if len(forms) != 1:
        words.notes.error(
            node.line, f"{where}: a step is exactly one of {', '.join(STEPS)}", "for example wait: {for: 1h}"
        )
        return None
    form = forms[0]
    for key in fields.besides(
        ("id", form, *({"action": ("policy", "cooldown", "mode"), "branch": ("otherwise",)}.get(form, ())))
    ):
        words.notes.error(fields.at(key), f"{where}: `{key}` has no meaning for `{form}`", "take it away")
    inner = fields.node(form) or Yaml({}, node.line)
    match form:
        case "wait":
            return _wait(inner, names, where, words)
        case "branch":
            return _branch(fields, names, where, words)
        case "split":
            return _split(inner, names, where, words)
        case "action":
            return _act(inner, fields, policies, words)
        case "set":
            return _set(inner, where, words)
        case "goal":
            return Goal(fields.text("goal") or "goal")
        case "go":
            return Go(_target(fields.text("go") or "", fields.at("go"), names, where, words))
        case _:
            return Leave()


def _wait(node: Yaml, names: list[str], where: str, words: Words) -> Wait | None:
    fields = Fields(node, f"{where}.wait", WAIT, words.notes)
    until = fields.node("until")
    if fields.has("for") is (until is not None):
        words.notes.error(
            node.line, f"{where}: a wait needs `for` or `until`, not both", "wait: {for: 1h}, or wait: {until: …}"
        )
        return None
    if until is None:
        return Wait(length=fields.length("for"))
    if isinstance(until.value, str) and _TIME.fullmatch(until.value):
        zone = fields.text("zone", "customer") or "customer"
        if zone != "customer" and find_zone(zone) is None:
            words.notes.error(
                fields.at("zone"), f"{where}: '{zone}' is no time zone", "customer, or for example Europe/Madrid"
            )
            zone = "customer"
        return Wait(second=time_of_day(fields, "until", words.notes), zone=None if zone == "customer" else zone)
    most = fields.length("at_most")
    if most is None:
        words.notes.error(
            node.line, f"{where}: a wait for a condition needs `at_most`", "nobody should wait for ever: at_most: 30d"
        )
    otherwise = _target(fields.text("otherwise", "next") or "next", fields.at("otherwise"), names, where, words)
    return Wait(length=most, until=_now(condition(until, f"{where}.until", words)), otherwise=otherwise)


def _target(name: str, line: int, names: list[str], where: str, words: Words) -> str:
    if name not in names and name not in TARGETS:
        words.notes.unknown(line, f"{where}: step", name, (*TARGETS, *names))
        return "next"
    return name


def _branch(fields: Fields, names: list[str], where: str, words: Words) -> BranchTo:
    cases = []
    for item in fields.items("branch"):
        inner = Fields(item, f"{where}.branch", ("if", "go"), words.notes)
        when = inner.node("if")
        if when is None:
            words.notes.error(
                item.line, f"{where}.branch: `if` is missing", "for example {if: {score: s, at_least: hot}, go: call}"
            )
            continue
        found = condition(when, f"{where}.branch.if", words)
        to = _target(inner.needed("go", "a step, next or leave") or "next", inner.at("go"), names, where, words)
        if found is not None:
            cases.append((found, to))
    otherwise = _target(fields.text("otherwise", "next") or "next", fields.at("otherwise"), names, where, words)
    return BranchTo(tuple(cases), otherwise)


def _split(node: Yaml, names: list[str], where: str, words: Words) -> Split | None:
    fields = Fields(node, f"{where}.split", ("experiment", "into"), words.notes)
    experiment = fields.needed("experiment", "the name that exposures and results go by")
    variants = []
    for name, item in fields.mapping("into").items():
        inner = Fields(item, f"{where}.split.{name}", ("share", "go"), words.notes)
        share = inner.number("share")
        if share is None or not 0 < share <= 1:
            words.notes.error(
                item.line, f"{where}.split: `share` of '{name}' is above 0 and at most 1", "for example share: 0.5"
            )
        variants.append(
            Variant(
                name, share or 0.0, _target(inner.text("go", "next") or "next", inner.at("go"), names, where, words)
            )
        )
    if not variants or abs(sum(each.share for each in variants) - 1) > 1e-9:  # noqa: PLR2004  ten shares of 0.1 are not 1
        words.notes.error(node.line, f"{where}.split: the shares of `into` must be 1 together", "into: {a: {share: 0.5}, b: {share: 0.5, go: other}}")  # fmt: skip
        return None
    return Split(experiment, tuple(variants))


def _act(node: Yaml, fields: Fields, policies: dict[str, Policy], words: Words) -> Act:
    policy = policy_of(fields, fields.where, policies, words)
    return Act(
        action_of(node, fields.where, policy, words),
        fields.length("cooldown", policy.cooldown if policy is not None else None),
        policy.limits if policy is not None else Limits(),
        fields.choice("mode", ("live", "shadow"), "live"),  # type: ignore[arg-type]  # one of the choices
    )


def _set(node: Yaml, where: str, words: Words) -> SetTrait:
    fields = Fields(node, f"{where}.set", ("trait", "to"), words.notes)
    trait, to = fields.needed("trait"), fields.node("to")
    if to is None:
        words.notes.error(node.line, f"{where}.set: `to` is missing", "a value, or an expression in text")
        return SetTrait(trait, "''")
    if not isinstance(to.value, str | int | float):
        words.notes.error(
            to.line,
            f"{where}.set: `to` is an expression, a number or true or false, not {kind(to)}",
            "for example to: vip, or in quotes an expression",
        )
        return SetTrait(trait, "''")
    text = str(plain(to)).lower() if isinstance(to.value, bool) else str(plain(to))
    return SetTrait(trait, words.expression(text, fields.at("to"), f"{where}.set", wants="dyn"))
