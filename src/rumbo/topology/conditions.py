"""Conditions as authors write them, to the few that the core knows: one function a form."""

from __future__ import annotations

from typing import Final

from rumbo.core.definition import (
    All,
    AnyOf,
    Comes,
    Condition,
    Dwell,
    EventTest,
    Happened,
    Idle,
    InBand,
    InSegment,
    InStage,
    Level,
    MessageIs,
    Not,
    Reached,
    Where,
)
from rumbo.topology.fields import Fields, kind
from rumbo.topology.words import Words, event_fields, event_test
from rumbo.topology.yaml import Yaml

MOST_DEEP = 16
"""Levels that names in `define` may stand for each other."""
MOST_PARTS = 1_000
"""Parts of one condition, names written out."""
FORMS = ("message", "event", "idle", "dwell", "score", "stage", "reached", "segment", "where", "all", "any", "not")


def condition(node: Yaml, where: str, words: Words) -> Condition | None:
    """One condition; None with a problem noted."""
    if isinstance(node.value, str):
        return _named(node.value, node.line, where, words)
    if not isinstance(node.value, dict):
        words.notes.error(
            node.line,
            f"{where}: a condition is a name from `define` or a mapping, not {kind(node)}",
            "for example {event: Order Completed, within: 30d}",
        )
        return None
    form = next((each for each in FORMS if each in node.value), None)
    match form:
        case "message" | "event" | "idle" | "dwell" | "score" | "stage" | "reached" | "segment":
            return _LEAVES[form](node, where, words)
        case "where":
            text = Fields(node, where, ("where",), words.notes).text("where") or "false"
            return Where(words.expression(text, node.line, where))
        case "all" | "any":
            return _several(node, form, where, words)
        case "not":
            inner = Fields(node, where, ("not",), words.notes).node("not")
            made = condition(inner, where, words) if inner is not None else None
            return _weighed(Not(made), node.line, where, words) if made is not None else None
        case _:
            words.notes.error(node.line, f"{where}: this is no condition", f"it needs one of: {', '.join(FORMS)}")
            return None


def _named(name: str, line: int, where: str, words: Words) -> Condition | None:
    if name not in words.defines:
        words.notes.unknown(line, f"{where}:", name, words.defines)
        return None
    if name in words.building:
        chain = " -> ".join((*words.building, name))
        words.notes.error(line, f"define: '{name}' is defined by itself ({chain})", "take one of them apart")
        return None
    if name not in words.built:
        if len(words.building) >= MOST_DEEP:
            words.notes.error(
                line, f"define: '{name}' is named more than {MOST_DEEP} levels deep", "name it where it is used"
            )
            return None
        words.building.append(name)
        words.built[name] = condition(words.defines[name], f"define.{name}", words)
        words.building.pop()
    return words.built[name]


def _happened(node: Yaml, where: str, words: Words) -> Condition:
    fields = Fields(node, where, ("event", "where", "at_least", "within"), words.notes)
    events = event_fields(fields, where, words)
    return Happened(events, fields.whole("at_least", 1, most=100_000), fields.length("within"))


def _message(node: Yaml, where: str, words: Words) -> Condition | None:
    fields = Fields(node, where, ("message", "is", "not", "for"), words.notes)
    rule, negative = fields.text("message") or "", fields.has("not")
    if negative is fields.has("is"):
        words.notes.error(node.line, f"{where}: `message` needs `is` or `not`, not both", "for example {message: nudge, not: opened, for: 3d}")  # fmt: skip
        return None
    status = fields.choice("not" if negative else "is", ("sent", "delivered", "opened", "clicked"), "opened")
    if fields.has("for") and not negative:
        words.notes.error(
            fields.at("for"), f"{where}: `for` goes with `not`", "for example {message: nudge, not: opened, for: 3d}"
        )
    words.messages.append((rule, status, fields.at("message"), where))
    return MessageIs(rule, status, negative, fields.length("for") or 0)  # type: ignore[arg-type]  # one of the four


def _idle(node: Yaml, where: str, words: Words) -> Condition | None:
    fields = Fields(node, where, ("idle", "for"), words.notes)
    of, length = fields.node("idle"), fields.length("for")
    if of is None or length is None:
        words.notes.error(node.line, f"{where}: `idle` needs `for`", "for example {idle: Order Completed, for: 30d}")
        return None
    return Idle(event_test(of, where, words), length)


def _dwell(node: Yaml, where: str, words: Words) -> Condition | None:
    fields = Fields(node, where, ("dwell", "page", "in"), words.notes)
    length, pages = fields.length("dwell"), fields.names("page")
    last = fields.choice("in", ("all", "session"), "all") == "session"
    if words.derived.sessions is None:
        words.notes.error(
            node.line, f"{where}: nothing says what a session is, so no time on a page is known",
            "add sessions to the topology, for example sessions: {event: Page Viewed}",
        )  # fmt: skip
    for page in pages:
        if not page or "*" in page[:-1]:
            words.notes.error(
                fields.at("page"), f"{where}: page '{page}': `*` goes at the end, once", "for example '/pricing*'"
            )
    return Dwell(length, pages, last) if length is not None else None


def _score(node: Yaml, where: str, words: Words) -> Condition | None:
    fields = Fields(node, where, ("score", "at_least"), words.notes)
    name, least = fields.text("score") or "", fields.node("at_least")
    if name not in words.bands:
        words.notes.unknown(node.line, f"{where}: score", name, words.bands)
        return None
    if least is None:
        words.notes.error(node.line, f"{where}: `score` needs `at_least`", "a band or a number")
        return None
    if isinstance(least.value, int | float) and not isinstance(least.value, bool):
        return Level(name, float(least.value))
    if least.value not in words.bands[name]:
        words.notes.unknown(least.line, f"{where}: band", str(least.value), words.bands[name])
        return None
    return InBand(name, str(least.value))


def _stage(node: Yaml, where: str, words: Words) -> Condition | None:
    fields = Fields(node, where, ("stage", "reached"), words.notes)
    key = "stage" if fields.has("stage") else "reached"
    names = fields.names(key)
    for name in names:
        if name not in words.stage_names:
            words.notes.unknown(fields.at(key), f"{where}: stage", name, words.stage_names)
    if not names or any(name not in words.stage_names for name in names):
        return None
    return InStage(names) if key == "stage" else Reached(names[0])


def _segment(node: Yaml, where: str, words: Words) -> Condition | None:
    fields = Fields(node, where, ("segment",), words.notes)
    name = fields.text("segment") or ""
    if name not in words.segment_names:
        words.notes.unknown(fields.at("segment"), f"{where}: segment", name, words.segment_names)
        return None
    return InSegment(name)


_LEAVES: Final = {
    "message": _message, "event": _happened, "idle": _idle, "dwell": _dwell, "score": _score, "stage": _stage, "reached": _stage,
    "segment": _segment,
}  # fmt: skip


def _several(node: Yaml, form: str, where: str, words: Words) -> Condition | None:
    parts = [condition(item, where, words) for item in Fields(node, where, (form,), words.notes).items(form)]
    made = tuple(part for part in parts if part is not None)
    if not parts:
        words.notes.error(node.line, f"{where}: `{form}` is empty", "list the conditions")
    if not made or len(made) < len(parts):
        return None
    return _weighed(All(made) if form == "all" else AnyOf(made), node.line, where, words)


def _weighed(made: All | AnyOf | Not, line: int, where: str, words: Words) -> Condition | None:
    """Names may stand for names: what a condition comes to, all written out, must stay a thing to read."""
    parts = made.of if isinstance(made, All | AnyOf) else (made.of,)
    weight = 1 + sum(words.weights.get(id(part), 1) for part in parts)
    if weight > MOST_PARTS:
        words.notes.error(
            line, f"{where}: written out it has {weight} parts, at most {MOST_PARTS}", "say it with fewer"
        )
        return None
    words.weights[id(made)] = weight
    words.kept.append(made)  # an id is its own only as long as it lives
    return made


def mentions(found: Condition | None) -> list[EventTest]:
    """The event tests in a condition."""
    match found:
        case Happened(events=events) | Comes(events=events) | Idle(events=events):
            return [events]
        case All(of=parts) | AnyOf(of=parts):
            return [each for part in parts for each in mentions(part)]
        case Not(of=part):
            return mentions(part)
        case _:
            return []


def segments_in(found: Condition | None) -> set[str]:
    """The segments that a condition names."""
    match found:
        case InSegment(segment=name):
            return {name}
        case All(of=parts) | AnyOf(of=parts):
            return {name for part in parts for name in segments_in(part)}
        case Not(of=part):
            return segments_in(part)
        case _:
            return set()
