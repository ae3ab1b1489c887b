"""What goes under `data` of each output, one struct a kind: the contract with downstream automation. It never decides anything.

`schemas/` is written from these structs. Times are RFC 3339 text in UTC, lengths are seconds, ids are decision ids.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from rumbo.core.decision import Because, Gate, Kind

Direction = Literal["forward", "backward", "aside", "return"]


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What every output says: whose, by which definition, and why."""

    customer: str
    journey: str
    version: str
    because: Because


class StageChanged(Output, frozen=True, kw_only=True):
    """A move between two stages. `implied` steps fill the gap of a skip; `aside` and `return` enter and leave a side stage."""

    from_: str = msgspec.field(name="from")
    to: str
    direction: Direction
    implied: bool = False
    high_water: str
    dwell_seconds: float
    reason: Literal["authority"] | None = None
    """`authority`: somebody said so (a CRM, a person); none: the conditions."""
    content: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    """What the definition has for those who are in `to`; absent where it has nothing."""


class StageStuck(Output, frozen=True, kw_only=True):
    """The customer has been in `stage` for longer than its `stuck_after`."""

    stage: str
    since: str
    limit_seconds: float


class StageUnstable(Output, frozen=True, kw_only=True):
    """The customer has gone forth and back too often: `suggested` is not made until `held_until`."""

    stage: str
    suggested: str
    flips: int
    held_until: str


class StageSuggested(Output, frozen=True, kw_only=True):
    """Where the conditions would have moved a customer whose stage somebody has set. `expires_at`: when that ends by itself."""

    stage: str
    suggested: str
    since: str
    expires_at: str | None = None


class SegmentChanged(Output, frozen=True, kw_only=True):
    """A segment entered or left. `since` (when left): when it was entered."""

    segment: str
    change: Literal["entered", "left"]
    reason: Literal["event", "time"]
    since: str | None = None


class Contributor(msgspec.Struct, frozen=True):
    """One rule's share of a score now, and the last events that it came from (at most 3 ids)."""

    rule: str
    points_now: float
    event_ids: tuple[str, ...] = ()


class ScoreChanged(Output, frozen=True, kw_only=True):
    """A band (or grade) changed, or the value moved by the score's `min_delta`. `next_crossing_at` is when decay alone will leave the band.

    A disqualified customer's `value` is null, and `reason` says why.
    """

    score: str
    value: float | None
    previous: float
    band: str | None
    previous_band: str | None
    grade: str | None = None
    reason: str | None = None
    contributors: tuple[Contributor, ...] = ()
    next_crossing_at: str | None = None


class ActionRequested(Output, frozen=True, kw_only=True):
    """What is asked of downstream. `expires_at`: after that instant it must not be done any more."""

    trigger: str
    kind: str
    channel: str | None = None
    purpose: str | None = None
    flow: str | msgspec.UnsetType = msgspec.UNSET
    """Where it is a step of a flow: `trigger` is then flow and step, with a dot between."""
    step: str | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, Any] = {}
    priority: int = 5
    expires_at: str | None = None
    stage: str | None = None
    scores: dict[str, float | None] = {}


class ActionSuppressed(ActionRequested, frozen=True, kw_only=True):
    """An action that a gate held back: the recorded "no". `would_release_at`: when this gate alone would say yes."""

    gate: Gate
    detail: str
    would_release_at: str | None = None
    held: bool | msgspec.UnsetType = msgspec.UNSET
    """True: it is kept, and asked for then, if every gate says yes."""


class FlowChanged(Output, frozen=True, kw_only=True):
    """An instance of a flow has begun, was left, or is complete. `key`: what it is for, where the flow is keyed; `since`: its begin."""

    flow: str
    change: Literal["entered", "left", "completed"]
    reason: Literal["entered", "exit", "goal", "end", "timeout", "visits", "version"]
    key: str | None = None
    step: str | None = None
    since: str


Suspicion = Literal["delivery", "burst", "honeypot", "known"]
"""Why a click may be a scanner's: too soon after the delivery, several links at once, a link that no human sees, a known agent."""


class EventQuarantined(Output, frozen=True, kw_only=True):
    """A click (or an open) that was a scanner's: it is not counted. `since`: when it was put aside."""

    event: str
    event_id: str
    event_time: str
    suspicion: Suspicion
    since: str


class ExposureRecorded(Output, frozen=True, kw_only=True):
    """The customer was given a variant of an experiment for the first time: what results are to be measured by."""

    experiment: str
    variant: str


class DecisionRetracted(Output, frozen=True, kw_only=True):
    """An earlier output no longer holds: `retracts` is its id, `retracted` its kind, `decided_at` its instant. What was done of it stays done.

    `late_event`: an interaction came that happened before; `quarantine`: what it came from was not a person. `reinstated` withdraws an
    earlier retraction (`retracts` is the id of that one): what it had withdrawn holds again, and is not sent again.
    """

    retracts: str
    retracted: Kind
    decided_at: str
    reason: Literal["late_event", "quarantine", "reinstated"]
    account: str | msgspec.UnsetType = msgspec.UNSET
    """Where it was decided of an account: `customer` is then the contact whose change came late."""


class AccountContact(msgspec.Struct, frozen=True):
    """A contact of an account, as it counts there."""

    customer: str
    role: str
    stage: str


class AccountStageChanged(Output, frozen=True, kw_only=True):
    """An account is in another stage. `customer` is the contact whose change did it, `contacts` those who hold the account there (at most 8).

    `from` is null for an account's first stage, `to` where no contact counts any more. `counted`: how many contacts count.
    """

    account: str
    from_: str | None = msgspec.field(name="from")
    to: str | None
    direction: Direction | Literal["entered", "left"]
    high_water: str
    dwell_seconds: float
    contacts: tuple[AccountContact, ...] = ()
    counted: int


class AccountContributor(msgspec.Struct, frozen=True):
    """A contact's score, as it was last said."""

    customer: str
    role: str
    value: float


class AccountScoreChanged(Output, frozen=True, kw_only=True):
    """A score of an account is another one. `customer` is the contact whose change did it; `contributors`: the largest, at most 5."""

    account: str
    score: str
    value: float
    previous: float
    contributors: tuple[AccountContributor, ...] = ()


Data = (
    StageChanged
    | StageStuck
    | StageUnstable
    | StageSuggested
    | SegmentChanged
    | ScoreChanged
    | ActionRequested
    | ActionSuppressed
    | ExposureRecorded
    | EventQuarantined
    | FlowChanged
    | DecisionRetracted
    | AccountStageChanged
    | AccountScoreChanged
)
