"""The profiles that one transaction changes: decoded a few at a time while they are stepped, kept as bytes until it is committed.

A decoded profile is some forty objects; those of a whole batch fit no processor's cache, and each would be fetched from memory
three times over (decoded, stepped, encoded). It decides nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from rumbo.core.profile import DUE_BYTES, Profile, stored
from rumbo.core.program import Program
from rumbo.engine.store import Store

_NO_TIMER: Final = bytes(DUE_BYTES)
_BESIDE: Final = 200
"""About what Python needs beside a value: its key, its place in a dict, the headers of both."""


class Recent:
    """What was committed last, by customer: a read of the store less for each customer who comes again soon.

    Two generations: what is written goes into the younger; when that is half of what is allowed, the older is forgotten.
    """

    def __init__(self) -> None:
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._bytes = 0

    def find(self, customer: str) -> bytes | None:
        """The profile as stored, if it is still here."""
        return self._young.get(customer) or self._old.get(customer)

    def keep(self, values: dict[str, bytes], allowed: int) -> None:
        """These are in the store now; *allowed* is in bytes."""
        self._young.update(values)
        self._bytes += sum(map(len, values.values())) + _BESIDE * len(values)
        if self._bytes > allowed // 2:
            self._old, self._young, self._bytes = self._young, {}, 0


class Touched:
    """One partition's profiles between two commits. `met` is told of each customer who has none yet."""

    def __init__(self, store: Store, program: Program, met: Callable[[str], None]) -> None:
        self._store, self._program, self._met = store, program, met
        self._open: dict[str, Profile] = {}
        self._kept: dict[str, bytes] = {}
        self._dues: dict[str, bytes] = {}
        """When each one's next timer was due, as the store has it."""
        self._recent = Recent()

    def open(self, customers: set[str]) -> dict[str, Profile]:
        """The profiles of these customers, to be changed in place until `close`."""
        load, kept, recent, found = self._program.load, self._kept, self._recent, self._open
        unknown: list[str] = []
        for name in customers:
            value = kept.get(name)
            if value is None:
                value = recent.find(name)
                if value is None:
                    unknown.append(name)
                    continue
                self._dues[name] = value[:DUE_BYTES]
            found[name] = load(name, value[DUE_BYTES:])
        values = self._store.get_many([b"p" + name.encode() for name in unknown])
        for name, value in zip(unknown, values, strict=True):
            if value is None:
                self._met(name)
            self._dues[name] = value[:DUE_BYTES] if value is not None else _NO_TIMER
            found[name] = load(name, value[DUE_BYTES:] if value is not None else None)
        return found

    def close(self) -> None:
        """What is open is done with for now."""
        kept = self._kept
        for name, profile in self._open.items():
            kept[name] = stored(profile)
        self._open = {}

    def value(self, customer: str) -> bytes:
        """A touched customer's profile as it will be stored."""
        return self._kept[customer]

    def rows(self) -> list[tuple[bytes, bytes | None]]:
        """Key and value of every profile touched."""
        return [(b"p" + name.encode(), value) for name, value in self._kept.items()]

    def moves(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Where a next timer has moved: (old due, new due, customer)."""
        for name, value in self._kept.items():
            old = self._dues[name]
            if not value.startswith(old):
                yield old, value[:DUE_BYTES], name.encode()

    def forget(self) -> None:
        """They are committed, and in the store."""
        self._recent.keep(self._kept, self._store.recent)
        self._kept, self._dues = {}, {}
