"""The profile: everything known about one customer, as one bounded record. It holds; `step` changes it. It never grows without a cap.

Encoded as MessagePack arrays (field order is the format, so fields are only ever appended). Before it, in store and
changelog, stand 8 bytes: the due instant of the next timer, so that the timer index is kept without decoding.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rumbo.core.decision import Cause, Gate
from rumbo.core.instant import Instant

FORMAT: Final = 2
"""Of all that is kept in store and changelog: profiles, position, notes. A worker reads every earlier one and refuses a later one.

A field more needs a new number where the last one was in use: an older worker would drop what it does not know. 1: until sequences.
"""
DUE_BYTES: Final = 8
SEEN_CAP: Final = 64
HISTORY_CAP: Final = 20


class ScoreState(msgspec.Struct, array_like=True, gc=False):
    """One score. `lanes`: accumulator (value, anchor) for each group and half-life; `rules`: the same for each rule, with the ids of its last events."""

    lanes: dict[str, list[Any]] = {}
    rules: dict[str, list[Any]] = {}
    band: int = -1
    """Index of the band entered last and not left; -1 below all."""
    emitted: float = 0.0
    """The value in the last `score.changed`."""
    seen: dict[str, list[Any]] = {}
    """For rules with `once_per` the values awarded, for rules with `at_most` the times: bounded by `SEEN_CAP`."""
    out: str = ""
    """Why the score is not reported; empty: it is."""


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


class Held(msgspec.Struct, array_like=True, gc=False):
    """An action that a gate keeps until `release_at`: what was decided then, so that it can be asked for later."""

    rule: str
    occurrence: str
    release_at: Instant
    expires_at: Instant
    channel: str | None
    params: dict[str, Any]
    causes: list[Cause]
    since: Instant
    gate: Gate


class FlowState(msgspec.Struct, array_like=True, gc=False):
    """One instance of a flow. `origin` is the occurrence that began it; `due` when its wait is over by time, 0 for never."""

    flow: str
    major: str
    key: str
    origin: str
    entered_at: Instant
    step: str = ""
    since: Instant = 0
    """When it came to the step."""
    due: Instant = 0
    visits: dict[str, int] = {}


class JourneyState(msgspec.Struct, array_like=True, gc=False):
    """Where a customer is in one journey. Empty `stage`: not yet begun."""

    stage: str = ""
    high_water: str = ""
    entered_at: Instant = 0
    entry: str = ""
    """What the current stage entry came from (an event's id or a due instant): the occurrence of rules that hang on it."""
    history: list[tuple[str, Instant]] = []
    scores: dict[str, ScoreState] = {}
    fired: dict[str, Instant] = {}
    """Trigger id -> when it was last emitted (cool-down, once)."""
    held: dict[str, bool] = {}
    """Triggers on a condition: present while it holds (rising edge)."""
    since: dict[str, list[Any]] = {}
    """Absence triggers: [start, occurrence] while they count."""
    moved: dict[str, Instant] = {}
    """Backward edges: when each was last taken."""
    base: dict[str, int] = {}
    """Latches cleared by a move backwards: counter value below which a stage's criterion does not count."""
    segments: dict[str, Instant] = {}
    """Segments that the customer is in, and since when."""
    lock: list[Any] = []
    """Where somebody has set the stage: [since, expires (0: never), what was suggested last]; empty: nobody has."""
    flips: list[Instant] = []
    """The last moves against the direction of the one before: no more than `unstable.flips`."""
    unstable: Instant = 0
    """Until when flips are held; 0: they are not."""
    matches: dict[str, list[list[Any]]] = {}
    """Sequence triggers: the partial matches, [key, first, last, event id of each step so far], in order of arrival."""
    followed: dict[str, list[Any]] = {}
    """What triggers that follow a figure or a date remember of it, by kind and trigger (`core.threshold`, `core.date`, `core.anomaly`)."""
    holds: list[Held] = []
    """Actions that wait for their gate, in the order held."""
    flows: list[FlowState] = []
    """Instances of flows, in the order begun."""
    flown: dict[str, Instant] = {}
    """Flow and key -> when the last instance ended, where that decides whether there may be another."""


class Profile(msgspec.Struct, array_like=True, gc=False):
    """One customer. `timers` maps a timer's name to its due instant; `due` is the smallest (0: none)."""

    customer: str
    clock: Instant = 0
    """The largest of the customer's event times and fired due times."""
    first_seen: Instant = 0
    events: int = 0
    ring: bytes = b""
    """The last event ids (8 bytes of hash and 2 of body each): a producer's repeat changes nothing."""
    counters: dict[str, int] = {}
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

    @property
    def due(self) -> Instant:
        """When the next timer is due; 0 when there is none."""
        return min(self.timers.values()) if self.timers else 0


def opened(profile: Profile) -> Ledger:
    """The customer's ledger, begun where there is none."""
    if profile.ledger is None:
        profile.ledger = Ledger()
    return profile.ledger


_NEVER: Final = bytes(DUE_BYTES)
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Profile)


def dump(profile: Profile) -> bytes:
    """The profile as stored, without the due prefix."""
    return _encoder.encode(profile)


def load(value: bytes | memoryview) -> Profile:
    """Read what `dump` wrote. Raises msgspec.ValidationError on anything else."""
    return _decoder.decode(value)


def stored(profile: Profile) -> bytes:
    """The value of a profile in store and changelog: due instant (8 bytes, big endian), then the record."""
    timers = profile.timers
    due = min(timers.values()).to_bytes(DUE_BYTES, "big") if timers else _NEVER
    return due + _encoder.encode(profile)
