"""What a customer may be asked, compiled: interactions and control records that change the ledger. It never decides an action."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

from rumbo.core.consent import EVERY, STATUSES, TEXT, Consent, Status, plain, record
from rumbo.core.definition import ConsentRule, Contact, EventTest, MessageRule
from rumbo.core.expression import is_unknown
from rumbo.core.instant import Instant, from_datetime, parse_instant
from rumbo.core.message import Message, told
from rumbo.core.profile import Ledger, opened
from rumbo.core.scope import Read, Turn

Hear = Callable[[Turn], bool]
"""Takes an interaction into the ledger; whether that changed anything."""
_BOUNDS: Final = {"full": "consent_full"}


class Listed(NamedTuple):
    """Somebody put the customer on the suppression list, or took them off."""

    on: bool
    at: Instant
    source: str = ""


class Ledgers:
    """The rules of one topology that change a customer's ledger."""

    def __init__(
        self, contact: Contact, expression: Callable[[str], Read], delivered: Callable[[Turn, Message], None]
    ) -> None:
        self.contact, self._delivered = contact, delivered
        self._known = {plain(each) for each in contact.purposes}
        rules = [(each.events, self._consent(each, expression)) for each in contact.consent]
        rules += [(each, self._list(on=True)) for each in contact.listed]
        rules += [(each, self._list(on=False)) for each in contact.unlisted]
        rules += [(each.events, self._message(each, expression)) for each in contact.messages]
        self._rules = tuple((events, _where(events, expression), hear) for events, hear in rules)

    def listening(self, key: str) -> tuple[tuple[Read | None, Hear], ...]:
        """What to do for an interaction of this (folded) name: a guard or None, and what it changes."""
        return tuple((where, hear) for events, where, hear in self._rules if not events.names or key in events.names)

    def mentioned(self) -> set[str]:
        """Every event name that some rule listens to by name."""
        return {name for events, _, _ in self._rules for name in events.names}

    def take(self, turn: Turn, said: Consent | Listed) -> bool:
        """Take what somebody said into the customer's ledger."""
        ledger = opened(turn.profile)
        if isinstance(said, Listed):
            return _list(ledger, said)
        if said.purpose not in self._known and said.purpose != EVERY:
            turn.counts["consent_unknown_purpose"] += 1
        came = record(ledger, said)
        if came in _BOUNDS:
            turn.counts[_BOUNDS[came]] += 1
        return came == "changed"

    def _consent(self, rule: ConsentRule, expression: Callable[[str], Read]) -> Hear:
        status = expression(rule.status)
        parts = {name: expression(text) for name in ("purpose", "channel", "source", "proof", "expires") if (text := getattr(rule, name)) is not None}  # fmt: skip

        def hear(turn: Turn) -> bool:
            event, found = turn.event, _status(status(turn))
            if event is None:
                return False
            said = {name: read(turn) for name, read in parts.items()}
            purpose, channel, expires = _name(said.get("purpose", EVERY)), _name(said.get("channel", EVERY)), _instant(said.get("expires"))  # fmt: skip
            if found is None or (found == "granted" and None in {purpose, channel, expires}):
                turn.counts["consent_unreadable"] += 1  # a grant that cannot be read widens nothing
                return False
            return self.take(turn, Consent(
                purpose or EVERY, channel or EVERY, found, event.at, event.anonymous,
                _text(said.get("source")), _text(said.get("proof")), expires or 0,
            ))  # fmt: skip

        return hear

    def _message(self, rule: MessageRule, expression: Callable[[str], Read]) -> Hear:
        action, status = expression(rule.action), rule.status

        def hear(turn: Turn) -> bool:
            found = action(turn)
            changed, message = told(turn, found, status) if isinstance(found, str) else (False, None)
            if message is None:
                turn.counts["message_unknown"] += 1
            elif changed and status == "delivered":
                self._delivered(turn, message)
            return False  # no consent has changed

        return hear

    def _list(self, *, on: bool) -> Hear:
        return lambda turn: (
            turn.event is not None and self.take(turn, Listed(on, turn.event.at, turn.event.name[:TEXT]))
        )


def _list(ledger: Ledger, said: Listed) -> bool:
    """The last word counts by its own time; at one instant, the one that keeps the customer on the list."""
    weight = [said.at, said.on, said.source]
    if ledger.listed and ledger.listed >= weight:
        return False
    ledger.listed = weight
    return True


def _where(events: EventTest, expression: Callable[[str], Read]) -> Read | None:
    return expression(events.where) if events.where is not None else None


def _status(found: Any) -> Status | None:
    """A status by name; producers that send a flag mean granted or denied."""
    if isinstance(found, bool):
        return "granted" if found else "denied"
    return STATUSES.get(found.strip().casefold()) if isinstance(found, str) else None


def _name(found: Any) -> str | None:
    """A purpose or channel; None for what is none: a denial then counts for every one, a grant for nothing."""
    return plain(found) if isinstance(found, str) and found.strip() else None


def _text(found: Any) -> str:
    return found[:TEXT] if isinstance(found, str) else ""


def _instant(found: Any) -> Instant | None:
    """An expiry: a timestamp, or text that is one; 0 where there is none, None for what cannot be read."""
    if found is None or is_unknown(found):
        return 0
    if isinstance(found, datetime):
        return from_datetime(found)
    try:
        return parse_instant(found) if isinstance(found, str) else None
    except ValueError:
        return None
