"""A customer's past, for refolds: a base, and the inputs since, each in its place. It keeps and finds; it steps nothing and decides nothing.

It stands apart from the profile: what comes in order reads only its head. Where its rows are kept is told by a `Shelf`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec

from rumbo.core.authority import Order
from rumbo.core.consent import Consent
from rumbo.core.contact import Listed
from rumbo.core.instant import Duration, Instant
from rumbo.core.interaction import Interaction, folded
from rumbo.core.profile import Profile, dump

LAST: Final = "\U0010ffff"
"""After every id."""
ID_BYTES: Final = 8
UNREACHED: Final = 64 * ID_BYTES
"""Bytes for the ids of the last interactions that came from beyond the reach: their repeats change nothing."""
MOST_BYTES: Final = 256 * 1024
"""Of the inputs of one customer, about."""
_BESIDE: Final = 120
Key = tuple[Instant, str]
"""Where an input has its place: its time, then its id."""


class Entry(msgspec.Struct, array_like=True):
    """One input: an interaction, or what somebody said of the customer (with the journey that it is said of).

    `place` is where it stands in the order: its own time, but for an order from beyond the reach, which counts as it came.
    """

    place: Instant
    id: str
    at: Instant
    name: str
    topic: str
    partition: int
    offset: int
    properties: bytes = b"{}"
    context: bytes = b"{}"
    traits: bytes = b"{}"
    account: str | None = None
    anonymous: bool = False
    format: str = ""
    journey: str = ""
    order: Order | None = None
    consent: Consent | None = None
    listed: Listed | None = None
    figures: dict[str, Duration] = {}
    """The frozen figures of the cohort that counted when it came."""

    @property
    def key(self) -> Key:
        """Its place."""
        return self.place, self.id

    @property
    def said(self) -> Order | Consent | Listed | None:
        """What somebody said; None for an interaction."""
        return self.order or self.consent or self.listed

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return _BESIDE + len(self.id) + len(self.properties) + len(self.context) + len(self.traits)

    def interaction(self, customer: str) -> Interaction:
        """As it was read."""
        return Interaction(
            customer, self.name, folded(self.name), self.id, self.at, self.topic, self.partition, self.offset,
            self.properties, self.context, self.traits, self.account, self.anonymous, self.format,
        )  # fmt: skip


def entry(event: Interaction, figures: dict[str, Duration]) -> Entry:
    """An interaction as it is kept."""
    return Entry(
        event.at, event.id, event.at, event.name, event.topic, event.partition, event.offset, bytes(event.properties_raw),
        bytes(event.context_raw), bytes(event.traits_raw), event.account, event.anonymous, event.format, figures=dict(figures),
    )  # fmt: skip


def instruction(
    event: Interaction, journey: str, said: Order | Consent | Listed, figures: dict[str, Duration]
) -> Entry:
    """What somebody said, as it is kept."""
    kept = entry(event, figures)
    kept.journey = journey
    match said:
        case Order():
            kept.order = said
        case Consent():
            kept.consent = said
        case Listed():
            kept.listed = said
    return kept


class Head(msgspec.Struct, array_like=True):
    """What must be known of a past without reading it."""

    definition: str = ""
    """Of the definitions that stepped it: others would decide otherwise."""
    events: int = 0
    clock: Instant = 0
    """The profile's: another one means that it was stepped without this past."""
    frontier: Key | None = None
    """The place of the last input that is in the base: what happened before is beyond the reach. None: nothing is."""
    last: Key | None = None
    oldest: Instant = 0
    count: int = 0
    size: int = 0
    fired: Instant = 0
    """Until when timers have fired."""
    withdrawn: dict[str, list[Any]] = {}
    """Decisions that are withdrawn: id -> [id of the retraction, instant]."""
    instead: dict[str, list[Any]] = {}
    """Actions that were never asked for: id -> [id of the suppression in their place, instant]."""
    unreached: bytes = b""


class Shelf(msgspec.Struct, frozen=True):
    """Where the rows of a past are found that are not in memory."""

    base: Callable[[str], bytes | None]
    entries: Callable[[str], list[Entry]]


EMPTY: Final = Shelf(lambda _: None, lambda _: [])


class Past:
    """One customer's past, read as far as it is asked for; and what has changed in it since it was last written."""

    def __init__(self, customer: str, head: Head, shelf: Shelf = EMPTY) -> None:
        self.customer, self.head = customer, head
        self._shelf = shelf
        self._base: bytes | None = None
        self._entries: list[Entry] | None = None
        self._read_base = False
        self.added: dict[Key, Entry] = {}
        self.removed: set[Key] = set()
        self.rebased = False

    @property
    def base(self) -> bytes | None:
        """The profile that the inputs are folded onto; None for an empty one."""
        if not self._read_base and not self.rebased:
            self._base, self._read_base = self._shelf.base(self.customer), True
        return self._base

    @property
    def entries(self) -> list[Entry]:
        """The inputs since the base, each in its place."""
        if self._entries is None:
            found = {each.key: each for each in self._shelf.entries(self.customer)}
            for key in self.removed:
                found.pop(key, None)
            self._entries = [each for _, each in sorted((found | self.added).items())]
        return self._entries

    def find(self, number: str) -> Entry | None:
        """The input with this id."""
        return next((each for each in self.entries if each.id == number), None)

    def came_beyond(self, number: str) -> bool:
        """Whether one with this id came from beyond the reach lately."""
        return _hashed(number) in _pieces(self.head.unreached)

    def place(self, key: Key) -> int:
        """How many inputs stand before this place."""
        return bisect_left(self.entries, key, key=lambda each: each.key)

    def append(self, new: Entry) -> None:
        """Keep one that stands after all others."""
        self._note(new)
        if self._entries is not None:
            self._entries.append(new)
        self.head.last = new.key

    def insert(self, new: Entry) -> None:
        """Keep one in its place."""
        self.entries.insert(self.place(new.key), new)
        self._note(new)
        self.head.last = max(self.head.last or new.key, new.key)

    def _note(self, new: Entry) -> None:
        head = self.head
        self.added[new.key] = new
        self.removed.discard(new.key)
        head.oldest = min(head.oldest, new.place) if head.count else new.place
        head.count += 1
        head.size += new.size

    def rebase(self, base: bytes, frontier: Key, folded_in: int) -> None:
        """The first inputs are in the base now."""
        gone, self._entries = self.entries[:folded_in], self.entries[folded_in:]
        for each in gone:
            if self.added.pop(each.key, None) is None:
                self.removed.add(each.key)
        self._base, self.rebased = base, True
        head = self.head
        head.frontier, head.count = frontier, len(self._entries)
        head.size = sum(each.size for each in self._entries)
        head.oldest = self._entries[0].place if self._entries else 0
        for known in (head.withdrawn, head.instead):
            for number in [number for number, (_, at) in known.items() if at <= frontier[0]]:
                del known[number]

    def stepped(self, profile: Profile, fired: Instant = 0) -> None:
        """This is the profile now; its timers have fired until then."""
        head = self.head
        head.events, head.clock = profile.events, profile.clock
        head.fired = max(head.fired, fired)

    def begin(self, profile: Profile, definition: str) -> None:
        """Begin anew from the profile as it is: what happened until now is beyond the reach."""
        frontier, unreached = (profile.clock, LAST), self.head.unreached
        self.rebase(dump(profile), frontier, len(self.entries))
        self.head = Head(definition=definition, frontier=frontier, unreached=unreached)
        self.stepped(profile)

    def reached_beyond(self, number: str) -> None:
        """Remember the id of an interaction from beyond the reach."""
        self.head.unreached = (self.head.unreached + _hashed(number))[-UNREACHED:]

    def written(self) -> None:
        """What has changed is written."""
        self.added, self.removed, self.rebased = {}, set(), False
        self._read_base = True


def _hashed(number: str) -> bytes:
    return blake2b(number.encode(), digest_size=ID_BYTES).digest()


def _pieces(ids: bytes) -> set[bytes]:
    return {ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)}
