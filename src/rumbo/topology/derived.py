"""What a topology derives from interactions and tells of them, as authors write it once for all journeys: sessions, scanners, friction, answers to surveys."""

from __future__ import annotations

import msgspec

from rumbo.core.definition import SCALES, AnswerRule, Derived, EventTest, Scanners, Sessions
from rumbo.core.expression import Type
from rumbo.core.instant import DAY, MINUTE, format_duration
from rumbo.core.interaction import folded
from rumbo.core.scanner import RECENT
from rumbo.topology.fields import Fields
from rumbo.topology.friction import friction
from rumbo.topology.problem import Notes
from rumbo.topology.words import Words, event_fields, event_test
from rumbo.topology.yaml import Yaml

SESSIONS = ("event", "where", "gap", "page")
SCANNERS = (
    "click", "delivered", "message", "link", "honeypot", "known", "human", "after_delivery", "links", "within", "for", "dwell",
)  # fmt: skip
ANSWERS = ("event", "where", "kind", "survey", "score", "comment")
_LONGEST = DAY
_DELIVERED = EventTest((folded("Email Delivered"),), None, "Email Delivered")
_HUMAN = EventTest((folded("Page Viewed"),), None, "Page Viewed")


def derived(topology: Fields, notes: Notes) -> Derived:
    """`sessions:`, `scanners:`, `friction:` and `answers:` of a topology; problems are noted."""
    words = Words(notes)
    sessions, guard, trouble = (topology.node(key) for key in ("sessions", "scanners", "friction"))
    return Derived(
        _sessions(sessions, words) if sessions is not None else None,
        _scanners(guard, words) if guard is not None else None,
        tuple(_answer(item, words) for item in topology.items("answers")),
        friction(trouble, words) if trouble is not None else None,
    )


def _scanners(node: Yaml, words: Words) -> Scanners:
    where = "scanners"
    fields = Fields(node, where, SCANNERS, words.notes)
    tests = {key: event_test(found, f"{where}.{key}", words) for key in ("click", "delivered", "human") if (found := fields.node(key)) is not None}  # fmt: skip
    if "click" not in tests:
        words.notes.error(node.line, f"{where}: `click` is missing", "for example click: Email Link Clicked")
    texts = {
        "message": fields.text("message", "event.properties.email_id"), "link": fields.text("link", "event.properties.link_url"),
        "honeypot": fields.text("honeypot"), "known": fields.text("known"),
    }  # fmt: skip
    for key, text in texts.items():
        if text is not None:
            wants: Type = "bool" if key in {"honeypot", "known"} else "string"
            words.expression(text, fields.at(key), where, wants=wants, event_only=True)
    lengths = {"length": fields.length("for")} | {
        key: fields.length(key) for key in ("after_delivery", "within", "dwell")
    }
    for key, most in (("within", MINUTE), ("for", DAY)):
        if (fields.length(key) or 0) > most:
            words.notes.error(
                fields.at(key), f"{where}: `{key}` is at most {format_duration(most)}", "it is meant to tell machines by their haste"
            )  # fmt: skip
    made = Scanners(
        tests.get("click", EventTest()), tests.get("delivered", _DELIVERED), human=tests.get("human", _HUMAN)
    )
    made = msgspec.structs.replace(made, links=fields.whole("links", 3, least=2, most=RECENT), **texts)
    return msgspec.structs.replace(made, **{key: length for key, length in lengths.items() if length is not None})


def _sessions(node: Yaml, words: Words) -> Sessions:
    fields = Fields(node, "sessions", SESSIONS, words.notes)
    events, made = event_fields(fields, "sessions", words), Sessions.__struct_defaults__
    gap = fields.length("gap", 30 * MINUTE) or 30 * MINUTE
    if gap > _LONGEST:
        words.notes.error(
            fields.at("gap"),
            f"sessions: a gap of {format_duration(gap)} makes no sessions",
            f"at most {format_duration(_LONGEST)}; 30m is usual",
        )
    page = fields.text("page", made[-1]) or made[-1]
    words.expression(page, fields.at("page"), "sessions", wants="string", event_only=True)
    return Sessions(events, gap, page)


def _answer(node: Yaml, words: Words) -> AnswerRule:
    fields = Fields(node, "answers", ANSWERS, words.notes)
    made = AnswerRule(event_fields(fields, "answers", words), _kind(fields, words))
    survey, score, comment = (
        fields.text("survey", made.survey),
        fields.text("score", made.score),
        fields.text("comment"),
    )
    if survey is not None and survey.isidentifier():
        words.notes.error(
            fields.at("survey"),
            f"answers: `survey` is an expression, and '{survey}' is a word",
            f"survey: \"'{survey}'\" where every such event answers that survey, else event.properties.…",
        )
    elif survey is not None:
        words.expression(survey, fields.at("survey"), "answers", wants="string", event_only=True)
    if score is not None:
        words.expression(score, fields.at("score"), "answers", wants="number", event_only=True)
    if comment is not None:
        words.expression(comment, fields.at("comment"), "answers", wants="string", event_only=True)
    return AnswerRule(made.events, made.kind, survey or made.survey, score or made.score, comment)


def _kind(fields: Fields, words: Words) -> str:
    """One of the kinds, or an expression that gives one."""
    kinds = ", ".join(SCALES)
    kind = fields.needed("kind", f"one of {kinds}; or an expression over the event, for example event.properties.kind")
    if kind in SCALES:
        return f"'{kind}'"
    if kind.isidentifier():
        words.notes.error(fields.at("kind"), f"answers: `kind` is '{kind}'", f"one of {kinds}; or an expression")
    elif kind:
        return words.expression(kind, fields.at("kind"), "answers", wants="string", event_only=True)
    return "'nps'"
