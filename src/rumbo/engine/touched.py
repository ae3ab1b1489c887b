"""The profiles that one transaction changes: decoded a few at a time while they are stepped, kept as bytes until it is committed.

A decoded profile is some forty objects; those of a whole batch fit no processor's cache, and each would be fetched from memory
three times over (decoded, stepped, encoded). It decides nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rumbo.core.profile import DUE_BYTES, Profile, load, stored
from rumbo.engine.store import Store
from rumbo.engine.unwritten import NO_TIMER


class Touched:
    """One partition's profiles between two commits. `met` is told of each customer who has none yet."""

    def __init__(self, store: Store, met: Callable[[str], None]) -> None:
        self._store, self._met = store, met
        self._open: dict[str, Profile] = {}
        self._keys: dict[str, bytes] = {}
        """Of every customer touched, in the order met."""
        self._before: dict[bytes, bytes | None] = {}
        """Each one's profile as the store has it."""
        self._kept: dict[bytes, bytes] = {}

    def open(self, customers: set[str]) -> dict[str, Profile]:
        """The profiles of these customers, to be changed in place until `close`."""
        keys, kept, found = self._keys, self._kept, self._open
        unknown: list[str] = []
        wanted: list[bytes] = []
        for name in customers:
            key = keys.get(name)
            if key is None:
                key = keys[name] = b"p" + name.encode()
                unknown.append(name)
                wanted.append(key)
            else:
                found[name] = load(kept[key][DUE_BYTES:])
        values = self._store.take_many(wanted)
        self._before.update(zip(wanted, values, strict=True))
        for name, value in zip(unknown, values, strict=True):
            if value is None:
                self._met(name)
                found[name] = Profile(name)
            else:
                found[name] = load(value[DUE_BYTES:])
        return found

    def close(self) -> None:
        """What is open is done with for now."""
        kept, keys = self._kept, self._keys
        for name, profile in self._open.items():
            kept[keys[name]] = stored(profile)
        self._open = {}

    def value(self, customer: str) -> bytes:
        """A touched customer's profile as it will be stored."""
        return self._kept[self._keys[customer]]

    def before(self, customer: str) -> bytes | None:
        """A touched customer's profile as it is stored."""
        return self._before[self._keys[customer]]

    def rows(self) -> list[tuple[bytes, bytes | None]]:
        """Key and value of every profile touched."""
        return list(self._kept.items())

    def moves(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Where a next timer has moved: (old due, new due, customer)."""
        before = self._before
        for key, value in self._kept.items():
            old = (before[key] or NO_TIMER)[:DUE_BYTES]
            if not value.startswith(old):
                yield old, value[:DUE_BYTES], key[1:]

    def forget(self) -> None:
        """They are committed, and in the store."""
        self._keys, self._before, self._kept = {}, {}, {}
