"""What a topology derives from interactions, as authors write it once for all journeys: sessions."""

from __future__ import annotations

from rumbo.core.definition import Derived, Sessions
from rumbo.core.instant import DAY, MINUTE, format_duration
from rumbo.topology.fields import Fields
from rumbo.topology.problem import Notes
from rumbo.topology.words import Words, event_fields
from rumbo.topology.yaml import Yaml

SESSIONS = ("event", "where", "gap", "page")
_LONGEST = DAY


def derived(topology: Fields, notes: Notes) -> Derived:
    """`sessions:` of a topology; problems are noted."""
    words = Words(notes)
    node = topology.node("sessions")
    return Derived(_sessions(node, words) if node is not None else None)


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
