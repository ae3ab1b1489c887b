"""The profile: everything known about one customer, as one bounded record. It holds; `step` changes it. It never grows without a cap.

Encoded as MessagePack arrays (field order is the format, so fields are only ever appended). Before it, in store and
changelog, stand 8 bytes: the due instant of the next timer, so that the timer index is kept without decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rumbo.core.earlier import rearranged
from rumbo.core.instant import Instant
from rumbo.core.state import JourneyState

FORMAT: Final = 4
"""Of all that is kept in store and changelog: profiles, position, notes. A worker reads every earlier one and refuses a later one.

A field more needs a new number where the last one was in use: an older worker would drop what it does not know. 1: until sequences.
2: until what most customers have nothing of stood apart. 3: until the ids of events were hashed by XXH3.
"""
DUE_BYTES: Final = 8


class Ledger(msgspec.Struct, array_like=True, gc=False):
    """What the customer has agreed to, and what was done on the strength of it. Only where the topology asks for it."""

    consents: dict[str, list[Any]] = {}
    """`purpose|channel` (`*`: every) -> `core.consent.Entry`."""
    listed: list[Any] = []
    """The suppression list: [at, whether on it, source]; empty: never said."""
    sent: dict[str, list[Instant]] = {}
    """For each cap's log the last emissions, ascending: no more than the cap counts."""
    exposures: dict[str, str] = {}
    """Experiment -> the variant that was recorded."""
    messages: dict[str, list[Any]] = {}
    """First characters of an action's id -> `core.message.Message`, in the order sent."""


class Visits(msgspec.Struct, array_like=True, gc=False):
    """When the customer was there, and on which pages (`core.visit`). Only where the topology asks for it."""

    spans: list[list[Any]] = []
    """The last sessions, ascending: [first interaction, last, how many]."""
    views: list[list[Any]] = []
    """The last views of pages, ascending: [at, page]."""
    pages: dict[str, list[Any]] = {}
    """Page -> [time, views, last view] of earlier views."""


class Clicks(msgspec.Struct, array_like=True, gc=False):
    """Clicks that may be a scanner's (`core.scanner`). Only where the topology asks for it."""

    recent: list[list[Any]] = []
    """The last clicks, ascending: [at, link, event id]."""
    delivered: dict[str, Instant] = {}
    """Message -> when it was delivered, the last ones."""
    held: list[list[Any]] = []
    """Clicks put aside: [since, until, suspicion, first page view after it, link, the interaction]."""
    base: bytes = b""
    """The profile as it was before the first of the clicks of which a burst may come; empty: none may."""
    since: list[list[Any]] = []
    """The interactions from that click on."""
    rows: list[list[Any]] = []
    """What was decided from that click on: [id, kind, at, journey]."""
    gone: dict[str, list[Any]] = {}
    """What was withdrawn of clicks that a human may still release: id -> [id of the retraction, its instant]."""


class Trouble(msgspec.Struct, array_like=True, gc=False):
    """Where the customer may have, and has had, trouble (`core.friction`). Only where the topology asks for it."""

    marks: dict[str, list[list[Any]]] = {}
    """Kind -> the interactions of which friction may come, ascending: [at, place]."""
    last: list[list[Any]] = []
    """The last frictions: [at, kind, place, weight]."""


class Member(msgspec.Struct, array_like=True, gc=False):
    """What the customer's account was last told of them (`core.belonging`). Only where the topology asks for it."""

    number: int = 0
    """How many changes accounts have been told."""
    account: str = ""
    """Empty: the customer counts in none."""
    role: str = ""
    stage: str = ""
    scores: dict[str, float] = {}


class Profile(msgspec.Struct, array_like=True, gc=False):
    """One customer. `timers` maps a timer's name to its due instant; `due` is the smallest (0: none)."""

    customer: str
    counters: dict[str, int] = {}
    """Here formats 1 and 2 had a number, and format 3 bytes: that is how they are known."""
    clock: Instant = 0
    """The largest of the customer's event times and fired due times."""
    first_seen: Instant = 0
    events: int = 0
    ring: bytes = b""
    """The last event ids (8 bytes of hash and 2 of body each): a producer's repeat changes nothing (`core.repeats`)."""
    last: dict[str, Instant] = {}
    windows: dict[str, list[Instant]] = {}
    """The most recent event times that a window needs, ascending."""
    traits: dict[str, Any] = {}
    journeys: dict[str, JourneyState] = {}
    timers: dict[str, Instant] = {}
    ledger: Ledger | None = None
    visits: Visits | None = None
    clicks: Clicks | None = None
    answers: dict[str, list[Any]] | None = None
    """Survey -> `core.answer.Answer`. Only where the topology asks for it."""
    trouble: Trouble | None = None
    member: Member | None = None
    older: bytes = b""
    """Ids among the last ones that an earlier format has hashed, until newer ones have taken their places."""

    @property
    def due(self) -> Instant:
        """When the next timer is due; 0 when there is none."""
        return min(self.timers.values()) if self.timers else 0


def opened(profile: Profile) -> Ledger:
    """The customer's ledger, begun where there is none."""
    if profile.ledger is None:
        profile.ledger = Ledger()
    return profile.ledger


class Marks(msgspec.Struct, array_like=True):
    """Of a journey's state only what it begins with."""

    stage: str = ""
    high_water: str = ""


class _Marked(msgspec.Struct, array_like=True):
    """Of a profile only its journeys: the rest is passed over undecoded."""

    customer: msgspec.Raw
    counters: dict[str, msgspec.Raw]
    clock: msgspec.Raw
    first_seen: msgspec.Raw
    events: msgspec.Raw
    ring: msgspec.Raw
    last: msgspec.Raw
    windows: msgspec.Raw
    traits: msgspec.Raw
    journeys: dict[str, Marks]


_NEVER: Final = bytes(DUE_BYTES)
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Profile).decode
_marked: Final = msgspec.msgpack.Decoder(_Marked).decode


def dump(profile: Profile) -> bytes:
    """The profile as stored, without the due prefix."""
    return _encode(profile)


def load(value: bytes | memoryview) -> Profile:
    """Read what `dump` wrote, in this format or an earlier one. Raises msgspec.ValidationError on anything else."""
    try:
        return _decode(value)
    except msgspec.ValidationError:
        return _decode(_encode(rearranged(value)))


def marks(value: bytes) -> Mapping[str, Marks | JourneyState]:
    """The journeys of a profile that `dump` wrote, each with its stage and high water."""
    try:
        return _marked(value).journeys
    except msgspec.ValidationError:
        return load(value).journeys


def stored(profile: Profile) -> bytes:
    """The value of a profile in store and changelog: due instant (8 bytes, big endian), then the record."""
    timers = profile.timers
    due = min(timers.values()).to_bytes(DUE_BYTES, "big") if timers else _NEVER
    return due + _encode(profile)
