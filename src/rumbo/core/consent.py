"""The consent ledger: what the customer has said of each purpose and channel, and what follows for an action. It never emits.

What was said last counts, by the time of what was said, not by when it arrived; at one instant the denial counts. A grant by
an anonymous visitor never outweighs a denial. So the ledger is the same in every order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from rumbo.core.definition import Sort
from rumbo.core.instant import Instant, isoformat
from rumbo.core.profile import Ledger

Status: TypeAlias = Literal["granted", "denied", "withdrawn", "unknown"]
STATUSES: Final[dict[str, Status]] = {"unknown": "unknown", "granted": "granted", "denied": "denied", "withdrawn": "withdrawn"}  # fmt: skip
_RANK: Final = {status: rank for rank, status in enumerate(STATUSES)}
_NO: Final = frozenset({"denied", "withdrawn"})
EVERY: Final = "*"
CAP: Final = 64
"""Entries of one customer."""
TEXT: Final = 64
"""Characters of a purpose, a channel, a source or a proof that are kept."""


class Consent(NamedTuple):
    """What somebody said. Purpose and channel as they are compared (`plain`); `expires` is 0 for never."""

    purpose: str
    channel: str
    status: Status
    at: Instant
    anonymous: bool = False
    source: str = ""
    proof: str = ""
    expires: Instant = 0

    @property
    def weight(self) -> tuple[Any, ...]:
        """The larger one counts: a total order, so that no order of arrival matters."""
        guess = self.status == "granted" and self.anonymous
        return (not guess, self.at, _RANK[self.status], self.source, self.proof, self.expires, not self.anonymous)

    def told(self) -> str:
        """In words, for explanations."""
        source = f", {self.source}" if self.source else ""
        ends = f", until {isoformat(self.expires)}" if self.expires else ""
        channel = f" by {self.channel}" if self.channel != EVERY else ""
        purpose = self.purpose if self.purpose != EVERY else "every purpose"
        return f"{self.status} {isoformat(self.at)} for {purpose}{channel}{source}{ends}"


def plain(name: str) -> str:
    """A purpose or channel as it is compared."""
    return name.strip().casefold().replace("|", "/")[:TEXT]


def read(key: str, entry: list[Any]) -> Consent:
    """One entry of the ledger."""
    purpose, channel = key.split("|", 1)
    return Consent(purpose, channel, *entry)


def record(ledger: Ledger, said: Consent) -> str:
    """Take it into the ledger. What happened: `changed`, `older` (what is known outweighs it), `full` (no room for a grant)."""
    consents, key = ledger.consents, f"{said.purpose}|{said.channel}"
    known = consents.get(key)
    if known is not None and read(key, known).weight >= said.weight:
        return "older"
    if known is None and len(consents) >= CAP:
        return _crowded(ledger, said)
    consents[key] = list(said[2:])
    return "changed"


def _crowded(ledger: Ledger, said: Consent) -> str:
    """A full ledger forgets grants, never denials: what is forgotten is unknown."""
    if said.status not in _NO:
        return "full"
    grants = [(read(key, entry).at, key) for key, entry in ledger.consents.items() if entry[0] not in _NO]
    if grants:
        del ledger.consents[min(grants)[1]]
        return record(ledger, said)
    return record(ledger, said._replace(purpose=EVERY, channel=EVERY)) if said.purpose != EVERY or said.channel != EVERY else "full"  # fmt: skip


def standing(ledger: Ledger | None, purpose: str, channel: str | None, now: Instant) -> Consent | None:
    """What counts for this purpose and channel now; None: nothing was said, or what was said has expired."""
    if ledger is None or not ledger.consents:
        return None
    found = [each for each in _said(ledger, purpose, channel) if not 0 < each.expires <= now]
    return max(found, key=lambda each: each.weight, default=None)


def _said(ledger: Ledger, purpose: str, channel: str | None) -> Iterable[Consent]:
    for key in dict.fromkeys(f"{p}|{c}" for p in (purpose, EVERY) for c in (channel or EVERY, EVERY)):
        entry = ledger.consents.get(key)
        if entry is not None:
            yield read(key, entry)


def refusal(sort: Sort, found: Consent | None, purpose: str, channel: str | None) -> str:
    """Why an action of this sort must not be done; empty where it may. Marketing needs a grant, service no denial."""
    if sort == "transactional":
        return ""
    if found is not None and found.status in _NO:
        return found.told()
    if sort == "service" or (found is not None and found.status == "granted"):
        return ""
    by = f" by {channel}" if channel else ""
    return f"nothing is known of {purpose}{by}, and marketing needs a grant"
