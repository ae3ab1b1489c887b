"""Which channel a customer prefers, and what speaks for it: what they said, what the topology says, how they answered. It never emits.

What `channel: preferred` of an action becomes is decided here too, so that who looks and what is asked for cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from rumbo.core.consent import plain, refusal, standing
from rumbo.core.definition import Contact, Preferred
from rumbo.core.instant import Instant
from rumbo.core.message import Message, status_of
from rumbo.core.profile import Ledger, Profile


class Answered(msgspec.Struct, frozen=True):
    """How a customer answered by one channel: how many of the last messages came so far. What was clicked was opened, what was opened was delivered."""

    channel: str
    sent: int
    delivered: int
    opened: int
    clicked: int

    @property
    def weight(self) -> tuple[float, int, str]:
        """The larger one is answered better: the share opened by the rule of succession, so that one of one is not yet more than nine of ten."""
        return (self.opened + 1) / (self.sent + 2), self.sent, self.channel


class Preference(msgspec.Struct, frozen=True):
    """A preferred channel, `by` what it is known: `customer` (they named it), `topology` (its default), `answers` (neither says, and this one is answered best)."""

    channel: str
    by: Literal["customer", "topology", "answers"]
    named: str | None = None
    """What the customer named, even where the topology knows no such channel."""
    refused: dict[str, str] = {}
    """Purpose -> why nothing may be sent for it by this channel."""
    answers: tuple[Answered, ...] = ()
    """Of the last 100 messages, by channel, the best answered first."""


def chosen(preferred: Preferred, named: Any) -> str:
    """The customer's channel where it is one of those that there are, else the topology's."""
    return named if isinstance(named, str) and named in preferred.channels else preferred.otherwise


def preference(contact: Contact, profile: Profile, now: Instant) -> Preference | None:
    """What this customer prefers as of now; None where nothing says so."""
    ledger, answers = profile.ledger, answered(profile.ledger)
    named: str | None = None
    channel: str | None = None
    by: Literal["customer", "topology", "answers"] = "answers"
    if contact.preferred is not None:
        kept = profile.traits.get(contact.preferred.trait)
        named = kept[0] if kept is not None and isinstance(kept[0], str) else None
        channel = chosen(contact.preferred, named)
        by = "customer" if named == channel else "topology"
    elif answers and answers[0].opened:
        channel = answers[0].channel
    if channel is None:
        return None
    return Preference(channel, by, named, _refused(contact, ledger, channel, now), answers)


def answered(ledger: Ledger | None) -> tuple[Answered, ...]:
    """The messages of the ledger by channel, the best answered first."""
    if ledger is None:
        return ()
    by_channel: dict[str, list[Message]] = {}
    for entry in ledger.messages.values():
        message = Message(*entry)
        if message.channel is not None:
            by_channel.setdefault(message.channel, []).append(message)
    made = (Answered(name, len(sent), *_counts(sent)) for name, sent in by_channel.items())
    return tuple(sorted(made, key=lambda each: each.weight, reverse=True))


def _counts(messages: Iterable[Message]) -> tuple[int, int, int]:
    found = list(messages)
    delivered, opened, clicked = (
        sum(status_of(each, status) > 0 for each in found) for status in ("delivered", "opened", "clicked")
    )
    return delivered, opened, clicked


def _refused(contact: Contact, ledger: Ledger | None, channel: str, now: Instant) -> dict[str, str]:
    """The gate's own answer for each purpose."""
    said = {
        purpose: refusal(sort, standing(ledger, plain(purpose), plain(channel), now), purpose, channel)
        for purpose, sort in contact.purposes.items()
    }
    return {purpose: why for purpose, why in sorted(said.items()) if why}
