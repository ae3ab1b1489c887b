"""What a customer may be asked, as authors write it once for all journeys: purposes, consent, the suppression list, the channel."""

from __future__ import annotations

from typing import get_args

from rumbo.core.consent import EVERY, STATUSES
from rumbo.core.definition import ConsentRule, Contact, EventTest, MessageRule, Preferred, Sort
from rumbo.topology.fields import Fields
from rumbo.topology.limits import hold_out, topology_cap
from rumbo.topology.problem import Notes
from rumbo.topology.words import Words, event_fields, event_test
from rumbo.topology.yaml import Yaml

KEYS = ("purposes", "consent", "suppress", "channel", "caps", "hold_out", "messages")
STATUS = ("delivered", "opened", "clicked")
CONSENT = ("event", "where", "status", "purpose", "channel", "source", "proof", "expires")
SORTS: tuple[str, ...] = get_args(Sort)
_NAMES = 32


def contact(node: Yaml | None, notes: Notes) -> Contact:
    """`contact:` of a topology; problems are noted."""
    if node is None:
        return Contact()
    words = Words(notes)
    fields = Fields(node, "contact", KEYS, notes)
    purposes = {name: _sort(name, value, notes) for name, value in fields.mapping("purposes").items()}
    if len(purposes) > _NAMES:
        notes.error(fields.at("purposes"), f"contact: more than {_NAMES} purposes", "customers consent to few things")
    rules = tuple(_consent(item, words) for item in fields.items("consent"))
    if "marketing" in purposes.values() and not rules:
        notes.warn(
            node.line, "contact: no interaction says `consent`, so that only control records can grant it",
            "consent: {event: Consent Changed, status: event.properties.status, purpose: event.properties.purpose}",
        )  # fmt: skip
    listed, unlisted = _suppress(fields.node("suppress"), words)
    held_out = fields.node("hold_out")
    made = Contact(
        purposes, rules, listed, unlisted, _preferred(fields.node("channel"), notes),
        tuple(topology_cap(item, "contact.caps", notes) for item in fields.items("caps")),
        hold_out(held_out, "contact.hold_out", notes, "everything") if held_out is not None else None,
        *_messages(fields.node("messages"), words),
    )  # fmt: skip
    if made.hold_out is not None and "marketing" not in purposes.values():
        notes.warn(fields.at("hold_out"), "contact: nobody is held out: no purpose is marketing", "declare `purposes`")
    if any(each.count_on == "delivered" for each in made.caps) and not any(
        each.status == "delivered" for each in made.messages
    ):
        notes.error(
            fields.at("caps"),
            "contact.caps: nothing says that a message is delivered",
            "add contact.messages.delivered",
        )
    for each in made.caps:
        if purposes and each.purpose is not None and each.purpose not in purposes:
            notes.unknown(fields.at("caps"), "contact.caps: purpose", each.purpose, purposes)
    return made


def _sort(name: str, node: Yaml, notes: Notes) -> Sort:
    if node.value not in SORTS:
        notes.error(node.line, f"contact.purposes: '{name}' is '{node.value}'", f"one of: {', '.join(SORTS)}")
        return "marketing"
    if name == EVERY:
        notes.error(node.line, f"contact.purposes: '{EVERY}' stands for every purpose", "give it a name of its own")
    return node.value  # type: ignore[no-any-return]  # one of the sorts


def _consent(node: Yaml, words: Words) -> ConsentRule:
    where = "contact.consent"
    fields = Fields(node, where, CONSENT, words.notes)
    events = event_fields(fields, where, words)
    status = fields.needed("status", f"an expression over the event, or one of: {', '.join(STATUSES)}")
    said = f"'{status}'" if status in STATUSES else status
    if status:
        words.expression(said, fields.at("status"), where, wants="dyn", event_only=True)
    parts = {name: text for name in CONSENT[3:] if (text := fields.text(name)) is not None}
    for name, text in parts.items():
        words.expression(text, fields.at(name), where, wants="dyn", event_only=True)
    return ConsentRule(events, said or "'unknown'", **parts)


def _suppress(node: Yaml | None, words: Words) -> tuple[tuple[EventTest, ...], tuple[EventTest, ...]]:
    if node is None:
        return (), ()
    fields = Fields(node, "contact.suppress", ("add", "remove"), words.notes)
    if not fields.has("add"):
        words.notes.error(
            node.line, "contact.suppress: `add` is missing", "for example add: [Hard Bounced, Spam Complaint]"
        )
    add, remove = (tuple(event_test(item, f"contact.suppress.{key}", words) for item in fields.items(key)) for key in ("add", "remove"))  # fmt: skip
    return add, remove


def _messages(node: Yaml | None, words: Words) -> tuple[tuple[MessageRule, ...], tuple[str, ...]]:
    if node is None:
        return (), Contact().kinds
    fields = Fields(node, "contact.messages", (*STATUS, "kinds"), words.notes)
    rules = []
    for status in STATUS:
        for item in fields.items(status):
            where = f"contact.messages.{status}"
            inner = Fields(item, where, ("event", "where", "action"), words.notes)
            action = inner.needed(
                "action", "an expression that gives the id of our action, for example event.properties.action_id"
            )
            if action:
                words.expression(action, inner.at("action"), where, wants="string", event_only=True)
            rules.append(MessageRule(event_fields(inner, where, words), action or "''", status))  # type: ignore[arg-type]  # one of the three
    if not rules:
        words.notes.error(node.line, "contact.messages: nothing says what became of a message", "opened: {event: Email Opened, action: event.properties.action_id}")  # fmt: skip
    return tuple(rules), fields.names("kinds") or Contact().kinds


def _preferred(node: Yaml | None, notes: Notes) -> Preferred | None:
    if node is None:
        return None
    fields = Fields(node, "contact.channel", ("trait", "otherwise", "among"), notes)
    trait = fields.text("trait", "preferred_channel") or "preferred_channel"
    if not trait.isidentifier():
        notes.error(fields.at("trait"), f"contact.channel: '{trait}' is no trait's name", "letters, digits and _")
        trait = "preferred_channel"
    among = fields.names("among")
    if not among:
        notes.error(
            node.line, "contact.channel: `among` is missing", "the channels there are, for example [email, push]"
        )
    return Preferred(trait, fields.needed("otherwise", "the channel of customers who name none"), among)
