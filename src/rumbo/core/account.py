"""An account as it is stored: its contacts, where it stands, the last changes. What contacts tell it. It holds; `core.rollup` steps it.

It never grows without a cap.
"""

from __future__ import annotations

from typing import Final

import msgspec

from rumbo.core.instant import Instant

CONTACTS: Final = 256
"""Contacts of an account that are kept, those that changed last."""
RECENT: Final = 64
"""Changes of an account that one from before them can still be put among."""
Key = tuple[Instant, str, int]
"""Where a change has its place: its time, its contact, its number among the contact's own."""


class ContactChange(msgspec.Struct, frozen=True, array_like=True):
    """What an account is told: all that counts of a contact now, or that the contact counts no more (`gone`).

    `number` counts the changes of the contact, `occurrence` is the input that made it (an event's id, a due instant), `cause` the
    interaction (the fields of a `Cause`, to be small), None for a timer.
    """

    account: str
    customer: str
    number: int
    at: Instant
    gone: bool
    role: str
    stage: str
    scores: dict[str, float]
    occurrence: str
    cause: tuple[str, str, str, str, int, int] | None = None

    @property
    def key(self) -> Key:
        """Its place."""
        return self.at, self.customer, self.number


class Contact(msgspec.Struct, frozen=True, array_like=True):
    """A contact who counts, as of the change `number`."""

    at: Instant
    number: int
    role: str
    stage: str
    scores: dict[str, float]


class Marks(msgspec.Struct, frozen=True, array_like=True):
    """Where an account stands: its stage (empty: none) and since when, the highest it ever had, the scores last said."""

    stage: str = ""
    since: Instant = 0
    high_water: str = ""
    said: dict[str, float] = {}


class Noted(msgspec.Struct, frozen=True, array_like=True):
    """A change that is in the account, and how to take it out: the contacts before it, and the marks where they are others now."""

    change: ContactChange
    contacts: list[tuple[str, Contact | None]]
    marks: Marks | None


class Account(msgspec.Struct, array_like=True, gc=False):
    """One account, as it is stored. Field order is the format, as in a profile."""

    account: str
    marks: Marks = Marks()
    contacts: dict[str, Contact] = {}
    recent: list[Noted] = []
    """The last changes, each in its place."""
    frontier: Key | None = None
    """The place of the last change that is not kept any more: one from before it counts as it comes."""
    withdrawn: dict[str, tuple[str, Instant]] = {}
    """Decisions that are withdrawn: id -> (id of the retraction, instant of the decision)."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Account).decode


def dump(account: Account) -> bytes:
    """The account as stored."""
    return _encode(account)


def load(value: bytes) -> Account:
    """Read what `dump` wrote. Raises msgspec.ValidationError on anything else."""
    return _decode(value)
