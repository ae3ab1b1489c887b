"""The pasts of one partition's customers, where the topology refolds: rows beside the profiles, of the same transaction.

A head a customer, rewritten with the profile; a base, when the reach has moved; a row for each input, which goes when the base
takes it. All begin with the customer, so that whoever erases one finds them. It never decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec

from rumbo.core.decision import Decision
from rumbo.core.instant import Instant
from rumbo.core.interaction import Interaction
from rumbo.core.past import Entry, Head, Key, Past, Shelf
from rumbo.core.profile import Profile
from rumbo.core.refold import Changed, Refolder, Said
from rumbo.engine.store import Store

Row = tuple[bytes, bytes | None]
_END: Final = b"\0"
_HEAD: Final = b"h"
_BASE: Final = b"b"
_INPUT: Final = b"i"
_SHIFT: Final = 1 << 63
"""Instants before 1970 are negative."""

_encode: Final = msgspec.msgpack.Encoder().encode
_head: Final = msgspec.msgpack.Decoder(Head).decode
_entry: Final = msgspec.msgpack.Decoder(Entry).decode


def prefix(customer: str) -> bytes:
    """What every row of a customer's past begins with. No id holds a NUL: intake replaces it."""
    return b"r" + customer.encode() + _END


def input_key(customer: str, key: Key) -> bytes:
    """The row of an input: in the order in which they happened."""
    at, number = key
    hashed = blake2b(number.encode(), digest_size=8).digest()
    return prefix(customer) + _INPUT + (at + _SHIFT).to_bytes(8, "big") + hashed


class Pasts:
    """What one partition's transaction has to do with pasts. It steps as a program does, through the refolder."""

    def __init__(self, store: Store, refolder: Refolder) -> None:
        self._store, self._refolder = store, refolder
        self._shelf = Shelf(self._base, self._inputs)
        self._touched: dict[str, Past] = {}
        self.reads = refolder.reads

    def advance(self, profile: Profile, event: Interaction) -> list[Decision]:
        """Step one interaction of a customer whose past is open."""
        return self._refolder.advance(profile, self._touched[event.customer], event)

    def instruct(self, profile: Profile, event: Interaction, journey: str, said: Said) -> list[Decision]:
        """Step what somebody said of a customer whose past is open."""
        return self._refolder.instruct(profile, self._touched[event.customer], event, journey, said)

    def fire(self, profile: Profile, clock: Instant) -> list[Decision]:
        """Fire the timers of a customer whose past is open."""
        return self._refolder.fire(profile, self._touched[profile.customer], clock)

    def open(self, customers: Iterable[str]) -> None:
        """Read the heads of these customers' pasts, which change until the commit."""
        known = self._touched
        unknown = [each for each in customers if each not in known]
        if unknown:
            found = self._store.get_many([prefix(each) + _HEAD for each in unknown])
            for customer, value in zip(unknown, found, strict=True):
                known[customer] = Past(customer, _head(value) if value is not None else Head(), self._shelf)

    def _base(self, customer: str) -> bytes | None:
        return self._store.get_many([prefix(customer) + _BASE])[0]

    def _inputs(self, customer: str) -> list[Entry]:
        return [_entry(value) for _, value in self._store.under(prefix(customer) + _INPUT)]

    def rows(self) -> list[Row]:
        """What is written with this commit."""
        rows: list[Row] = []
        for customer, past in self._touched.items():
            rows += [(input_key(customer, key), None) for key in past.removed]
            rows += [(input_key(customer, key), _encode(each)) for key, each in past.added.items()]
            if past.rebased:
                rows.append((prefix(customer) + _BASE, past.base))
            rows.append((prefix(customer) + _HEAD, _encode(past.head)))
        return rows

    def changed(self) -> Changed:
        """What refolds have changed since this was last asked."""
        return self._refolder.take()

    def forget(self) -> None:
        """They are committed, and in the store."""
        self._touched = {}
