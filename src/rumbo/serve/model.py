"""What the API answers with, as types: the OpenAPI document is made from them."""

from __future__ import annotations

from typing import Literal

import msgspec

from rumbo.core.outputs import Direction
from rumbo.core.tally import StageCount
from rumbo.serve.state import WorkerStatus


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An interaction, or an instant at which timers came due (`name` is null), and the decisions that came of it."""

    at: str
    name: str | None = None
    id: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    decisions: list[msgspec.Raw] = []
    more: int = 0
    """Decisions of this entry that were not kept."""


class Retracted(msgspec.Struct, frozen=True):
    """A decision that does not hold any more: `by` is the id of the retraction, `at` the instant of what has withdrawn it."""

    by: str
    at: str
    reason: Literal["late_event", "quarantine", "reinstated"]


class Timeline(msgspec.Struct, frozen=True):
    """What happened to one customer, the last first. `kept`: how many entries of each kind the topology keeps (0: none)."""

    customer: str
    kept: int
    entries: list[TimelineEntry]
    retracted: dict[str, Retracted] = {}
    """The decisions that are withdrawn, by their ids, as far as their retractions are kept."""


class Decisions(msgspec.Struct, frozen=True):
    """What was decided for one customer, the last first."""

    customer: str
    kept: int
    decisions: list[msgspec.Raw]
    retracted: dict[str, Retracted] = {}
    """As in a timeline."""


class StageDrawing(msgspec.Struct, frozen=True):
    """A stage, and in words what it takes to enter it (null: nothing but the way there)."""

    stage: str
    side: bool
    when: str | None = None


class Edge(msgspec.Struct, frozen=True, rename={"origin": "from", "target": "to"}):
    """A move that the definition allows."""

    origin: str
    target: str
    kind: Direction
    when: str | None = None


class TriggerDrawing(msgspec.Struct, frozen=True):
    """A trigger in words: when, what is asked for, what may hold it back."""

    trigger: str
    when: str
    action: str
    mode: Literal["live", "shadow"]
    cooldown: str | None = None
    stage: str | None = None
    """The stage whose entry or leaving calls it, or that it counts from."""
    limits: tuple[str, ...] = ()
    """Quiet hours, caps and hold-outs."""


class StepDrawing(msgspec.Struct, frozen=True):
    """A step of a flow, and in words what it does."""

    step: str
    kind: Literal["wait", "branch", "split", "action", "set", "go", "goal", "leave"]
    text: str


class WayDrawing(msgspec.Struct, frozen=True, rename={"origin": "from", "target": "to"}):
    """A way on from a step (`to` null: the instance is over), and in words when it is taken (null: always)."""

    origin: str
    target: str | None
    when: str | None = None


class FlowDrawing(msgspec.Struct, frozen=True):
    """A flow in words: what begins an instance, whether there may be another, what ends it at once, its steps and the ways between them."""

    flow: str
    enter: str
    again: str
    exit: str | None
    goal: str | None
    steps: tuple[StepDrawing, ...]
    ways: tuple[WayDrawing, ...] = ()


class BandDrawing(msgspec.Struct, frozen=True):
    """A band of a score: entered at `enter`, left below `leave`."""

    band: str
    enter: float
    leave: float


class ScoreDrawing(msgspec.Struct, frozen=True):
    """A score, its bands from low to high, and its rules in words."""

    score: str
    bands: tuple[BandDrawing, ...]
    rules: tuple[str, ...]


class SegmentDrawing(msgspec.Struct, frozen=True):
    """A segment, and in words who is in it."""

    segment: str
    when: str


class JourneyDrawing(msgspec.Struct, frozen=True):
    """A definition as it runs, ready to be drawn."""

    journey: str
    version: str
    stages: tuple[StageDrawing, ...]
    edges: tuple[Edge, ...]
    scores: tuple[ScoreDrawing, ...]
    segments: tuple[SegmentDrawing, ...]
    triggers: tuple[TriggerDrawing, ...]
    flows: tuple[FlowDrawing, ...] = ()
    accounts: tuple[AccountRule, ...] = ()
    """What accounts make of it, where it is their journey."""


class AccountDecisions(msgspec.Struct, frozen=True):
    """What was decided of an account, the latest first, of at most `kept` changes of its contacts (0: no journal is kept)."""

    account: str
    kept: int
    decisions: list[msgspec.Raw]
    retracted: dict[str, Retracted] = {}
    """As in a timeline."""


class AccountRule(msgspec.Struct, frozen=True):
    """A rule of accounts: what it is of (`contacts`, `stage`, a score), and the rule in words."""

    of: str
    rule: str


class Journeys(msgspec.Struct, frozen=True):
    """The journeys of the topology."""

    topology: str
    journeys: tuple[JourneyDrawing, ...]


class Funnel(msgspec.Struct, frozen=True):
    """How many customers are where. `complete` is false while some partition has no worker that answers: then it is a part."""

    journey: str
    version: str
    customers: int
    stages: list[StageCount]
    complete: bool


class Flow(msgspec.Struct, frozen=True, rename={"origin": "from", "target": "to"}):
    """Moves from one stage to another, since the topology began."""

    origin: str
    target: str
    moves: int
    direction: Direction


class Moves(msgspec.Struct, frozen=True):
    """How customers moved, the most frequent first."""

    journey: str
    version: str
    moves: list[Flow]
    complete: bool


class Status(msgspec.Struct, frozen=True):
    """All workers that answer, and their sums. `complete` as in a funnel."""

    topology: str
    version: str
    workers: list[WorkerStatus]
    interactions: int
    decisions: int
    lag_records: int
    clock: str | None
    complete: bool


class Problem(msgspec.Struct, frozen=True):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = ""
    retry_after: int | None = None
    """Seconds, where trying again may help."""
