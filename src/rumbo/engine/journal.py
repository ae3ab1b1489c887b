"""The journal of a customer: the last interactions and what was decided on each, in rows beside the profile.

Rings: a row's key is its place in the ring, so an old row is overwritten and none needs to be deleted. Interactions on which
something was decided have a ring of their own, so that those on which nothing was do not push them out. It never decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from rumbo.core.decision import Decision
from rumbo.core.interaction import Interaction
from rumbo.engine.store import Store
from rumbo.serve.state import Entry

DECISIONS: Final = 16
"""Decisions kept of one interaction; more are counted."""
_END: Final = b"\0"
_QUIET: Final = b"q"
_TOLD: Final = b"t"


class _Head(msgspec.Struct, array_like=True):
    quiet: int = 0
    told: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_entry: Final = msgspec.msgpack.Decoder(Entry).decode
_head: Final = msgspec.msgpack.Decoder(_Head).decode


def head_key(customer: str) -> bytes:
    """The row that counts a customer's entries. No id holds a NUL: intake replaces it."""
    return b"j" + customer.encode() + _END


def entry_keys(customer: str, kept: int) -> list[bytes]:
    """Every row that a customer's journal can have."""
    head = head_key(customer)
    return [head + ring + slot.to_bytes(2, "big") for ring in (_QUIET, _TOLD) for slot in range(kept)]


def read(store: Store, customer: str, kept: int) -> list[Entry]:
    """A customer's journal, the last entry first. A producer's repeat is shown once."""
    found = [_entry(value) for value in store.get_many(entry_keys(customer, kept)) if value is not None]
    seen: set[str] = set()
    unique: list[Entry] = []
    for each in sorted(found, key=lambda entry: entry.order):
        if each.id is None or each.id not in seen:
            unique.append(each)
        if each.id is not None:
            seen.add(each.id)
    return unique[::-1]


class Journal:
    """What one partition notes between two commits. `kept` is the size of each ring."""

    def __init__(self, store: Store, kept: int, value: Callable[[Decision], bytes]) -> None:
        self._store, self._kept, self._value = store, kept, value
        self._heard: list[Interaction] = []
        self._decided: dict[tuple[str, str], list[Decision]] = {}

    def heard(self, interactions: Sequence[Interaction]) -> None:
        """These were stepped."""
        self._heard += interactions

    def decided(self, decisions: Iterable[Decision]) -> None:
        """These came of them, or of timers."""
        for each in decisions:
            events = each.data.because.events
            self._decided.setdefault((each.customer, events[0].id if events else f"\0{each.at}"), []).append(each)

    def rows(self) -> list[tuple[bytes, bytes]]:
        """The rows to write with the batch; what was noted is forgotten."""
        entries = self._entries()
        if not entries:
            return []
        keys = {customer: head_key(customer) for customer, _ in entries}
        found = self._store.get_many(list(keys.values()))
        heads = {
            customer: _Head() if value is None else _head(value) for customer, value in zip(keys, found, strict=True)
        }
        rows: list[tuple[bytes, bytes]] = []
        for customer, entry in entries:
            head = heads[customer]
            entry.order = head.quiet + head.told
            ring, slot = (_TOLD, head.told) if entry.decisions else (_QUIET, head.quiet)
            rows.append((keys[customer] + ring + (slot % self._kept).to_bytes(2, "big"), _encode(entry)))
            if entry.decisions:
                head.told += 1
            else:
                head.quiet += 1
        rows += [(keys[customer], _encode(head)) for customer, head in heads.items()]
        return rows

    def _entries(self) -> list[tuple[str, Entry]]:
        """In the order in which it happened to each customer."""
        heard, decided = self._heard, self._decided
        self._heard, self._decided = [], {}
        made: list[tuple[str, Entry]] = []
        for each in heard:
            entry = Entry(0, each.at, each.name, each.id, each.topic, each.partition, each.offset)
            self._tell(entry, decided.pop((each.customer, each.id), ()))
            made.append((each.customer, entry))
        for (customer, _), decisions in decided.items():
            entry = Entry(0, decisions[0].at)
            self._tell(entry, decisions)
            made.append((customer, entry))
        if decided and heard:
            made.sort(key=lambda each: each[1].at)  # timers fire between interactions; the sort is stable
        return made

    def _tell(self, entry: Entry, decisions: Sequence[Decision]) -> None:
        entry.decisions = [self._value(each) for each in decisions[:DECISIONS]]
        entry.more = max(len(decisions) - DECISIONS, 0)
