"""One thing that a customer did or that happened to them. It only carries: reading it from a producer's format is `intake`'s work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from rumbo.core.instant import Instant

_decode: Final = msgspec.json.Decoder().decode
_NOTHING: Final = b"{}"


class Interaction(msgspec.Struct, weakref=False, gc=False):
    """An interaction, read and checked. Sections stay raw JSON until a rule asks for them.

    `key` is the name as names are compared (`folded`); `at` is the event time in microseconds. `flags` name what intake
    had to put right (`time_clamped`, `id_derived`, …).
    """

    customer: str
    name: str
    key: str
    id: str
    at: Instant
    topic: str
    partition: int
    offset: int
    properties_raw: bytes | msgspec.Raw = _NOTHING
    context_raw: bytes | msgspec.Raw = _NOTHING
    traits_raw: bytes | msgspec.Raw = _NOTHING
    _account: str | Callable[[Interaction], str | None] | None = None
    """The account, or who looks for it when a rule asks."""
    anonymous: bool = False
    format: str = "segment"
    flags: tuple[str, ...] = ()
    fingerprint: bytes = b""
    """By what a producer's repeat is known (`core.program`): hashes of id and body; empty until somebody has asked."""
    _properties: dict[str, Any] | None = None
    _context: dict[str, Any] | None = None
    _traits: dict[str, Any] | None = None

    @property
    def account(self) -> str | None:
        """The company or household that the customer belongs to."""
        found = self._account
        if callable(found):
            found = self._account = found(self)
        return found

    @property
    def properties(self) -> dict[str, Any]:
        """What the event says of itself (`properties` of a track or page; `data` of a CloudEvent)."""
        found = self._properties
        if found is None:
            found = self._properties = _decode(self.properties_raw)
        return found

    @property
    def context(self) -> dict[str, Any]:
        """Where it happened: page, campaign, device, library."""
        found = self._context
        if found is None:
            found = self._context = _decode(self.context_raw)
        return found

    @property
    def traits(self) -> dict[str, Any]:
        """What it says about the customer (an `identify`'s traits), not yet merged into the profile."""
        found = self._traits
        if found is None:
            found = self._traits = _decode(self.traits_raw)
        return found


_folds: dict[str, str] = {}
_FOLDS: Final = 10_000


def folded(name: str) -> str:
    """The name as names are compared: without case, space, underscore and hyphen (`order_completed` is `Order Completed`)."""
    found = _folds.get(name)
    if found is None:
        found = name.replace(" ", "").replace("_", "").replace("-", "").casefold()
        if len(_folds) < _FOLDS:  # names come from outside: a producer must not fill the memory
            _folds[name] = found
    return found
